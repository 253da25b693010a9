"""The folder that `--out` of a command wrote, opened and checked for what a page needs."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pyarrow as pa

from hinting import results
from hinting.errors import ResultsError
from hinting.reproduce import Row
from hinting.results import Results

__all__ = ["opened", "optional", "table"]

#: Columns that a table must have to be shown.
_COLUMNS = {
    "metrics": {"strategy", "guest", "metric", "value", "unit"},
    "series": {"strategy", "t_ns", "guest", "metric", "value"},
    "memory_map": {"strategy", "t_ns", "guest", "block", "free", "used", "cache", "isolated", "reported", "free_backed"},
    "reproduce": {field.name for field in fields(Row)},
    "fragmentation": {"strategy", "t_ns", "guest", "order", "blocks", "unusable"},
}


def opened(folder: str | Path) -> Results:
    """The results of a command; ResultsError naming what is missing or damaged."""
    found = results.open(folder)
    wanted = "experiments" if found.kind == "reproduce" else "scenario"
    if not isinstance(found.provenance.get(wanted), dict):
        raise ResultsError(f"{folder}/provenance.json: damaged: it has no {wanted}")
    return found


def optional(found: Results, name: str) -> pa.Table | None:
    """A table if it was written, as `table`."""
    return table(found, name) if name in found.names else None


def table(found: Results, name: str) -> pa.Table:
    """A table with the columns that a page needs."""
    rows = found.arrow(name)
    missing = _COLUMNS[name] - set(rows.column_names)
    if missing:
        raise ResultsError(f"{found.path / name}.parquet: expected the columns {', '.join(sorted(missing))}, "
                           f"found {', '.join(rows.column_names)}")
    return rows

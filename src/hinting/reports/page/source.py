"""The folder that `--out` of a command wrote, read back and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hinting.errors import HintingError

__all__ = ["COLUMNS", "Source", "read"]

#: Columns that a table must have to be shown, by its name; tables that are not named here are left alone.
COLUMNS = {
    "metrics": {"strategy", "guest", "metric", "value", "unit"},
    "series": {"strategy", "t_ns", "guest", "metric", "value"},
}
_NEEDED = ("metrics", "series")


@dataclass(frozen=True)
class Source:
    """What a folder holds. kind: "run" or "compare"."""

    folder: Path
    kind: str
    provenance: dict[str, Any]
    tables: dict[str, pa.Table]


def _provenance(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else f"no JSON: {error}"
        raise HintingError(f"{path}: cannot be read: {reason}") from None
    if not isinstance(found, dict) or not isinstance(found.get("scenario"), dict):
        raise HintingError(f"{path}: expected the provenance of a run, with a scenario")
    return found


def _table(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise HintingError(f"{path}: not a readable Parquet file: {error}") from None
    missing = COLUMNS[path.stem] - set(table.column_names)
    if missing:
        raise HintingError(f"{path}: expected the columns {', '.join(sorted(missing))}, found {', '.join(table.column_names)}")
    return table


def read(folder: str | Path) -> Source:
    """Read the folder of `hinting run --out` or `hinting compare --out`; HintingError naming what is missing or damaged."""
    folder = Path(folder)
    if not folder.is_dir():
        raise HintingError(f"report {folder}: no such folder")
    about = folder / "provenance.json"
    there = {name: folder / f"{name}.parquet" for name in COLUMNS}
    missing = [path.name for path in (about, *(there[name] for name in _NEEDED)) if not path.is_file()]
    if missing:
        raise HintingError(f"report {folder}: expected the folder of `hinting run --out` or `hinting compare --out`, "
                           f"but {', '.join(missing)} is not there")
    provenance = _provenance(about)
    tables = {name: _table(path) for name, path in there.items() if path.is_file()}
    kind = "compare" if provenance.get("experiment") == "compare" else "run"
    return Source(folder, kind, provenance, tables)

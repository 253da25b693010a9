"""Recordings with one thing wrong: copies of the small recordings, changed in one value."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.conftest import DATA

__all__ = ["change_meta", "change_value", "copy_of", "row_types", "rows_of"]

_DELETE = object()


def copy_of(name: str, folder: Path) -> Path:
    """A copy of a small recording inside a temporary folder."""
    return Path(shutil.copytree(DATA / name, folder / name))


def change_value(folder: Path, file: str, column: str, row: int, value: Any) -> None:
    """Write one value into a table of a recording."""
    table = pq.read_table(folder / file)
    at = table.schema.get_field_index(column)
    values = table[column].to_pylist()
    values[row] = value
    pq.write_table(table.set_column(at, column, pa.array(values, table.schema.field(column).type)), folder / file)


def change_meta(folder: Path, path: tuple, value: Any = _DELETE) -> None:
    """Write one value into meta.json, or take it out."""
    file = folder / "meta.json"
    meta = json.loads(file.read_text())
    holder = meta
    for key in path[:-1]:
        holder = holder[key]
    if value is _DELETE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    file.write_text(json.dumps(meta))


def row_types(folder: Path) -> list[str]:
    """Name of the type of every row of events.parquet."""
    types = json.loads((folder / "meta.json").read_text())["types"]
    return [types[kind] for kind in pq.read_table(folder / "events.parquet", columns=["type"])["type"].to_pylist()]


def rows_of(folder: Path, kind: str) -> list[int]:
    """Row numbers of one type."""
    return [row for row, name in enumerate(row_types(folder)) if name == kind]

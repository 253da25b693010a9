"""Points of a sweep once more, each from its own row, and what differs then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import hinting
from hinting.errors import ResultsError
from hinting.results.files import prepare_folder, replace_file, stamped, write_table
from hinting.results.hashes import table_sha256
from hinting.results.ledger import LEDGER
from hinting.results.parts import POINTS, SERIES
from hinting.results.query import query
from hinting.results.reading import read_parquet
from hinting.results.repeatable import check_repeatable, provenance_of
from hinting.results.sweep import SweepResults, named, rows_of
from hinting.sweeps.design import Point, basis_hash, key_of
from hinting.sweeps.rows import changes_text, series_table
from hinting.sweeps.solve import solve_point

__all__ = ["Repeated", "asked", "repeat_points"]

#: Columns that a repetition computes and that may differ between two equal ones.
CLOCKS = ("started", "duration_s", "machine")


@dataclass(frozen=True)
class Repeated:
    """A point that ran again. differs: what is not the same, in words; nothing if all is, to the bit.

    row, series: the new ones, with the columns of the old ones.
    """

    number: int
    key: str
    differs: tuple[str, ...]
    row: pa.Table
    series: pa.Table | None


def asked(folder: Path, sql: str) -> list[str]:
    """The points that a query over a sweep's tables names: its column `key`, or else `number`. Raises ResultsError."""
    found = query(hinting.open(folder), sql)
    if not found.num_rows:
        raise ResultsError("query: selects no point")
    for name in ("key", "number"):
        if name in found.column_names:
            return [str(value) for value in found[name].unique().to_pylist()]
    raise ResultsError(f"query: expected a column key or number that names points, got {', '.join(found.column_names) or 'none'}")


def repeat_points(
    path: Path, wanted: Sequence[str] = (), out: Path | None = None, progress: Callable[[str, int], None] | None = None
) -> list[Repeated]:
    """Run points of a sweep or search again, from their rows and nothing else.

    path: the output folder, or one Parquet file of its points. wanted: numbers or keys (8 characters of one are enough); of
    a file all its points if there are none. out: folder for points.parquet and series.parquet, by default nowhere. Raises
    ResultsError for a point that is not there or has no row, and for what was made with another version or other files.
    """
    if out is not None and (out.resolve() == path.resolve() or (out / LEDGER).exists()):
        raise ResultsError(f"--out {out}: holds a sweep, expected another folder")
    done: list[tuple[dict[str, Any], Repeated]] = []
    for file, row, series in _rows(path, wanted):
        about = provenance_of(file)
        check_repeatable(about, file)
        if progress is not None:
            progress(f"point {row['number'][0]}", len(done))
        done.append((about, _again(about, row, series)))
    if out is not None and done:
        prepare_folder(out)
        about = done[0][0]
        whole = {POINTS: [one.row for _, one in done], SERIES: [one.series for _, one in done if one.series is not None]}
        for name, tables in whole.items():
            if tables:
                table = stamped(pa.concat_tables(tables, promote_options="default"), about)
                replace_file(out / f"{name}.parquet", partial(write_table, table))
    return [one for _, one in done]


def _again(about: Mapping[str, Any], row: pa.Table, series: pa.Table | None) -> Repeated:
    old = row.to_pylist()[0]
    made = json.loads(old["changes"])
    point = Point(old["number"], old["key"], {}, made["strategy"], made["changes"], old["seed"], old["repeat"])
    kept = about["sweep"]["series"]
    key = key_of(basis_hash(about["scenario"], about["files"], kept, point.strategy, point.changes), point.seed)
    outcome = solve_point(about["scenario"], kept, point)
    if outcome.values is None:
        return Repeated(point.number, point.key, (f"has failed: {outcome.error}",), row.slice(0, 0), None)
    new = row
    values = {**outcome.values, **outcome.run, "key": key, "changes": changes_text(point.strategy, point.changes)}
    for place, field in enumerate(row.schema):
        if field.name in values:
            new = new.set_column(place, field, pa.array([values[field.name]], field.type))
    differs = [
        f"{name} was {row[name][0]}, is {new[name][0]}" for name in row.column_names
        if name not in CLOCKS and table_sha256(row.select([name])) != table_sha256(new.select([name]))
    ]  # fmt: skip
    found = series_table([outcome])
    return Repeated(point.number, point.key, (*differs, *_series_differ(series, found)), new, found)


def _series_differ(old: pa.Table | None, new: pa.Table | None) -> Iterator[str]:
    before, after = (0 if table is None else len(table) for table in (old, new))
    if before != after:
        yield f"series had {before} rows, has {after}"
    elif old is not None and new is not None and table_sha256(old) != table_sha256(new):
        same = [pc.equal(a, b).combine_chunks() for a, b in zip(old.itercolumns(), new.itercolumns(), strict=True)]
        yield f"series differs from row {min(place for column in same if (place := pc.index(column, False).as_py()) >= 0)} on"


def _rows(path: Path, wanted: Sequence[str]) -> Iterator[tuple[Path, pa.Table, pa.Table | None]]:
    """(file, row, series) of the points that are wanted."""
    if path.is_dir():
        results = hinting.open(path)
        if not isinstance(results, SweepResults):
            raise ResultsError(f"{path}: has no points, expected the output folder of hinting sweep or tune")
        if not wanted:
            raise ResultsError(f"{path}: is a whole sweep, expected --point or --query, or one of its files of points")
        yield from results.rows(wanted)
        return
    points = read_parquet(path)
    if not {"number", "key", "changes"} <= {*points.column_names}:
        raise ResultsError(f"{path}: has no points, expected a file of the folder points of a sweep")
    beside = path.parent.parent / SERIES / path.name
    series = read_parquet(beside) if path.parent.name == POINTS and beside.exists() else None
    numbers = dict(zip(points["key"].to_pylist(), points["number"].to_pylist(), strict=True))
    for key in [named(numbers, name, path) for name in wanted] or numbers:
        yield path, rows_of(points, key), None if series is None else rows_of(series, key)

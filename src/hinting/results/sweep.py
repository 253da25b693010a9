"""The folder of a sweep, opened: one table of all points, whatever their state, and their series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from hinting.errors import ResultsError
from hinting.results.columns import stored
from hinting.results.folder import Results
from hinting.results.ledger import DONE, FAILED, LEDGER, PENDING, Ledger
from hinting.results.parts import POINTS, RUN_COLUMNS, SERIES, SERIES_OF_POINTS, Parts, points_schema

__all__ = ["SweepResults", "named", "rows_of"]

#: Fewest characters of a key that name a point.
KEY_CHARACTERS = 8
ERRORS = pa.schema([("number", pa.int64()), ("key", pa.string()), ("error", pa.string()), ("traceback", pa.string())])


class SweepResults(Results):
    """The folder of `hinting sweep` or `tune`, also while it runs.

    Tables: `points`, a row a point with its axes, seed, state ("done", "failed", "pending") and metrics, the same for
    two equal sweeps; `runs`, when, where and how long each ran; `errors` of those that failed; `series` over time, by
    the key of the point; of a search `trials`.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        super().__init__(path, about)
        if not (path / LEDGER).is_file():
            raise ResultsError(f"{path / LEDGER}: is missing")
        ledger = Ledger(path / LEDGER, readonly=True)
        ledger.check()
        self._meta = ledger.meta()
        self._parts = Parts(path)
        self._stamps = ledger.parts()
        self._with_series = [name for name, stamps in self._stamps.items() if SERIES in stamps]
        self._numbers = ledger.numbers(DONE)
        self._open = list(ledger.points(PENDING, FAILED))
        ledger.close()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the tables."""
        there = {"series": bool(self._with_series), "trials": "search" in self._meta}
        return ("points", "runs", "errors", *(name for name in there if there[name]))

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes, which are columns of `points`; "strategy" is one of them."""
        return tuple(self._meta["columns"])

    @property
    def objectives(self) -> dict[str, str]:
        """Metrics that a search looks at, each with "more" or "less"; empty of a sweep."""
        return dict(self._meta.get("search", {}).get("objectives", {}))

    def _read(self, name: str) -> pa.Table:
        if name == "errors":
            rows = [row for row in self._open if row.state == FAILED]
            values = [[row.number for row in rows], [row.key for row in rows], [row.error for row in rows],
                      [row.traceback for row in rows]]  # fmt: skip
            return pa.table([pa.array(column, field.type) for column, field in zip(values, ERRORS, strict=True)], schema=ERRORS)
        if name == "series":
            return self._in_order(pa.concat_tables([self._part(SERIES, name) for name in self._with_series]))
        if name == "trials":
            from hinting.results.trials import trials_table

            return trials_table(self.arrow("points"), self._meta["search"])
        return self._points() if name == "points" else self._runs()

    @cached_property
    def _finished(self) -> pa.Table:
        """All parts with the columns of today, in the order of their points."""
        schema = points_schema(self._meta["columns"])
        parts = [_fitted(self._part(POINTS, name), schema) for name in self._stamps]
        table = self._in_order(pa.concat_tables(parts) if parts else schema.empty_table())
        numbers = pa.array(self._numbers.values(), pa.int64())
        if len(numbers) != len(table):
            raise ResultsError(f"{self.path / LEDGER}: damaged: {len(numbers)} points are done, {len(table)} are in the parts")
        return table.set_column(0, schema.field("number"), numbers)

    def rows(self, points: Sequence[str]) -> Iterator[tuple[Path, pa.Table, pa.Table | None]]:
        """(file, row with all its columns, series) of points by number, key or how their keys begin.

        Raises ResultsError for a point that is not there or has no row.
        """
        unfinished = {row.key: row for row in self._open}
        numbers = self._numbers | {key: row.number for key, row in unfinished.items()}
        keys = [named(numbers, name, self.path) for name in points]
        for row in (unfinished[key] for key in keys if key in unfinished):
            reason = f"has failed: {row.error}" if row.state == FAILED else "has not run yet"
            raise ResultsError(f"{self.path}: point {row.number} has no row to repeat: it {reason}")
        part_of = {key: name for name in self._stamps for key in self._part(POINTS, name)["key"].to_pylist()}
        for key in keys:
            file = self._parts.path(POINTS, part_of[key])
            row = rows_of(self._part(POINTS, file.stem), key)
            row = row.set_column(0, row.schema.field("number"), pa.array([self._numbers[key]], pa.int64()))
            yield file, row, rows_of(self._part(SERIES, file.stem), key) if file.stem in self._with_series else None

    def _part(self, half: str, name: str) -> pa.Table:
        problem = self._parts.problem(name, {half: self._stamps[name][half]}, whole=True)
        if problem is not None:
            raise problem
        return self._parts.read(half, name)

    def _in_order(self, table: pa.Table) -> pa.Table:
        """Rows of the sweep's points, in the order of their numbers."""
        places = pc.index_in(table["key"], pa.array(self._numbers, pa.string()))
        table = table.append_column("place", places).filter(pc.is_valid(places))
        return table.sort_by("place").drop_columns("place").combine_chunks()

    def _runs(self) -> pa.Table:
        columns = ("number", "key", "seed", *RUN_COLUMNS)
        return self._finished.select(columns)

    def _points(self) -> pa.Table:
        done = self._finished.drop_columns(list(RUN_COLUMNS))
        rows = self._open
        fields = []
        for field in done.schema:
            if field.name in ("number", "key"):
                values = pa.array([getattr(row, field.name) for row in rows], field.type)
            elif field.name in ("repeat", "seed"):
                values = pa.array([row.about[field.name] for row in rows], field.type)
            elif field.name in self._meta["columns"]:
                axis = [row.about["axes"].get(field.name) for row in rows]
                values = stored(axis, self._meta["columns"][field.name])
            else:
                values = pa.nulls(len(rows), field.type)
            fields.append(values)
        unfinished = pa.table(fields, schema=done.schema)
        place = 1 + done.schema.get_field_index("seed")
        done = done.add_column(place, "state", pa.array([DONE] * len(done), pa.string()))
        unfinished = unfinished.add_column(place, "state", pa.array([row.state for row in rows], pa.string()))
        return pa.concat_tables([done, unfinished]).sort_by("number").combine_chunks()

    def _series(self) -> ds.Dataset:
        files = [str(self._parts.path(SERIES, name)) for name in self._with_series]
        return ds.dataset(files, schema=SERIES_OF_POINTS, format="parquet")

    def _queried(self, name: str) -> Any:
        return self._series() if name == "series" else self.arrow(name)


def named(numbers: Mapping[str, int], name: str, path: Path) -> str:
    """The key of the point that a number, a key or its beginning names. numbers: of the points by key. Raises ResultsError."""
    found = [key for key, number in numbers.items() if str(number) == name]
    if not found and len(name) >= KEY_CHARACTERS:
        found = [key for key in numbers if key.startswith(name)]
    if len(found) != 1:
        what = f"{len(found)} keys begin so" if found else "there is none"
        raise ResultsError(f"{path}: point {name!r}: {what}, expected a number or a key of the table points")
    return found[0]


def rows_of(table: pa.Table, key: str) -> pa.Table:
    """The rows of one point."""
    return table.filter(pc.equal(table["key"], key)).combine_chunks()


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A part with the columns of another state of the sweep file."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)

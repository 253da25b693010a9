"""Outcomes as tables: a row a point, and their series."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from hinting.results.columns import Column, stored
from hinting.results.parts import SERIES_OF_POINTS, points_schema
from hinting.sweeps.design import Point
from hinting.sweeps.solve import Outcome

__all__ = ["changes_text", "points_table", "series_table"]


def changes_text(strategy: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    """What makes the scenario of a point from that of its sweep, as the column `changes` has it."""
    return json.dumps({"strategy": strategy, "changes": changes}, sort_keys=True)


def points_table(done: Sequence[Outcome], columns: Mapping[str, Column]) -> pa.Table:
    """Finished points in their order. columns: (type, unit) of the axes."""
    schema = points_schema(columns)
    rows = [_row(one.point, one) for one in done]
    values = [
        stored([row.get(field.name) for row in rows], columns[field.name]) if field.name in columns
        else pa.array([row[field.name] for row in rows], field.type)
        for field in schema
    ]  # fmt: skip
    return pa.table(values, schema=schema)


def _row(point: Point, one: Outcome) -> dict[str, Any]:
    return {
        **point.axes, "number": point.number, "key": point.key, "repeat": point.repeat, "seed": point.seed,
        **(one.values or {}), **one.run, "changes": changes_text(point.strategy, point.changes),
    }  # fmt: skip


def series_table(done: Sequence[Outcome]) -> pa.Table | None:
    """Their series, one after the other, None if none are kept."""
    series = [
        one.series.add_column(0, SERIES_OF_POINTS.field("key"), pa.repeat(one.point.key, len(one.series)))
        for one in done if one.series is not None
    ]  # fmt: skip
    return pa.concat_tables(series).cast(SERIES_OF_POINTS) if series else None

"""The trials of a search as a table: what was tried, what came of it, and which of it nothing betters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import mul
from typing import Any

import pyarrow as pa

from hinting.results.ledger import DONE, FAILED, PENDING

__all__ = ["MORE", "objectives_of", "pareto_front", "trials_table"]

#: The direction of an objective that is to be large; the other is "less".
MORE = "more"


def objectives_of(rows: Sequence[Mapping[str, Any]], objectives: Mapping[str, str]) -> tuple[str, list[float] | None]:
    """(state, means over the repeats) of the points of a trial; no means if a point failed, is pending or has no value."""
    states = {row["state"] for row in rows}
    if PENDING in states:
        return PENDING, None
    values = [[row[name] for row in rows] for name in objectives]
    if FAILED in states or any(value is None for column in values for value in column):
        return FAILED, None
    return DONE, [sum(column) / len(column) for column in values]


def pareto_front(values: Sequence[Sequence[float] | None], directions: Sequence[str]) -> list[bool]:
    """Whether each point is on the front: no other is as good in all objectives and better in one.

    >>> pareto_front([[1, 5], [2, 5], [3, 9], None], ["more", "less"])
    [False, True, True, False]
    """
    signs = [1 if direction == MORE else -1 for direction in directions]
    scored = [None if point is None else tuple(map(mul, signs, point)) for point in values]
    there = {point for point in scored if point is not None}

    def bettered(point: tuple[float, ...]) -> bool:
        return any(other != point and all(a >= b for a, b in zip(other, point, strict=True)) for other in there)

    return [point is not None and not bettered(point) for point in scored]


def trials_table(points: pa.Table, search: Mapping[str, Any]) -> pa.Table:
    """A row a trial: trial, axes, state, objectives (means over the repeats), pareto.

    points: the table of that name. search: as the ledger has it: objectives with their directions, trials with the keys
    of their points.
    """
    objectives: dict[str, str] = search["objectives"]
    rows = {row["key"]: row for row in points.to_pylist()}
    axes = [field.name for field in points.schema if b"axis" in (field.metadata or {})]
    of_trials = [[rows[key] for key in trial["keys"]] for trial in search["trials"]]
    found = [objectives_of(each, objectives) for each in of_trials]
    means = [values for _, values in found]
    fields = [pa.field("trial", pa.int64()), *(points.schema.field(name) for name in axes), pa.field("state", pa.string()),
              *(points.schema.field(name) for name in objectives), pa.field("pareto", pa.bool_())]  # fmt: skip
    columns: list[list[Any]] = [list(range(len(found)))]
    columns += [[each[0][name] for each in of_trials] for name in axes]
    columns.append([state for state, _ in found])
    columns += [[None if values is None else values[i] for values in means] for i in range(len(objectives))]
    columns.append(pareto_front(means, list(objectives.values())))
    schema = pa.schema(fields)
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema)

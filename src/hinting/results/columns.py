"""Columns of the values of axes: "5GiB" is stored as a number of bytes, "10ms" as one of ns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from hinting.errors import UnitError
from hinting.units import parse_duration, parse_size

__all__ = ["TYPES", "Column", "column_of", "number", "quantity", "stored"]

#: (type, unit) of a column: type is a key of TYPES.
Column = tuple[str, str]
TYPES = {"bool": pa.bool_(), "int64": pa.int64(), "double": pa.float64(), "string": pa.string()}


def quantity(value: Any) -> tuple[int, str] | None:
    """(bytes, "bytes") of a size, (ns, "ns") of a duration; None for what is neither, text without a unit included.

    >>> quantity("2KiB"), quantity("10us"), quantity("v8")
    ((2048, 'bytes'), (10000, 'ns'), None)
    """
    if not isinstance(value, str) or not value.strip()[-1:].isalpha():
        return None
    for read, unit in ((parse_size, "bytes"), (parse_duration, "ns")):
        try:
            return read(value), unit
        except UnitError:
            continue
    return None


def number(value: Any) -> Any:
    """The number that a quantity stands for; other values as they are."""
    found = quantity(value)
    return value if found is None else found[0]


def column_of(values: Iterable[Any], unit: str = "") -> Column:
    """Type and unit of the column that holds such values; None is no value."""
    there = [value for value in values if value is not None]
    units = {found[1] for value in there if (found := quantity(value)) is not None}
    kinds = {type(number(value)) for value in there}
    if kinds == {bool}:
        return "bool", unit
    if len(units) <= 1 and kinds == {int}:
        return "int64", next(iter(units), unit)
    if not units and kinds and kinds <= {int, float}:
        return "double", unit
    return "string", unit


def stored(values: Iterable[Any], column: Column) -> pa.Array:
    """Values as a column of that type."""
    kind = TYPES[column[0]]
    if column[0] == "string":
        values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    else:
        values = [number(value) for value in values]
    return pa.array(values, kind)

"""Rows: a published number, the emulated one, and what is to be said about the two."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Reproduction", "Row"]


@dataclass(frozen=True)
class Row:
    """One number of a publication beside the emulated one.

    emulated: with several seeds their median; low, high: least and most. error: emulated / published - 1. sign: whether
    the emulated value is on the same side of what it is compared with as the published one, None if there is nothing to
    compare. within: the error is at most the tolerance, or the published lower bound is reached. chosen: the parameter
    that was chosen with this number in view, empty if none was.
    """

    id: str
    experiment: str
    number: str
    title: str
    source: str
    setting: str
    published: float
    emulated: float
    low: float
    high: float
    seeds: int
    unit: str
    bound: str
    error: float
    sign: bool | None
    tolerance: float
    within: bool
    chosen: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Reproduction:
    """All rows, in the order of the experiments. wall_s: how long it took."""

    rows: list[Row]
    wall_s: float

    def to_json(self) -> dict[str, Any]:
        return {"rows": [row.to_json() for row in self.rows]}

    def table(self) -> pa.Table:
        """The rows as an Arrow table, one column a field of Row."""
        import pyarrow as pa

        types = {"str": pa.string(), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "bool | None": pa.bool_()}
        schema = pa.schema([(field.name, types[str(field.type)]) for field in fields(Row)])
        return pa.Table.from_pylist([row.to_json() for row in self.rows], schema=schema)

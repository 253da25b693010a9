"""Metrics and series of a simulation as Arrow tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from hinting.metrics.catalogue import metrics, series
from hinting.metrics.measures import of_guest, of_host
from hinting.metrics.scalars import values
from hinting.metrics.timeline import HOST, level
from hinting.units import PAGE_BYTES

if TYPE_CHECKING:
    from hinting.simulation import Simulation

__all__ = ["SCALARS_SCHEMA", "SERIES_SCHEMA", "metric_field", "scalars_table", "series_table", "tidy"]

#: Tidy scalars: one row a guest (-1: the host) and metric.
SCALARS_SCHEMA = pa.schema(
    [("guest", pa.int32()), ("metric", pa.string()), ("value", pa.float64()), ("unit", pa.string())]
)
#: Tidy series: a row at each change.
SERIES_SCHEMA = pa.schema(
    [("t_ns", pa.int64()), ("guest", pa.int32()), ("metric", pa.string()), ("value", pa.int64())],
    metadata={f"unit:{name}": one.unit for name, one in series().items()},
)


def metric_field(name: str) -> pa.Field:
    """The column of a metric, with unit, definition, section and direction in its metadata."""
    metric = metrics()[name]
    about = {"unit": metric.unit, "definition": metric.text, "section": metric.section, "better": metric.better}
    return pa.field(name, pa.float64(), metadata=about)


def scalars_table(simulation: Simulation, slow_ns: int) -> pa.Table:
    """One row for the host (guest -1) and one a guest; a column a metric, its unit and definition in the field's metadata."""
    rows = simulation.engine.rows()
    until = simulation.engine.reached
    guests = [of_guest(vm, rows, until) for vm in simulation.vms]
    measured = [of_host(simulation, guests, rows, until), *guests]
    found = [values(one, slow_ns=slow_ns) for one in measured]
    schema = pa.schema([pa.field("guest", pa.int32()), *map(metric_field, found[0])])
    columns = [[one.number for one in measured], *([row[name] for row in found] for name in found[0])]
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema)


def tidy(table: pa.Table) -> pa.Table:
    """The same as one row a guest and metric, with its unit; values that are missing have no row."""
    guests = table["guest"].to_pylist()
    rows = [
        (guest, name, value, metrics()[name].unit)
        for i, guest in enumerate(guests)
        for name in table.column_names[1:]
        if (value := table[name][i].as_py()) is not None
    ]
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    return pa.table(
        [pa.array(values, kind.type) for values, kind in zip(columns, SCALARS_SCHEMA, strict=True)], schema=SCALARS_SCHEMA
    )


def _steps(rows: np.ndarray, name: str, guest: int | None) -> list[np.ndarray]:
    times, pages = level(rows, name, guest)
    number = HOST if guest is None else guest
    return [times, np.full(len(times), number, np.int32), np.full(len(times), name), pages * PAGE_BYTES]


def series_table(simulation: Simulation) -> pa.Table:
    """All series as step functions: a value holds from its t_ns to the next row of the same guest and metric."""
    rows = simulation.engine.rows()
    parts = []
    for guest in [None, *(vm.number for vm in simulation.vms)]:
        for name in series():
            times, numbers, names, pages = _steps(rows, name, guest)
            if guest is None and name == "held":
                pages = pages + simulation.used_bytes_at_start
            parts.append(pa.table([times, numbers, pa.array(names, pa.string()), pages], schema=SERIES_SCHEMA))
    return pa.concat_tables(parts)

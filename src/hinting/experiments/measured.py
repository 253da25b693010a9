"""What the arms of an experiment measured, as the tidy tables that runs and comparisons write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from hinting.metrics import metrics, tidy
from hinting.metrics.catalogue import EXPERIMENT
from hinting.scenarios import Scenario

__all__ = ["memory_tables", "metrics_table", "series_table", "with_columns"]


def with_columns(table: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    """The table with constant columns before its own."""
    for place, (name, value) in enumerate(columns.items()):
        kind = pa.string() if isinstance(value, str) else pa.int64()
        table = table.add_column(place, name, pa.array([value] * table.num_rows, kind))
    return table


def metrics_table(scenario: Scenario, arms: Iterable[tuple[str, pa.Table, Mapping[str, float | None]]]) -> pa.Table:
    """Tidy scalars: scenario, strategy, seed, profile, guest (-1: the host), metric, value, unit.

    arms: name, table as Simulation.metrics, and values of the metrics that only an experiment has.
    """
    parts = []
    for name, measured, found in arms:
        table = tidy(measured)
        own = [
            {"guest": -1, "metric": metric.name, "value": found[metric.name], "unit": metric.unit}
            for metric in metrics().values()
            if metric.scope == EXPERIMENT and found.get(metric.name) is not None
        ]
        about = {"scenario": scenario.name, "strategy": name, "seed": scenario.seed, "profile": scenario.costs.load().name}
        parts.append(with_columns(pa.concat_tables([table, pa.Table.from_pylist(own, schema=table.schema)]), about))
    return pa.concat_tables(parts)


def series_table(arms: Iterable[tuple[str, pa.Table]]) -> pa.Table:
    """Tidy series: strategy, t_ns, guest (-1: the host), metric, value in bytes. arms: name, table as Simulation.series."""
    return pa.concat_tables([with_columns(series, {"strategy": name}) for name, series in arms])


def memory_tables(arms: Iterable[tuple[str, pa.Table | None, pa.Table | None]]) -> dict[str, pa.Table]:
    """memory_map and fragmentation of all arms with a column strategy, if they were sampled. arms: name and both tables."""
    named = list(arms)
    tables = {"memory_map": [(name, one) for name, one, _ in named], "fragmentation": [(name, one) for name, _, one in named]}
    return {
        what: pa.concat_tables([with_columns(one, {"strategy": name}) for name, one in parts if one is not None])
        for what, parts in tables.items()
        if any(one is not None for _, one in parts)
    }

"""Writing a comparison to a folder: metrics and series (Parquet), pictures (PNG, SVG), provenance (JSON)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from hinting.experiments.compare import Comparison
from hinting.metrics import metrics, tidy
from hinting.metrics.catalogue import EXPERIMENT
from hinting.reports.compare_plots import memory_figure, pareto_figure, ranked_figure
from hinting.results.files import write_files
from hinting.results.provenance import about, execution

__all__ = ["metrics_table", "series_table", "write_comparison"]


def _with(table: pa.Table, columns: dict[str, Any]) -> pa.Table:
    """The table with constant columns before its own."""
    for place, (name, value) in enumerate(columns.items()):
        kind = pa.string() if isinstance(value, str) else pa.int64()
        table = table.add_column(place, name, pa.array([value] * table.num_rows, kind))
    return table


def metrics_table(result: Comparison) -> pa.Table:
    """Tidy scalars: scenario, strategy, seed, profile, guest (-1: the host), metric, value, unit."""
    parts = []
    for arm in result.arms:
        about = {"scenario": result.scenario.name, "strategy": arm.name, "seed": result.scenario.seed,
                 "profile": result.scenario.costs.load().name}
        table = tidy(arm.table)
        own = [
            {"guest": -1, "metric": name, "value": arm.metrics[name], "unit": metric.unit}
            for name, metric in metrics().items()
            if metric.scope == EXPERIMENT and arm.metrics[name] is not None
        ]
        parts.append(_with(pa.concat_tables([table, pa.Table.from_pylist(own, schema=table.schema)]), about))
    return pa.concat_tables(parts)


def series_table(result: Comparison) -> pa.Table:
    """Tidy series: strategy, t_ns, guest (-1: the host), metric, value in bytes."""
    return pa.concat_tables([_with(arm.series, {"strategy": arm.name}) for arm in result.arms])


def write_comparison(result: Comparison, folder: Path) -> list[Path]:
    """Write metrics.parquet, series.parquet, ranked, pareto and memory as PNG and SVG, provenance.json; returns the files."""
    return write_files(
        folder,
        {"metrics": metrics_table(result), "series": series_table(result)},
        {"ranked": ranked_figure(result), "pareto": pareto_figure(result), "memory": memory_figure(result)},
        about("compare", result.scenario, strategies=[arm.name for arm in result.arms]),
        execution(sum(arm.wall_s for arm in result.arms)),
    )

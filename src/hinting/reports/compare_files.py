"""Writing a comparison to a folder: metrics and series (Parquet), pictures (PNG, SVG), provenance (JSON)."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import pyarrow as pa

import hinting
from hinting.experiments.compare import Comparison
from hinting.metrics import metrics, tidy
from hinting.metrics.catalogue import EXPERIMENT
from hinting.reports.compare_plots import memory_figure, pareto_figure, ranked_figure
from hinting.reports.files import write_files

__all__ = ["metrics_table", "series_table", "write_comparison"]


def provenance(result: Comparison) -> dict[str, Any]:
    """What a comparison follows from. Nothing that differs between two equal runs."""
    costs = result.scenario.costs.load()
    return {
        "experiment": "compare",
        "scenario": result.scenario.document(),
        "strategies": [arm.name for arm in result.arms],
        "hinting": hinting.__version__,
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "costs": {"profile": costs.name, "sha256": costs.hash},
    }


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
    about = provenance(result)
    stamp = {"hinting": json.dumps(about, sort_keys=True)}
    tables = {"metrics": metrics_table(result), "series": series_table(result)}
    tables = {name: table.replace_schema_metadata({**(table.schema.metadata or {}), **stamp}) for name, table in tables.items()}
    figures = {"ranked": ranked_figure(result), "pareto": pareto_figure(result), "memory": memory_figure(result)}
    return write_files(folder, tables, figures, about)

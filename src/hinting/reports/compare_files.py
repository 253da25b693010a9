"""Writing a comparison to a folder: metrics and series (Parquet), pictures (PNG, SVG), provenance (JSON)."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import pyarrow as pa

import hinting
from hinting.experiments.compare import Comparison
from hinting.experiments.measured import metrics_table, series_table
from hinting.reports.compare_plots import memory_figure, pareto_figure, ranked_figure
from hinting.reports.files import write_files

__all__ = ["write_comparison"]


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


def write_comparison(result: Comparison, folder: Path) -> list[Path]:
    """Write metrics.parquet, series.parquet, ranked, pareto and memory as PNG and SVG, provenance.json; returns the files."""
    about = provenance(result)
    stamp = {"hinting": json.dumps(about, sort_keys=True)}
    tables = {
        "metrics": metrics_table(result.scenario, [(arm.name, arm.table, arm.metrics) for arm in result.arms]),
        "series": series_table([(arm.name, arm.series) for arm in result.arms]),
    }
    tables = {name: table.replace_schema_metadata({**(table.schema.metadata or {}), **stamp}) for name, table in tables.items()}
    figures = {"ranked": ranked_figure(result), "pareto": pareto_figure(result), "memory": memory_figure(result)}
    return write_files(folder, tables, figures, about)

"""Writing a comparison to a folder: metrics and series (Parquet), pictures (PNG, SVG), provenance (JSON)."""

from __future__ import annotations

from pathlib import Path

from hinting.experiments.compare import Comparison
from hinting.experiments.measured import memory_tables, metrics_table, series_table
from hinting.reports.compare_plots import memory_figure, pareto_figure, ranked_figure
from hinting.results.files import write_files
from hinting.results.provenance import about, execution

__all__ = ["write_comparison"]


def write_comparison(result: Comparison, folder: Path) -> list[Path]:
    """Write metrics.parquet, series.parquet, ranked, pareto and memory as PNG and SVG, provenance.json; returns the files."""
    tables = {
        "metrics": metrics_table(result.scenario, [(arm.name, arm.table, arm.metrics) for arm in result.arms]),
        "series": series_table([(arm.name, arm.series) for arm in result.arms]),
        **memory_tables([(arm.name, arm.memory_map, arm.fragmentation) for arm in result.arms]),
    }
    return write_files(
        folder,
        tables,
        {"ranked": ranked_figure(result), "pareto": pareto_figure(result), "memory": memory_figure(result)},
        about("compare", result.scenario, strategies=[arm.name for arm in result.arms]),
        execution(sum(arm.wall_s for arm in result.arms)),
    )

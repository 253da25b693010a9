"""Writing a run to a folder: tables (Parquet), pictures (PNG, SVG), provenance (JSON)."""

from __future__ import annotations

from pathlib import Path

from hinting.experiments import Result
from hinting.experiments.tables import (
    arms_table,
    guests_table,
    memory_tables,
    metrics_table,
    series_table,
    timeline_table,
)
from hinting.reports.plots import host_figure
from hinting.results.files import write_files
from hinting.results.provenance import about, execution

__all__ = ["write_result"]


def write_result(result: Result, folder: Path) -> list[Path]:
    """Write tables (Parquet), pictures (PNG, SVG) and the provenance (JSON) of a run; returns the files."""
    tables = {
        "arms": arms_table(result),
        "guests": guests_table(result),
        "timeline": timeline_table(result),
        "metrics": metrics_table(result),
        "series": series_table(result),
        **memory_tables(result),
    }
    return write_files(
        folder,
        tables,
        {result.scenario.name: host_figure(result)},
        about("run", result.scenario),
        execution(sum(arm.wall_s for arm in result.arms)),
    )

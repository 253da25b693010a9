"""Writing results to a folder: all files or none, never one half written."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from hinting.errors import HintingError
from hinting.experiments import Result
from hinting.experiments.tables import arms_table, guests_table, metrics_table, provenance, series_table, timeline_table
from hinting.reports.plots import host_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["prepare_folder", "write_files", "write_result"]


def prepare_folder(path: str | Path) -> Path:
    """Make the folder if need be and see that it can be written to; HintingError naming it if not."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise HintingError(f"--out {folder}: cannot be written to: {error.strerror or error}") from None
    return folder


def write_files(
    folder: Path, tables: Mapping[str, pa.Table], figures: Mapping[str, Figure], about: Mapping[str, Any]
) -> list[Path]:
    """Write tables (Parquet), figures (PNG, SVG) and provenance.json, all or none; returns the files."""
    names = [f"{name}.parquet" for name in tables] + [f"{name}.{kind}" for name in figures for kind in ("png", "svg")]
    names.append("provenance.json")
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
            new = Path(temporary)
            for name, table in tables.items():
                pq.write_table(table, new / f"{name}.parquet")
            for name, figure in figures.items():
                figure.savefig(new / f"{name}.png", dpi=130, metadata={"Software": "hinting"})
                figure.savefig(new / f"{name}.svg", metadata={"Date": None})
            (new / "provenance.json").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
            for name in names:
                os.replace(new / name, folder / name)
    except OSError as error:
        raise HintingError(f"--out {folder}: cannot be written to: {error.strerror or error}") from None
    return [folder / name for name in names]


def write_result(result: Result, folder: Path) -> list[Path]:
    """Write tables (Parquet), pictures (PNG, SVG) and the provenance (JSON) of a run; returns the files."""
    tables = {
        "arms": arms_table(result),
        "guests": guests_table(result),
        "timeline": timeline_table(result),
        "metrics": metrics_table(result),
        "series": series_table(result),
    }
    return write_files(folder, tables, {result.scenario.name: host_figure(result)}, provenance(result))

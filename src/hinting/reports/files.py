"""Writing results to a folder: all files or none, never one half written."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from hinting.errors import HintingError
from hinting.experiments import Result
from hinting.experiments.tables import arms_table, guests_table, provenance, timeline_table
from hinting.reports.plots import host_figure

__all__ = ["prepare_folder", "write_result"]


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


def write_result(result: Result, folder: Path) -> list[Path]:
    """Write tables (Parquet), pictures (PNG, SVG) and the provenance (JSON) of a run; returns the files."""
    name = result.scenario.name
    names = ("arms.parquet", "guests.parquet", "timeline.parquet", f"{name}.png", f"{name}.svg", "provenance.json")
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
            new = Path(temporary)
            for file, table in zip(names[:3], (arms_table(result), guests_table(result), timeline_table(result)), strict=True):
                pq.write_table(table, new / file)
            figure = host_figure(result)
            figure.savefig(new / names[3], dpi=130, metadata={"Software": "hinting"})
            figure.savefig(new / names[4], metadata={"Date": None})
            (new / "provenance.json").write_text(json.dumps(provenance(result), indent=2, sort_keys=True) + "\n")
            for file in names:
                os.replace(new / file, folder / file)
    except OSError as error:
        raise HintingError(f"--out {folder}: cannot be written to: {error.strerror or error}") from None
    return [folder / file for file in names]

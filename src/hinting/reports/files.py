"""Writing results to a folder: all files or none, never one half written."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from hinting.errors import HintingError
from hinting.experiments.seed import SeedResult
from hinting.reports.plots import seed_figure
from hinting.reports.tables import arms_table, guests_table, provenance, timeline_table

__all__ = ["prepare_folder", "write_seed"]


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


def write_seed(result: SeedResult, folder: Path) -> list[Path]:
    """Write tables (Parquet), pictures (PNG, SVG) and the provenance (JSON) of a seed run; returns the files."""
    names = ("arms.parquet", "guests.parquet", "timeline.parquet", "seed.png", "seed.svg", "provenance.json")
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
            new = Path(temporary)
            for name, table in zip(names[:3], (arms_table(result), guests_table(result), timeline_table(result)), strict=True):
                pq.write_table(table, new / name)
            figure = seed_figure(result)
            figure.savefig(new / "seed.png", dpi=130, metadata={"Software": "hinting"})
            figure.savefig(new / "seed.svg", metadata={"Date": None})
            (new / "provenance.json").write_text(json.dumps(provenance(result), indent=2, sort_keys=True) + "\n")
            for name in names:
                os.replace(new / name, folder / name)
    except OSError as error:
        raise HintingError(f"--out {folder}: cannot be written to: {error.strerror or error}") from None
    return [folder / name for name in names]

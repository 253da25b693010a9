"""Running a result again from what it says about itself, and holding the new files against the old ones."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import hinting
from hinting.errors import ResultsError
from hinting.results.files import EXECUTION, prepare_folder
from hinting.results.folder import open as open_results
from hinting.results.provenance import file_hashes
from hinting.scenarios import Scenario

__all__ = ["provenance_of", "repeat", "repeat_into"]


def provenance_of(path: Path) -> dict[str, Any]:
    """What an output folder, or one Parquet file of it, follows from. Raises ResultsError if it does not say."""
    if path.is_dir():
        about = open_results(path).provenance
        about.pop("execution", None)
    else:
        try:
            about = json.loads((pq.read_schema(path).metadata or {})[b"hinting"])
        except FileNotFoundError:
            raise ResultsError(f"{path}: there is no such file or folder") from None
        except (OSError, pa.ArrowException, KeyError, ValueError):
            raise ResultsError(f"{path}: no Parquet file of hinting run or compare") from None
    if about["kind"] == "sweep":
        raise ResultsError(f"{path}: a result of a sweep, expected one of hinting run or compare")
    return about


def _check(about: dict[str, Any], path: Path) -> None:
    """Refuse what would not come out the same."""
    here = {"hinting": hinting.__version__, "files": file_hashes(about["scenario"])}
    for name, value in here.items():
        if about[name] != value:
            raise ResultsError(f"{path}: made with {name} {about[name]}, here is {value}")


def repeat_into(about: dict[str, Any], folder: Path, progress: Callable[[str, int], None] | None = None) -> list[Path]:
    """Run what a provenance describes and write its files to a folder; returns them."""
    scenario = Scenario.from_document(about["scenario"])
    prepare_folder(folder)
    if about["kind"] == "run":
        from hinting.experiments import run
        from hinting.reports.files import write_result

        return write_result(run(scenario, progress=progress), folder)
    from hinting.experiments.compare import compare_arms
    from hinting.reports.compare_files import write_comparison

    return write_comparison(compare_arms(scenario, about["strategies"], progress=progress), folder)


def repeat(path: Path, out: Path | None = None, progress: Callable[[str, int], None] | None = None) -> dict[str, bool]:
    """Run a result again; returns whether each of its files has come out with the same bytes.

    path: output folder of `hinting run` or `compare`, or one of its Parquet files. out: where the new files go, by
    default nowhere. Raises ResultsError if it was made with another version, or a file that it used has changed.
    """
    about = provenance_of(path)
    _check(about, path)
    with tempfile.TemporaryDirectory() as temporary:
        folder = out or Path(temporary)
        old = path if path.is_dir() else path.parent
        if folder.resolve() == old.resolve():
            raise ResultsError(f"--out {folder}: holds the result that is to be repeated, expected another folder")
        new = [file for file in repeat_into(about, folder, progress) if file.name != EXECUTION]
        names = [file.name for file in new] if path.is_dir() else [path.name]
        return {name: _same(old / name, folder / name) for name in names}


def _same(old: Path, new: Path) -> bool:
    return old.exists() and new.exists() and old.read_bytes() == new.read_bytes()

"""Running a result again from what it says about itself, and holding the new files against the old ones."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hinting.errors import ResultsError
from hinting.results.files import EXECUTION, prepare_folder
from hinting.results.repeatable import check_repeatable, provenance_of
from hinting.scenarios import Scenario

__all__ = ["repeat", "repeat_into"]


def repeat_into(about: dict[str, Any], folder: Path, progress: Callable[[str, int], None] | None = None) -> list[Path]:
    """Run what a provenance describes and write its files to a folder; returns them."""
    prepare_folder(folder)
    if about["kind"] == "reproduce":
        from hinting.reports.reproduce_files import write_reproduction
        from hinting.reproduce import reproduce

        found = reproduce(list(about["experiments"]), progress=None if progress is None else lambda n, _, what: progress(what, n))
        return write_reproduction(found, folder)
    scenario = Scenario.from_document(about["scenario"])
    if about["kind"] == "run":
        from hinting.experiments import run
        from hinting.reports.files import write_result

        return write_result(run(scenario, progress=progress), folder)
    from hinting.experiments.compare import compare_arms
    from hinting.reports.compare_files import write_comparison

    return write_comparison(compare_arms(scenario, about["strategies"], progress=progress), folder)


def repeat(path: Path, out: Path | None = None, progress: Callable[[str, int], None] | None = None) -> dict[str, bool]:
    """Run a result again; returns whether each of its files has come out with the same bytes.

    path: output folder of `hinting run`, `compare` or `reproduce`, or one of its Parquet files. out: where the new files go, by
    default nowhere. Raises ResultsError if it was made with another version, or a file that it used has changed.
    """
    about = provenance_of(path)
    check_repeatable(about, path)
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

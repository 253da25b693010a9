"""What `--out` and `--perfetto` ask for: seen to be writable before anything runs, written when it has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hinting.cli.output import status_console

if TYPE_CHECKING:
    from hinting.reports.perfetto import Recorded

__all__ = ["Files"]


class Files:
    """The folder of `--out` and the file of `--perfetto`, None where not asked for.

    Raises HintingError if one cannot be written, or the timeline's package is not installed.
    """

    def __init__(self, out: Path | None, perfetto: Path | None) -> None:
        self.folder, self.perfetto = None, perfetto
        if perfetto is not None:
            from hinting.reports.perfetto import check_perfetto

            check_perfetto(perfetto)
        if out is not None:
            from hinting.results.files import prepare_folder

            self.folder = prepare_folder(out)

    def timeline(self, arms: Iterable[Recorded]) -> None:
        """Write the timeline if it was asked for."""
        if self.perfetto is not None:
            from hinting.reports.perfetto import write_perfetto

            write_perfetto(self.perfetto, arms)
            self.written([self.perfetto])

    def written(self, files: Iterable[Path]) -> None:
        """Say on standard error what was written."""
        status_console().print(f"written: {', '.join(str(file) for file in files)}")

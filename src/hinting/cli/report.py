"""`hinting report`: one page of what a run or a comparison wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hinting.cli.output import status_console

__all__ = ["report"]


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that --out of run or compare wrote.")],
    out: Annotated[Path | None, typer.Option(help="The HTML file; by default report.html in the folder.")] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Also write each figure as PNG and SVG, to a folder beside the page.")
    ] = True,
) -> None:
    """Write one self-contained HTML page of a run or a comparison."""
    from hinting.reports.page import write_report

    with status_console().status("drawing"):
        files = write_report(folder, out, pictures=pictures)
    more = f", and {len(files) - 1} pictures in {files[1].parent}" if len(files) > 1 else ""
    status_console().print(f"written: {files[0]}{more}")

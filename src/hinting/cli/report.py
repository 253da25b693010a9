"""`hinting report`: one page of what a run, a comparison, a sweep, a search or a reproduction wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hinting.cli.output import status_console

__all__ = ["report"]


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of run, compare, sweep, tune or reproduce.")],
    out: Annotated[Path | None, typer.Option(help="The HTML file; by default report.html in the folder.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="Of a sweep or search: the metric that says which setting is best (see hinting metrics).")
    ] = None,
    cost: Annotated[str | None, typer.Option(help="Of a sweep or search: the metric that the gain is held against.")] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Also write each figure as PNG and SVG, to a folder beside the page.")
    ] = True,
) -> None:
    """Write one self-contained HTML page of a run, a comparison, a sweep, a search or a reproduction."""
    from hinting.reports.page import write_report

    with status_console().status("drawing"):
        files = write_report(folder, out, pictures=pictures, metric=metric, cost=cost)
    more = f", and {len(files) - 1} pictures in {files[1].parent}" if len(files) > 1 else ""
    status_console().print(f"written: {files[0]}{more}")

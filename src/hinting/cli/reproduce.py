"""`hinting reproduce`: published results against emulated ones, as a table, pictures and files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hinting.cli.files import Files
from hinting.cli.output import print_json, result_console, status_console

__all__ = ["reproduce"]


def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Experiments, by name or number (12.4, seed); all if none.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the table (Parquet) and pictures (PNG, SVG).")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes, by default one a CPU; rows do not depend on it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the table.")] = False,
) -> None:
    """Run what others have measured and published, and hold their numbers against ours."""
    from hinting.reports.reproduce_text import print_reproduction
    from hinting.reproduce import reproduce as run
    from hinting.reproduce import select

    select(names or ())
    files = Files(out, None)
    with status_console().status("") as status:
        result = run(names or (), workers=workers, progress=lambda n, of, what: status.update(f"{n} of {of} runs: {what}"))
    if files.folder is not None:
        from hinting.reports.reproduce_files import write_reproduction

        files.written(write_reproduction(result, files.folder))
    if json:
        print_json(result.to_json())
    else:
        print_reproduction(result, result_console())

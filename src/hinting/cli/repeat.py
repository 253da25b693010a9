"""`hinting repeat`: a result once more, from what it says about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hinting.cli.output import print_json, result_console, status_console

__all__ = ["repeat"]


def repeat(
    path: Annotated[Path, typer.Argument(help="Output folder of run or compare, or a Parquet file of it.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the new files; without it they are only compared.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run a result again and see whether the same bytes come out (exit status 1 if not)."""
    from hinting.reports.repeat import repeat as again

    with status_console().status("") as status:
        same = again(path, out, progress=lambda arm, n: status.update(f"{arm}: {n} guests"))
    if json:
        print_json({"path": str(path), "identical": same})
    else:
        for name, fine in same.items():
            result_console().print(f"{name}: {'identical' if fine else 'differs'}", markup=False)
    if not all(same.values()):
        raise typer.Exit(1)

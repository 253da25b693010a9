"""`hinting repeat`: a result once more, from what it says about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hinting.cli.output import print_json, result_console, status_console

__all__ = ["repeat"]


def repeat(
    path: Annotated[Path, typer.Argument(help="Output folder, or a Parquet file of it.")],
    point: Annotated[
        list[str] | None, typer.Option(metavar="NUMBER|KEY", help="Of a sweep: a point to repeat; may be given again.")
    ] = None,
    query: Annotated[str | None, typer.Option(metavar="SQL", help="Of a sweep: points whose key or number it selects.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the new files; without it they are only compared.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run a result, or points of a sweep, again and see whether the same bytes come out (exit status 1 if not)."""
    from hinting.results.repeatable import provenance_of

    of_points = provenance_of(path)["kind"] == "sweep"
    if not of_points and (point or query):
        raise typer.BadParameter(f"--point and --query: {path} is no sweep")
    with status_console().status("") as status:
        if of_points:
            from hinting.sweeps.repeat import asked, repeat_points

            points = [*(point or ()), *(asked(path, query) if query else ())]
            done = repeat_points(path, points, out, progress=lambda name, n: status.update(f"{name}, {n} repeated"))
            differs = {f"point {one.number} ({one.key})": "; ".join(one.differs) for one in done}
        else:
            from hinting.reports.repeat import repeat as again

            same = again(path, out, progress=lambda what, n: status.update(f"{what}: {n}"))
            differs = {name: "" if fine else "other bytes" for name, fine in same.items()}
    if json:
        print_json({"path": str(path), "identical": {name: not words for name, words in differs.items()}, "differs": differs})
    else:
        for name, words in differs.items():
            said = f"differs: {words}" if of_points else "differs"
            result_console().print(f"{name}: {said if words else 'identical'}", markup=False, soft_wrap=True)
    if any(differs.values()):
        raise typer.Exit(1)

"""`hinting compare`: the same guests under several strategies, as a table, pictures and files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hinting.cli.files import Files
from hinting.cli.output import print_json, result_console, status_console

__all__ = ["compare"]


def compare(
    scenario: Annotated[str, typer.Argument(help="Name of a built-in scenario, or a TOML file.")] = "seed",
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:KEY=VALUE,...]",
            help="Strategy, with parameters if need be: v8:entries=500,drain=off or mine.py:Class. Give several.",
        ),
    ] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value for all, e.g. thp=never, max_guests=4, v8.entries=500."),
    ] = None,
    costs: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Cost profile: a name, or a file that hinting calibrate wrote.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the guests' boots and workloads.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for tables (Parquet) and pictures (PNG, SVG).")] = None,
    perfetto: Annotated[
        Path | None, typer.Option(help="File for a timeline to open in the Perfetto viewer (ui.perfetto.dev).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show all metrics, by name.")] = False,
    memory_map: Annotated[
        bool, typer.Option("--memory-map", help="Sample the guests' memory for the report (metrics.memory_map=auto).")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the table.")] = False,
) -> None:
    """Run the same guests under several strategies, and show them side by side."""
    from hinting import experiments
    from hinting.reports.compare_text import print_comparison
    from hinting.scenarios.assign import parse_assignments

    changes = parse_assignments(assign or []) | ({"costs.profile": costs} if costs is not None else {})
    if memory_map:
        changes["metrics.memory_map"] = "auto"
    files = Files(out, perfetto)
    with status_console().status("") as status:
        result = experiments.compare(
            scenario,
            strategy or None,
            changes=changes,
            seed=seed,
            spans=perfetto is not None,
            progress=lambda arm, n: status.update(f"{arm}: {n} guests"),
        )
    if files.folder is not None:
        from hinting.reports.compare_files import write_comparison

        files.written(write_comparison(result, files.folder))
    if perfetto is not None:
        from hinting.reports.perfetto import Recorded

        files.timeline(Recorded(arm.name, arm.spans, arm.series) for arm in result.arms)
    if json:
        print_json(result.to_json())
    else:
        print_comparison(result, result_console(), everything=everything)

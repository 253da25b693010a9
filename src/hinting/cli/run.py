"""`hinting run`: one scenario, as a table, pictures and files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hinting.cli.files import Files
from hinting.cli.output import print_json, result_console, status_console

__all__ = ["run"]


def run(
    scenario: Annotated[str, typer.Argument(help="Name of a built-in scenario, or a TOML file.")] = "seed",
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:KEY=VALUE,...]",
            help="Arm to run, with parameters if need be: v8:entries=500,drain=off or mine.py:Class. May be given several times.",
        ),
    ] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value, e.g. guests.0.memory=8GiB, thp=never, v8.entries=500."),
    ] = None,
    costs: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Cost profile: a name, or a file that hinting calibrate wrote.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the guests' boots and workloads.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for tables (Parquet) and pictures (PNG, SVG).")] = None,
    perfetto: Annotated[
        Path | None, typer.Option(help="File for a timeline to open in the Perfetto viewer (ui.perfetto.dev).")
    ] = None,
    memory_map: Annotated[
        bool, typer.Option("--memory-map", help="Sample the guests' memory for the report (metrics.memory_map=auto).")
    ] = False,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Run again with 256 MiB less and more for the host itself: how many guests fit?")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the table.")] = False,
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="STRATEGY=N", help="Exit with status 1 unless the arm reached at least N guests."),
    ] = None,
) -> None:
    """Run a scenario and show what came out."""
    from hinting import experiments
    from hinting.experiments import capacity
    from hinting.reports.text import print_result, print_sensitivity
    from hinting.scenarios import Scenario
    from hinting.scenarios.assign import parse_assignments

    changes: dict[str, Any] = dict(parse_assignments(assign or []))
    if seed is not None:
        changes["seed"] = seed
    if costs is not None:
        changes["costs.profile"] = costs
    if memory_map:
        changes["metrics.memory_map"] = "auto"
    loaded = Scenario.load(scenario, changes, strategy or None)
    wanted = _expectations(expect or [], list(loaded.arms()))
    if sensitivity:
        capacity.check_sensitivity(loaded)
    files = Files(out, perfetto)
    with status_console().status("") as status:
        result = experiments.run(
            loaded, progress=lambda arm, n: status.update(f"{arm}: {n} guests"), spans=perfetto is not None
        )
    if files.folder is not None:
        from hinting.reports.files import write_result

        files.written(write_result(result, files.folder))
    if perfetto is not None:
        from hinting.reports.perfetto import Recorded

        files.timeline(Recorded(arm.strategy, arm.spans, arm.series) for arm in result.arms)
    by_base = None
    if sensitivity:
        with status_console().status("sensitivity"):
            by_base = capacity.simulated_sensitivity(result)
    if json:
        print_json(result.to_json() | ({"sensitivity": by_base} if by_base is not None else {}))
    else:
        print_result(result, result_console())
        if by_base is not None:
            print_sensitivity(by_base, result_console())
    reached = {arm.strategy: arm.guests_launched for arm in result.arms}
    missed = [name for name, least in wanted.items() if reached[name] < least]
    for name in missed:
        status_console().print(f"{name}: {reached[name]} guests, expected at least {wanted[name]}")
    if missed:
        raise typer.Exit(1)


def _expectations(texts: list[str], arms: list[str]) -> dict[str, int]:
    from hinting.errors import ScenarioError
    from hinting.scenarios.assign import parse_assignments

    wanted = {}
    for name, least in parse_assignments(texts, "--expect").items():
        if name not in arms or not least.isdecimal():
            raise ScenarioError(f"--expect {name}={least}: expected STRATEGY=N with one of {', '.join(arms)}")
        wanted[name] = int(least)
    return wanted

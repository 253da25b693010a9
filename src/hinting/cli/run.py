"""`hinting run`: one experiment, as a table, pictures and files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from hinting.cli.output import print_json, result_console, status_console

__all__ = ["run"]


def run(
    scenario: Annotated[str, typer.Argument(help="Name of a built-in scenario.")] = "seed",
    strategy: Annotated[list[str] | None, typer.Option(help="Arm to run; may be given several times.")] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a field, e.g. host_base=1.2GiB, thp=never, v8.entries=500."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the guests' boots.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for tables (Parquet) and pictures (PNG, SVG).")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the table.")] = False,
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="STRATEGY=N", help="Exit with status 1 unless the arm reached at least N guests."),
    ] = None,
) -> None:
    """Run an experiment and show what came out."""
    from hinting.experiments import run_seed
    from hinting.experiments.scenarios import find_scenario
    from hinting.experiments.seed import check_setting
    from hinting.experiments.setting import override, parse_assignments, split_strategy_keys
    from hinting.reports.text import print_seed

    setting = find_scenario(scenario).setting
    fields, parameters = split_strategy_keys(parse_assignments(assign or []))
    setting = override(setting, fields)
    if seed is not None:
        setting = dataclasses.replace(setting, seed=seed)
    setting = dataclasses.replace(
        setting, strategies=tuple(dict.fromkeys(strategy)) if strategy else setting.strategies, strategy_parameters=parameters
    )
    wanted = _expectations(expect or [], setting.strategies)
    check_setting(setting)
    folder = None
    if out is not None:
        from hinting.reports.files import prepare_folder

        folder = prepare_folder(out)
    with status_console().status("") as status:
        result = run_seed(setting, progress=lambda arm, n: status.update(f"{arm}: {n} guests"))
    if folder is not None:
        from hinting.reports.files import write_seed

        files = write_seed(result, folder)
        status_console().print(f"written: {', '.join(str(file) for file in files)}")
    if json:
        print_json(result.to_json())
    else:
        print_seed(result, result_console())
    reached = {arm.strategy: arm.guests_launched for arm in result.arms}
    missed = [name for name, least in wanted.items() if reached[name] < least]
    for name in missed:
        status_console().print(f"{name}: {reached[name]} guests, expected at least {wanted[name]}")
    if missed:
        raise typer.Exit(1)


def _expectations(texts: list[str], arms: tuple[str, ...]) -> dict[str, int]:
    from hinting.experiments.setting import SettingError, parse_assignments

    wanted = {}
    for name, least in parse_assignments(texts).items():
        if name not in arms or not least.isdecimal():
            raise SettingError(f"--expect {name}={least}: expected STRATEGY=N with one of {', '.join(arms)}")
        wanted[name] = int(least)
    return wanted

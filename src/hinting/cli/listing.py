"""`hinting strategies`, `scenarios`, `kernels`: what there is, one line each."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated

import typer
from rich.table import Table

from hinting.cli.output import result_console

__all__ = ["kernels", "metrics", "scenarios", "strategies"]


def strategies(
    name: Annotated[str | None, typer.Argument(help="Explain one strategy with its parameters and source.")] = None,
) -> None:
    """List the strategies, or explain one."""
    from hinting import strategies as known
    from hinting.errors import StrategyError

    console = result_console()
    if name is None:
        table = Table("strategy", "what it does", box=None, pad_edge=False)
        table.add_row("none", "The guest keeps what it has freed.")
        for other in known.names()[1:]:
            table.add_row(other, inspect.getdoc(type(known.find(other))).split("\n\n")[0].replace("\n", " "))  # type: ignore[union-attr]
        console.print(table)
        return
    spec = known.find(name)
    if spec is None:
        raise StrategyError("strategy none has nothing to explain: the guest keeps what it has freed")
    console.print(f"[bold]{spec.name}[/bold]\n\n{inspect.getdoc(type(spec))}\n\nSource: {spec.source}\n")
    table = Table("parameter", "default", "legal", "meaning", box=None, pad_edge=False)
    for field in dataclasses.fields(spec):
        rule = spec.parameters()[field.name]
        table.add_row(field.name, str(field.default), rule.legal, rule.text)
    console.print(table)


def scenarios() -> None:
    """List the built-in scenarios."""
    from hinting.experiments.scenarios import SCENARIOS

    table = Table("scenario", "what it is", box=None, pad_edge=False)
    for scenario in SCENARIOS.values():
        table.add_row(scenario.name, scenario.text)
    result_console().print(table)


def kernels() -> None:
    """List the kernel profiles."""
    from hinting import kernels as known

    table = Table("kernel", "what it is", box=None, pad_edge=False)
    for name in known.names():
        table.add_row(name, known.table(name)["description"])
    result_console().print(table)


def metrics() -> None:
    """List the metrics with unit and definition."""
    from hinting import metrics as known

    for section, title in known.sections().items():
        table = Table("metric", "unit", "definition", title=title, title_justify="left", box=None, pad_edge=False)
        for metric in known.metrics().values():
            if metric.section == section:
                table.add_row(metric.name, metric.unit, metric.text)
        result_console().print(table)

"""`hinting strategies`, `policies`, `scenarios`, `workloads`, `kernels`: what there is, one line each."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hinting.cli.output import result_console
from hinting.parameters import Parameters

__all__ = ["kernels", "metrics", "policies", "scenarios", "strategies", "workloads"]


def strategies(
    name: Annotated[str | None, typer.Argument(help="Explain one strategy with its parameters and source.")] = None,
) -> None:
    """List the strategies, or explain one."""
    from hinting import strategies as known
    from hinting.errors import StrategyError

    console = result_console()
    if name is None:
        table = Table("strategy", "what it does", "source", box=None, pad_edge=False)
        table.add_row("none", "The guest keeps what it has freed.", "")
        for other in known.names()[1:]:
            spec = known.find(other)
            assert spec is not None
            table.add_row(other, (inspect.getdoc(type(spec)) or "").split("\n\n")[0].replace("\n", " "), escape(spec.source))
        console.print(table)
        return
    spec = known.find(name)
    if spec is None:
        raise StrategyError("strategy none has nothing to explain: the guest keeps what it has freed")
    _explain(spec)


def _explain(spec: Parameters) -> None:
    """Print what one is, with its parameters."""
    console = result_console()
    console.print(f"[bold]{spec.name}[/bold]\n\n{inspect.getdoc(type(spec))}\n\nSource: {escape(spec.source)}\n")
    table = Table("parameter", "default", "legal", "meaning", box=None, pad_edge=False)
    for field in dataclasses.fields(spec):
        rule = spec.parameters()[field.name]
        table.add_row(field.name, str(field.default), rule.legal, rule.text)
    console.print(table)


def policies(
    name: Annotated[str | None, typer.Argument(help="Explain one policy with its parameters.")] = None,
) -> None:
    """List the policies of the host, or explain one."""
    from hinting import policies as known

    if name is not None:
        _explain(known.find_policy(name))
        return
    table = Table("policy", "what it does", box=None, pad_edge=False)
    table.add_row("none", "Every report is discarded when it comes.")
    for other in known.policy_names():
        table.add_row(other, (inspect.getdoc(type(known.find_policy(other))) or "").split("\n\n")[0].replace("\n", " "))
    result_console().print(table)


def scenarios(
    name: Annotated[str | None, typer.Argument(help="Print the TOML of one scenario.")] = None,
) -> None:
    """List the built-in scenarios, or print the file of one."""
    from hinting import scenarios as known

    if name is not None:
        print(known.text(name), end="")
        return
    table = Table("scenario", "what it is", box=None, pad_edge=False)
    for each in known.names():
        table.add_row(each, known.Scenario.load(each).text)
    result_console().print(table)


def workloads(
    name: Annotated[str | None, typer.Argument(help="Explain one workload with its parameters and source.")] = None,
) -> None:
    """List the workloads, or explain one."""
    from hinting.workloads import registry

    console = result_console()
    if name is None:
        table = Table("workload", "what it does", box=None, pad_edge=False)
        for each in registry.names():
            table.add_row(each, registry.find(each).text)
        console.print(table)
        return
    workload = registry.find(name)
    console.print(f"[bold]{workload.name}[/bold]\n\n{inspect.getdoc(workload.generate)}\n")
    table = Table("parameter", "default", "legal", "meaning", box=None, pad_edge=False)
    for key, rule in workload.rules.items():
        table.add_row(key, workload.default(key), rule.legal, rule.text)
    console.print(table)


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

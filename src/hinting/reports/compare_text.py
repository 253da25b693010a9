"""A comparison as a text table: a row a metric, a column a strategy."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from hinting.experiments.compare import Comparison
from hinting.metrics import Metric, metrics, sections
from hinting.reports.text import counted

__all__ = ["best", "number", "print_comparison"]

#: What stands for a value that there is none of.
NOTHING = "-"


def number(value: float | None) -> str:
    """A value with three significant digits, whole numbers in full.

    >>> number(1234567.0), number(0.012345), number(None)
    ('1,234,567', '0.0123', '-')
    """
    if value is None:
        return NOTHING
    if value == int(value):
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def best(metric: Metric, values: list[float | None]) -> float | None:
    """The best value, if there is something to choose from."""
    there = [value for value in values if value is not None]
    if metric.better == "none" or len(set(values)) < 2 or not there:
        return None
    return min(there) if metric.better == "less" else max(there)


def print_comparison(result: Comparison, console: Console, *, everything: bool = False) -> None:
    """Print the table; everything: all metrics, not only the chief ones."""
    table = Table(box=None, pad_edge=False, title=f"{result.scenario.name}: {_setting(result)}", title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for arm in result.arms:
        table.add_column(arm.name, justify="right", overflow="fold")
    for section, title in sections().items():
        rows = [one for one in metrics().values() if one.section == section and (everything or one.heading)]
        if rows:
            table.add_row(f"[bold]{title}[/bold]")
        for metric in rows:
            values = [arm.metrics[metric.name] for arm in result.arms]
            top = best(metric, values)
            cells = [f"[bold]{number(value)}[/bold]" if value == top and top is not None else number(value) for value in values]
            table.add_row(f"  {metric.name if everything else metric.heading}", metric.unit, *cells)
    console.print(table)
    console.print(f"\nBold: the best of a row. {NOTHING}: nothing to measure, or that much never came back.")
    for arm in result.arms:
        guests = counted(int(arm.metrics["guests_fit"] or 0), "guest")
        console.print(f"{arm.name}: {guests} in {arm.emulated_s:.1f} s of emulated time; stopped because {arm.stopped_by}.",
                      markup=False)


def _setting(result: Comparison) -> str:
    """What all arms have in common, in words."""
    scenario = result.scenario
    shared = [f"{key} {value}" for key, value in scenario.setting().items() if not key.startswith("strateg")]
    return ", ".join(shared)

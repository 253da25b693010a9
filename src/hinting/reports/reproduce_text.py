"""Published numbers beside emulated ones as text: a table an experiment, a row a number."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.table import Table

from hinting.reports.text import counted
from hinting.reproduce import Reproduction, Row

__all__ = ["digits", "emulated_text", "print_reproduction"]

_SIGNS = {True: "right", False: "[red]wrong[/]", None: ""}


def digits(value: float) -> str:
    """A published or emulated value with as many digits as it is worth.

    >>> digits(12345.6), digits(123.45), digits(7.0), digits(0.8631)
    ('12,346', '123.5', '7', '0.863')
    """
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3g}"


def emulated_text(row: Row) -> str:
    """The emulated value of a row, with the least and the most of its seeds."""
    return digits(row.emulated) + (f" ({digits(row.low)} to {digits(row.high)})" if row.low < row.high else "")


def _table(rows: list[Row]) -> Table:
    first = rows[0]
    title = f"{first.number}  {first.title}"
    table = Table("setting", title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in ("published", "emulated", "unit", "error", "sign", "within"):
        table.add_column(heading, justify="left" if heading in ("unit", "sign", "within") else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.setting + (f" [dim]({row.chosen} chosen)[/]" if row.chosen else ""),
            ("at least " if row.bound else "") + digits(row.published),
            emulated_text(row),
            row.unit,
            f"{100 * row.error:+.0f} %",
            _SIGNS[row.sign],
            ("" if row.bound else f"{100 * row.tolerance:.0f} %: ") + ("yes" if row.within else "[red]no[/]"),
        )
    return table


def print_reproduction(result: Reproduction, console: Console) -> None:
    """Print a table of each experiment, and how many rows hold."""
    for _, rows in groupby(result.rows, key=lambda row: row.experiment):
        listed = list(rows)
        console.print(_table(listed))
        console.print(f"[dim]{listed[0].source}[/]\n")
    signs = [row.sign for row in result.rows if row.sign is not None]
    console.print(
        f"{counted(len(result.rows), 'row')}: {sum(row.within for row in result.rows)} within their tolerance; "
        f"of {len(signs)} with a sign {sum(signs)} have it right. {result.wall_s:.0f} s."
    )

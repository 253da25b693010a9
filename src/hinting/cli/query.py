"""`hinting query`: SQL over an output folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hinting.cli.output import print_json, result_console

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["print_table", "query"]


def query(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of run, compare, sweep, tune or reproduce.")],
    sql: Annotated[str | None, typer.Argument(help="A query over its tables; without it the tables are listed.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the rows as one JSON document.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
) -> None:
    """Ask the tables of an output folder a question in SQL (DuckDB)."""
    import hinting
    from hinting.results.query import plain_rows
    from hinting.results.query import query as ask

    if json and csv:
        raise typer.BadParameter("--json and --csv: expected one of them")
    results = hinting.open(folder)
    found = ask(results, sql or _TABLES)
    if json:
        print_json(plain_rows(found))
    elif csv:
        import pyarrow.csv

        sys.stdout.flush()
        pyarrow.csv.write_csv(found, sys.stdout.buffer)
    else:
        print_table(found)


def print_table(found: pa.Table) -> None:
    """A table as text."""
    from rich.markup import escape
    from rich.table import Table

    from hinting.results.query import plain_rows

    table = Table(*found.column_names, box=None, pad_edge=False)
    for row in plain_rows(found):
        table.add_row(*(escape(_shown(value)) for value in row.values()))
    result_console().print(table)


_TABLES = (
    "select table_name as \"table\", string_agg(column_name, ', ' order by ordinal_position) as columns "
    "from information_schema.columns group by table_name order by table_name"
)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)

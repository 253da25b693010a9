"""SQL over the tables of a result."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from hinting.errors import ResultsError
from hinting.results.folder import Results
from hinting.results.reading import extra

__all__ = ["plain_rows", "query"]


def query(results: Results, sql: str) -> pa.Table:
    """What a DuckDB query gives; the tables go by their names. Raises ResultsError for a query that cannot be run."""
    duckdb = extra("duckdb", "hinting query")
    try:
        found = results.duckdb().sql(sql)
        return pa.table({}) if found is None else found.to_arrow_table()
    except duckdb.Error as error:
        raise ResultsError(f"query: {error} (tables: {', '.join(results.names)})") from None


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as values of JSON: what has no value, and what is no number, is None; times are text."""
    return [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str, list, dict)) else str(value)

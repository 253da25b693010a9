"""The folder of a run, a comparison, a sweep or a reproduction: its tables as Arrow, pandas, polars or DuckDB."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from hinting.errors import ResultsError
from hinting.results.files import EXECUTION
from hinting.results.reading import extra, read_json, read_parquet

if TYPE_CHECKING:
    import duckdb
    import pandas
    import polars

__all__ = ["Results"]


class Results:
    """An output folder. Tables are read when they are asked for.

    kind: "run", "compare", "sweep" or "reproduce". path: the folder. provenance: scenario, versions, cost profile and seed that
    the numbers follow from, and under "execution" when and where they were made (see provenance.schema.json).
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        self.kind: str = about["kind"]
        self._about = dict(about)

    def __repr__(self) -> str:
        return f"<{self.kind} in {self.path}: {', '.join(self.names)}>"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the tables."""
        return tuple(sorted(file.stem for file in self.path.glob("*.parquet") if not file.name.startswith(".")))

    @property
    def provenance(self) -> dict[str, Any]:
        """What the numbers follow from, and under "execution" when and where they were made."""
        execution = self.path / EXECUTION
        return self._about | ({"execution": read_json(execution, str(self.path))} if execution.exists() else {})

    def arrow(self, name: str) -> pa.Table:
        """A table by name; units are in its columns, their names or their metadata (`units`). ResultsError if there is none."""
        self._check(name)
        return self._read(name)

    def _read(self, name: str) -> pa.Table:
        return read_parquet(self.path / f"{name}.parquet")

    def _check(self, name: str) -> None:
        if name not in self.names:
            raise ResultsError(f"{self.path}: no table {name!r}, expected one of {', '.join(self.names)}")

    def units(self, name: str) -> dict[str, str]:
        """Units of those columns of a table that state one in their metadata."""
        fields = self.arrow(name).schema
        return {field.name: field.metadata[b"unit"].decode() for field in fields if b"unit" in (field.metadata or {})}

    def sha256(self, name: str) -> str:
        """Hash over the values of a table: the same for two equal results, on one core or on a cluster."""
        from hinting.results.hashes import table_sha256

        return table_sha256(self.arrow(name))

    def pandas(self, name: str) -> pandas.DataFrame:
        """A table by name as a pandas DataFrame."""
        extra("pandas", "Results.pandas")
        return self.arrow(name).to_pandas()

    def polars(self, name: str) -> polars.DataFrame:
        """A table by name as a polars DataFrame."""
        return extra("polars", "Results.polars").from_arrow(self.arrow(name))

    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection of its own, in memory, with every table under its name."""
        connection = extra("duckdb", "Results.duckdb").connect()
        for name in self.names:
            connection.register(name, self._queried(name))
        return connection

    def _queried(self, name: str) -> Any:
        """What DuckDB reads a table from."""
        return self.arrow(name)

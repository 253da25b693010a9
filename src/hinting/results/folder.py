"""Opening the folder of a run, a comparison or a sweep: its tables as Arrow, pandas, polars or DuckDB."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from hinting.errors import ResultsError
from hinting.results.files import EXECUTION, PROVENANCE

if TYPE_CHECKING:
    import duckdb
    import pandas
    import polars

__all__ = ["Results", "extra", "open", "read_parquet"]


def open(path: str | Path) -> Results:
    """Open the output folder of `hinting run`, `compare`, `sweep` or `tune`. Raises ResultsError if it is none.

    >>> import tempfile, hinting
    >>> from hinting.results.files import write_files
    >>> from hinting.results.provenance import about, execution
    >>> result = hinting.run(hinting.Scenario.load("seed", {"max_guests": 1}, ["none"]))
    >>> folder = Path(tempfile.mkdtemp())
    >>> files = write_files(folder, {"guests": result.guests()}, {}, about("run", result.scenario), execution(1.5))
    >>> results = open(folder)
    >>> results.kind, results.names, results.provenance["execution"]["duration_s"]
    ('run', ('guests',), 1.5)
    >>> results.arrow("guests")["strategy"].unique().to_pylist()
    ['none']
    """
    folder = Path(path)
    about = _read_json(folder / PROVENANCE, f"{folder}: no output folder of hinting run, compare, sweep or tune")
    kind = about.get("kind")
    if kind == "sweep":
        from hinting.results.sweep import SweepResults

        return SweepResults(folder, about)
    if kind not in ("run", "compare"):
        raise ResultsError(f"{folder / PROVENANCE}: kind must be one of run, compare, sweep, got {kind!r}")
    return Results(folder, about)


def _read_json(path: Path, otherwise: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ResultsError(f"{otherwise} ({path.name} is missing)") from None
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ResultsError(f"{path}: damaged: {error}") from None
    if not isinstance(value, dict):
        raise ResultsError(f"{path}: damaged: expected a JSON object")
    return value


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A Parquet file with its checksums verified; ResultsError naming it if it cannot be read."""
    try:
        table = pq.read_table(path, columns=columns, page_checksum_verification=True)
        table.validate(full=True)
    except FileNotFoundError:
        raise ResultsError(f"{path}: is missing") from None
    except PermissionError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ResultsError(f"{path}: damaged: {error}") from None
    return table


def extra(package: str, what: str) -> Any:
    """Import an optional package; ResultsError that says how to install it."""
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError:
        raise ResultsError(f"{what} needs the {package} package: pip install 'hinting[sweep]'") from None


class Results:
    """An output folder. Tables are read when they are asked for.

    kind: "run", "compare" or "sweep". path: the folder. provenance: scenario, versions, cost profile and seed that
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
        return self._about | ({"execution": _read_json(execution, str(self.path))} if execution.exists() else {})

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

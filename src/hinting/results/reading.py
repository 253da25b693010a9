"""Files of output folders, in: ResultsError names the one that is missing or damaged."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hinting.errors import ResultsError

__all__ = ["extra", "read_json", "read_parquet"]


def read_json(path: Path, otherwise: str) -> dict[str, Any]:
    """A JSON object from a file; ResultsError that says `otherwise` if there is none."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
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
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ResultsError(f"{what} needs the {package} package: pip install 'hinting[sweep]'") from None

"""What a result says about itself, and whether it can be repeated here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import hinting
from hinting.errors import ResultsError
from hinting.results.opening import open as open_results
from hinting.results.provenance import file_hashes

__all__ = ["check_repeatable", "provenance_of"]


def provenance_of(path: Path) -> dict[str, Any]:
    """What an output folder, or one Parquet file of it, follows from. Raises ResultsError if it does not say."""
    if path.is_dir():
        about = open_results(path).provenance
        about.pop("execution", None)
        return about
    try:
        return json.loads((pq.read_schema(path).metadata or {})[b"hinting"])
    except FileNotFoundError:
        raise ResultsError(f"{path}: there is no such file or folder") from None
    except PermissionError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (OSError, pa.ArrowException, KeyError, ValueError):
        raise ResultsError(f"{path}: no Parquet file of hinting run, compare, sweep, tune or reproduce") from None


def check_repeatable(about: Mapping[str, Any], path: Path) -> None:
    """Refuse what would not come out the same: another version, or a file that has changed. Raises ResultsError."""
    if about["hinting"] != hinting.__version__:
        raise ResultsError(f"{path}: made with hinting {about['hinting']}, here is {hinting.__version__}")
    files = about.get("files", {})  # none of a reproduction
    here = file_hashes(list(files))
    for name, sha256 in files.items():
        if here.get(name) != sha256:
            raise ResultsError(f"{path}: made with another {name} than the one that is here"
                               if name in here else f"{path}: made with the file {name}, which is not here")

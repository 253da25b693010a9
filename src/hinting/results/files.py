"""Writing results to a folder: all files or none, never one half written."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from hinting.errors import HintingError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PROVENANCE", "WRITING", "prepare_folder", "replace_file", "stamped", "write_files", "write_json", "write_table"]

#: What a result follows from: nothing in it differs between two equal runs.
PROVENANCE = "provenance.json"
#: When and where it ran, and how long: differs between two equal runs.
EXECUTION = "execution.json"
#: Names of files that are not finished begin with this.
WRITING = ".writing-"


def prepare_folder(path: str | Path) -> Path:
    """Make the folder if need be and see that it can be written to; HintingError naming it if not."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder


def _unwritable(folder: Path, error: OSError) -> HintingError:
    return HintingError(f"--out {folder}: cannot be written to: {error.strerror or error}")


def stamped(table: pa.Table, about: Mapping[str, Any]) -> pa.Table:
    """The table with what it follows from in its metadata."""
    stamp = {"hinting": json.dumps(about, sort_keys=True)}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **stamp})


def write_table(table: pa.Table, path: Path, **options: Any) -> None:
    """Write a Parquet file whose pages carry checksums."""
    pq.write_table(table, path, write_page_checksum=True, **options)


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Write a JSON file, sorted by key."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Have a file written under another name, put it on the disk, then give it its own."""
    new = path.with_name(WRITING + path.name)
    try:
        write(new)
        _sync(new)
        os.replace(new, path)
        _sync(path.parent)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_files(
    folder: Path,
    tables: Mapping[str, pa.Table],
    figures: Mapping[str, Figure],
    about: Mapping[str, Any],
    execution: Mapping[str, Any],
) -> list[Path]:
    """Write tables (Parquet), figures (PNG, SVG), provenance.json and execution.json, all or none; returns the files."""
    names = [f"{name}.parquet" for name in tables] + [f"{name}.{kind}" for name in figures for kind in ("png", "svg")]
    names += [EXECUTION, PROVENANCE]
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=WRITING) as temporary:
            new = Path(temporary)
            for name, table in tables.items():
                write_table(stamped(table, about), new / f"{name}.parquet")
            for name, figure in figures.items():
                figure.savefig(new / f"{name}.png", dpi=130, metadata={"Software": "hinting"})
                figure.savefig(new / f"{name}.svg", metadata={"Date": None})
            write_json(execution, new / EXECUTION)
            write_json(about, new / PROVENANCE)
            for name in names:
                os.replace(new / name, folder / name)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return [folder / name for name in names]

"""Snapshot files: a NumPy .npz of plain arrays, the JSON header among them as bytes."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hinting.errors import SnapshotError
from hinting.snapshots.header import check_format

__all__ = ["read_file", "write_file"]

_HEADER = "header"
#: What NumPy and zipfile raise for a file that is not what it seems.
_DAMAGE = (OSError, ValueError, EOFError, KeyError, RuntimeError, SyntaxError, OverflowError, TypeError,
           MemoryError, zipfile.BadZipFile, zlib.error)


def write_file(path: Path, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write header and arrays to a temporary name beside the file and rename it; SnapshotError if that fails."""
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
            temporary = file.name
            np.savez_compressed(file, **{_HEADER: text}, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise SnapshotError(f"{path}: cannot be written: {error.strerror or error}") from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_file(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a file; SnapshotError if it is missing, damaged, truncated or of a newer version."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                raise SnapshotError(f"{path}: not a snapshot file")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return _read(path, archive)
    except FileNotFoundError:
        raise SnapshotError(f"{path}: no such file") from None
    except SnapshotError:
        raise
    except _DAMAGE as error:
        raise SnapshotError(f"{path}: damaged or truncated: {error}") from None


def _read(path: Path, archive: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    names = list(archive.files)
    if _HEADER not in names:
        raise SnapshotError(f"{path}: {_HEADER}: the field is missing, this is no snapshot of a guest")
    header = json.loads(_array(path, archive, _HEADER).astype(np.uint8).tobytes())
    check_format(header, str(path))
    if len(set(names)) != len(names):
        raise SnapshotError(f"{path}: a field is there twice")
    return header, {name: _array(path, archive, name) for name in names if name != _HEADER}


def _array(path: Path, archive: Any, name: str) -> np.ndarray:
    try:
        value = archive[name]
    except _DAMAGE as error:
        raise SnapshotError(f"{path}: {name}: damaged: {error}") from None
    if not isinstance(value, np.ndarray):
        raise SnapshotError(f"{path}: {name}: not an array")
    return value

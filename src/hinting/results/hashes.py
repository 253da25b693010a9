"""Hashes of tables, to hold two results against each other."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["table_sha256"]


def table_sha256(table: pa.Table) -> str:
    """sha256 over names, types and values of a table, whatever its chunks and the version of Arrow."""
    found = hashlib.sha256()
    for field, column in zip(table.schema, table.itercolumns(), strict=True):
        valid = np.asarray(pc.is_valid(column))
        found.update(f"{field.name}:{field.type}:{len(table)}:".encode())
        found.update(np.packbits(valid).tobytes())
        if pa.types.is_string(field.type):
            for text in column.drop_null().to_pylist():
                found.update(f"{len(text)}:{text}".encode())
        else:
            found.update(np.ascontiguousarray(column.drop_null().to_numpy()).tobytes())
    return found.hexdigest()

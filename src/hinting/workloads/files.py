"""Files that pass through the page cache."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from hinting.units import PAGE_BYTES
from hinting.workloads.memhog import MARK_DONE, MARK_START
from hinting.workloads.registry import workload
from hinting.workloads.rows import join, rows
from hinting.workloads.rules import Bytes, Flag, Span, Whole

__all__ = ["file_scan"]


@workload
def file_scan(
    size: Annotated[int, Bytes("bytes read", of_guest=1.5)] = 2**30,
    *,
    files: Annotated[int, Whole("files that they lie in", low=1, high=60_000)] = 16,
    repeat: Annotated[int, Whole("times that all are read", low=1, high=10_000)] = 1,
    gap: Annotated[int, Span("time between two passes")] = 0,
    delete: Annotated[bool, Flag("delete the files at the end")] = False,
) -> np.ndarray:
    """Read files one after the other: the page cache fills with clean pages, which no strategy can report.

    Source: the bad case of free page reporting, once through 1.5 times the guest's memory.
    """
    number = np.arange(files)
    pages = size // PAGE_BYTES
    read = rows("READ", files, file=number, b=np.diff(np.arange(files + 1) * pages // files))
    once = join(rows("MARK", a=MARK_START), read, rows("MARK", a=MARK_DONE), rows("SLEEP", a=gap))
    out = np.tile(once, repeat)[:-1]
    return join(out, rows("TRUNCATE", files, file=number)) if delete else out

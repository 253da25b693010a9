"""The program of the hinting series' own tests: allocate, touch every page once, exit."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from hinting._core.engine.ops import MAX_NUMBER, NO_THP, program
from hinting.units import PAGE_BYTES
from hinting.workloads.registry import workload
from hinting.workloads.rules import Bytes, Flag, Span, Whole

__all__ = ["MARK_DONE", "MARK_HELD", "MARK_START", "memhog"]

#: Numbers of the marks that each round sets: before it, when all is touched, after the exit.
MARK_START, MARK_HELD, MARK_DONE = 1, 2, 3


@workload
def memhog(
    size: Annotated[int, Bytes("memory allocated and touched")] = 4 * 2**30,
    *,
    hold: Annotated[int, Span("time from the last touch to the exit")] = 0,
    repeat: Annotated[int, Whole("rounds", low=1, high=1_000_000)] = 1,
    gap: Annotated[int, Span("time between rounds")] = 10_000_000_000,
    thp: Annotated[bool, Flag("huge pages, if the guest's setting allows them")] = True,
    process: Annotated[int, Whole("number of the process", high=MAX_NUMBER)] = 0,
) -> np.ndarray:
    """Allocate `size`, touch every page in address order, hold it, exit; `repeat` times with a `gap` between.

    Source: the cover letters of the hinting series; numactl's memhog.
    """
    pages = size // PAGE_BYTES
    once = program(
        ("MARK", {"a": MARK_START}),
        ("SPAWN", {"proc": process}),
        ("MMAP", {"proc": process, "a": pages, "flags": 0 if thp else NO_THP}),
        ("TOUCH", {"proc": process, "b": pages}),
        ("MARK", {"a": MARK_HELD}),
        ("SLEEP", {"a": hold}),
        ("EXIT", {"proc": process}),
        ("MARK", {"a": MARK_DONE}),
        ("SLEEP", {"a": gap}),
    )
    return np.tile(once, repeat)[:-1]

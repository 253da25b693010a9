"""Programs that allocate memory, touch every page, hold it and exit."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from hinting._core.engine.ops import MAX_NUMBER, NO_THP, SINCE_MARK
from hinting.units import PAGE_BYTES
from hinting.workloads.registry import workload
from hinting.workloads.rows import join, parts, rows
from hinting.workloads.rules import Bytes, Flag, Span, Whole

__all__ = ["MARK_DONE", "MARK_HELD", "MARK_START", "memhog", "test_alloc", "write"]

#: Numbers of the marks that each round sets: before it, when all is touched, after the exit.
MARK_START, MARK_HELD, MARK_DONE = 1, 2, 3
#: Mark of each thread of `write` at the end of its round.
MARK_THREAD = 16


def _rounds(size: int, hold: int, repeat: int, gap: int, thp: bool, process: int) -> np.ndarray:
    pages = size // PAGE_BYTES
    once = join(
        rows("MARK", a=MARK_START),
        rows("SPAWN", proc=process),
        rows("MMAP", proc=process, a=pages, flags=0 if thp else NO_THP),
        rows("TOUCH", proc=process, b=pages),
        rows("MARK", a=MARK_HELD),
        rows("SLEEP", a=hold),
        rows("EXIT", proc=process),
        rows("MARK", a=MARK_DONE),
        rows("SLEEP", a=gap),
    )
    return np.tile(once, repeat)[:-1]


_SIZE = Bytes("memory allocated and touched")
_HOLD = Span("time from the last touch to the exit")
_REPEAT = Whole("rounds", low=1, high=1_000_000)
_GAP = Span("time between rounds")
_THP = Flag("huge pages, if the guest's setting allows them")
_PROCESS = Whole("number of the process", high=MAX_NUMBER)


@workload
def memhog(
    size: Annotated[int, _SIZE] = 6 * 2**30,
    *,
    hold: Annotated[int, _HOLD] = 0,
    repeat: Annotated[int, _REPEAT] = 1,
    gap: Annotated[int, _GAP] = 10_000_000_000,
    thp: Annotated[bool, _THP] = True,
    process: Annotated[int, _PROCESS] = 0,
) -> np.ndarray:
    """Allocate `size`, touch every page in address order, hold it, exit; `repeat` times with a `gap` between.

    Source: numactl's memhog, as the hinting series run it.
    """
    return _rounds(size, hold, repeat, gap, thp, process)


@workload
def test_alloc(
    size: Annotated[int, _SIZE] = 4 * 2**30,
    *,
    hold: Annotated[int, _HOLD] = 0,
    repeat: Annotated[int, _REPEAT] = 1,
    gap: Annotated[int, _GAP] = 10_000_000_000,
    thp: Annotated[bool, _THP] = True,
    process: Annotated[int, _PROCESS] = 0,
) -> np.ndarray:
    """The test program of the hinting series: allocate 4 GiB, touch it, exit; memhog with another size.

    Source: the cover letters of the hinting series.
    """
    return _rounds(size, hold, repeat, gap, thp, process)


@workload
def write(
    size: Annotated[int, Bytes("memory that all threads together allocate and touch")] = 8 * 2**30,
    *,
    threads: Annotated[int, Whole("threads, each on a vCPU with a part of the memory", low=1, high=256, of_guest="most")] = 8,
    repeat: Annotated[int, _REPEAT] = 5,
    period: Annotated[int, Span("time from the start of a round to the start of the next")] = 30_000_000_000,
    thp: Annotated[bool, _THP] = True,
) -> list[np.ndarray]:
    """Threads allocate and touch memory together and give it back; a round every `period`.

    Source: the multi-VM test of the HyperAlloc evaluation.
    """
    return [_write_thread(i, int(n), threads, repeat, period, thp) for i, n in enumerate(parts(size // PAGE_BYTES, threads))]


def _write_thread(thread: int, pages: int, threads: int, repeat: int, period: int, thp: bool) -> np.ndarray:
    work = join(
        rows("SPAWN", proc=thread),
        rows("MMAP", proc=thread, a=max(1, pages), flags=0 if thp else NO_THP),
        rows("TOUCH", proc=thread, b=pages),
        rows("EXIT", proc=thread),
        rows("MARK", a=MARK_THREAD),
    )
    if thread:
        out = np.tile(join(rows("WAIT", a=MARK_START), work), repeat)
        out["b"][:: work.size + 1] = np.arange(1, repeat + 1)
        return out
    once = join(
        rows("MARK", a=MARK_START),
        work,
        rows("WAIT", a=MARK_THREAD),
        rows("MARK", a=MARK_DONE),
        rows("SLEEP", a=period, b=MARK_START, flags=SINCE_MARK),
    )
    out = np.tile(once, repeat)
    out["b"][work.size + 1 :: once.size] = threads * np.arange(1, repeat + 1)
    return out[:-1]

"""Page faults as fast as they go: map, touch, unmap."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from hinting._core.engine.ops import NO_THP
from hinting.units import PAGE_BYTES
from hinting.workloads.memhog import MARK_DONE, MARK_START
from hinting.workloads.registry import workload
from hinting.workloads.rows import join, rows
from hinting.workloads.rules import Bytes, Flag, Span, Whole

__all__ = ["page_fault1", "page_fault2", "stress_vm"]

_SIZE = Bytes("memory of one iteration")
_ITERATIONS = Whole("iterations of each process; iterations / time between marks 1 and 3 is the metric", low=1, high=10**7)
_PROCESSES = Whole("processes, one a vCPU", low=1, high=256, of_guest="most")


def _mapped(process: int, pages: int, thp: bool, body: np.ndarray) -> np.ndarray:
    """A mapping of its own for what the body does."""
    return join(
        rows("MMAP", proc=process, a=pages, flags=0 if thp else NO_THP), body, rows("MUNMAP", proc=process)
    )


def _looped(process: int, before: np.ndarray, loop: np.ndarray, iterations: int) -> np.ndarray:
    return join(
        before,
        rows("MARK", a=MARK_START),
        np.tile(loop, iterations),
        rows("MARK", a=MARK_DONE),
        rows("EXIT", proc=process),
    )


@workload
def page_fault1(
    size: Annotated[int, _SIZE] = 128 * 2**20,
    *,
    iterations: Annotated[int, _ITERATIONS] = 100,
    processes: Annotated[int, _PROCESSES] = 1,
    thp: Annotated[bool, Flag("huge pages, if the guest's setting allows them")] = True,
) -> list[np.ndarray]:
    """Loop: map anonymous memory, touch each page, unmap it.

    Source: will-it-scale page_fault1.
    """
    pages = size // PAGE_BYTES
    programs = []
    for process in range(processes):
        loop = _mapped(process, pages, thp, rows("TOUCH", proc=process, b=pages))
        programs.append(_looped(process, rows("SPAWN", proc=process), loop, iterations))
    return programs


@workload
def page_fault2(
    size: Annotated[int, _SIZE] = 128 * 2**20,
    *,
    iterations: Annotated[int, _ITERATIONS] = 100,
    processes: Annotated[int, _PROCESSES] = 1,
) -> list[np.ndarray]:
    """Loop: map a file privately, write to each page (a copy of the cached page), unmap it.

    Every process has its own file, which the first iteration reads into the page cache. Source: will-it-scale page_fault2.
    """
    pages = size // PAGE_BYTES
    programs = []
    for process in range(processes):
        copy = join(rows("READ", file=process, b=pages), rows("TOUCH", proc=process, b=pages))
        loop = _looped(process, rows("SPAWN", proc=process), _mapped(process, pages, False, copy), iterations)
        programs.append(join(loop, rows("TRUNCATE", file=process)))
    return programs


@workload
def stress_vm(
    size: Annotated[int, Bytes("memory of each worker")] = 256 * 2**20,
    *,
    workers: Annotated[int, Whole("workers, one a vCPU", low=1, high=256, of_guest="most")] = 2,
    rounds: Annotated[int, Whole("times that a worker maps its memory", low=1, high=10**6)] = 16,
    patterns: Annotated[int, Whole("passes that rewrite the memory in a round", low=1, high=1000)] = 4,
    hang: Annotated[int, Span("time before the memory is unmapped")] = 0,
    keep: Annotated[bool, Flag("map once and go on with the same memory")] = False,
    pass_time: Annotated[int, Span("time of one rewriting pass")] = 50_000_000,
    thp: Annotated[bool, Flag("huge pages, if the guest's setting allows them")] = True,
) -> list[np.ndarray]:
    """Workers map memory, rewrite it in patterns, and unmap or keep it.

    Source: stress-ng --vm.
    """
    pages = size // PAGE_BYTES
    programs = []
    for worker in range(workers):
        rewrite = join(rows("TOUCH", proc=worker, b=pages), rows("COMPUTE", a=pass_time))
        loop = join(np.tile(rewrite, patterns), rows("SLEEP", a=hang))
        before, once = rows("SPAWN", proc=worker), _mapped(worker, pages, thp, loop)
        if keep:
            before, once = join(before, once[:1]), loop
        programs.append(_looped(worker, before, once, rounds))
    return programs

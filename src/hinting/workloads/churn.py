"""Memory in use stays about the same while its pieces come and go: what fragments a guest."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from hinting._core.engine.ops import NO_THP
from hinting.units import PAGE_BYTES
from hinting.workloads.memhog import MARK_DONE, MARK_START
from hinting.workloads.registry import SEED, workload
from hinting.workloads.rows import interleave, join, log_uniform, random, rows
from hinting.workloads.rules import Bytes, Flag, OneOf, Span, Whole

__all__ = ["churn"]

ORDERS = ("random", "fifo", "lifo")


@workload
def churn(
    size: Annotated[int, Bytes("memory in use on average")] = 2**30,
    *,
    smallest: Annotated[int, Bytes("smallest piece")] = 64 * 2**10,
    largest: Annotated[int, Bytes("largest piece; sizes are log-uniform")] = 64 * 2**20,
    turns: Annotated[int, Whole("pieces given back and replaced", low=1, high=10**7)] = 2000,
    order: Annotated[str, OneOf("which piece goes next", ORDERS)] = "random",
    pause: Annotated[int, Span("time between two turns")] = 10_000_000,
    thp: Annotated[bool, Flag("huge pages, if the guest's setting allows them")] = True,
    seed: Annotated[int, SEED] = 0,
) -> np.ndarray:
    """Keep `size` in pieces of random sizes; each turn gives one piece back and touches a new one in its place.

    Source: the demand steps of fleet traces, whose frees are at random, oldest first or newest first.
    """
    rng = random(seed)
    low, high = sorted((smallest // PAGE_BYTES, largest // PAGE_BYTES))
    mean = max(1.0, float(np.rint(log_uniform(rng, low, high, 4096)).mean()))
    pieces = int(min(60_000, max(1, round(size / PAGE_BYTES / mean))))
    first = np.maximum(1, log_uniform(rng, low, high, pieces).astype(np.int64))
    again = np.maximum(1, log_uniform(rng, low, high, turns).astype(np.int64))
    if order == "random":
        which = rng.integers(0, pieces, turns)
    elif order == "fifo":
        which = np.arange(turns) % pieces
    else:
        which = np.full(turns, pieces - 1)
    numbers, flags = np.arange(pieces), 0 if thp else NO_THP
    return join(
        rows("MARK", a=MARK_START),
        rows("SPAWN"),
        interleave(rows("MMAP", pieces, region=numbers, a=first, flags=flags), rows("TOUCH", pieces, region=numbers, b=first)),
        interleave(
            rows("MUNMAP", turns, region=which),
            rows("MMAP", turns, region=which, a=again, flags=flags),
            rows("TOUCH", turns, region=which, b=again),
            rows("SLEEP", turns, a=pause),
        ),
        rows("EXIT"),
        rows("MARK", a=MARK_DONE),
    )

"""What "best" means where nobody says it: the most guests on a host, else the least memory over time."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["ELASTICITY", "FOOTPRINT", "ROOM", "memory_over_time"]

ROOM, FOOTPRINT, ELASTICITY = "guests_fit", "footprint", "elasticity"
#: Runs are about equally long if the longest takes at most so many times as long as the shortest.
_EQUAL = 1.1


def memory_over_time(seconds: Sequence[float | None]) -> str:
    """The metric that says how much memory guests cost over time; seconds: emulated guest time of what is compared.

    A footprint grows with time, and runs may end when a strategy has nothing more to do. So it is the footprint of runs
    that are about equally long, and else the elasticity: the footprint over the memory that was in use.

    >>> memory_over_time([60.0, 61.0]), memory_over_time([30.0, 90.0]), memory_over_time([])
    ('footprint', 'elasticity', 'footprint')
    """
    there = [value for value in seconds if value]
    return FOOTPRINT if max(there, default=0.0) <= _EQUAL * min(there, default=0.0) else ELASTICITY

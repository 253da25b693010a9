"""The program of the hinting series' own tests: allocate, touch every page once, exit."""

from __future__ import annotations

import numpy as np

from hinting._core.engine.ops import MAX_NUMBER, NO_THP, program
from hinting.errors import OpError
from hinting.units import parse_duration, size_pages

__all__ = ["MARK_DONE", "MARK_HELD", "MARK_START", "memhog"]

#: Numbers of the marks that each round sets: before it, when all is touched, after the exit.
MARK_START, MARK_HELD, MARK_DONE = 1, 2, 3


def memhog(
    size: int | str, *, hold: int | str = 0, repeat: int = 1, gap: int | str = "10s", thp: bool = True, process: int = 0
) -> np.ndarray:
    """Allocate `size`, touch every page in address order, hold it, exit; `repeat` times with a `gap` between.

    size: bytes or "4GiB", whole pages. hold, gap: ns or "10s". thp: False asks for no huge pages, whatever the guest's
    setting. process: number of the process. Source: the cover letters of the hinting series; numactl's memhog.
    """
    pages = size_pages(size, "memhog size")
    if pages < 1:
        raise OpError(f"memhog size must be at least one page, got {size!r}")
    if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
        raise OpError(f"memhog repeat must be a whole number, 1 or more, got {repeat!r}")
    if isinstance(process, bool) or not isinstance(process, int) or not 0 <= process <= MAX_NUMBER:
        raise OpError(f"memhog process must be a whole number between 0 and {MAX_NUMBER}, got {process!r}")
    hold_ns, gap_ns = parse_duration(hold, "memhog hold"), parse_duration(gap, "memhog gap")
    rows: list[tuple[str, dict[str, int]]] = []
    for turn in range(repeat):
        if turn:
            rows.append(("SLEEP", {"a": gap_ns}))
        rows += [
            ("MARK", {"a": MARK_START}),
            ("SPAWN", {"proc": process}),
            ("MMAP", {"proc": process, "a": pages, "flags": 0 if thp else NO_THP}),
            ("TOUCH", {"proc": process, "b": pages}),
            ("MARK", {"a": MARK_HELD}),
            ("SLEEP", {"a": hold_ns}),
            ("EXIT", {"proc": process}),
            ("MARK", {"a": MARK_DONE}),
        ]
    return program(*rows)

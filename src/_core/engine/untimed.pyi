from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hinting._core.host.ram import Backing
from hinting._core.mm.allocator import Allocator
from hinting._core.strategies.hooks import Strategy

class Untimed:
    """A guest's allocator, the strategy attached to it (None: none), and what backs its memory on the host."""

    @property
    def allocator(self) -> Allocator: ...
    @property
    def strategy(self) -> Strategy | None: ...
    @property
    def backing(self) -> Backing: ...
    def __init__(self, allocator: Allocator, strategy: Strategy | None, backing: Backing) -> None: ...
    def alloc(self, n: int, order: int, gfp: int, cpu: int = 0) -> NDArray[np.uint32]:
        """Allocate up to n blocks and write to their pages; pfns in the order in which they were chosen."""

    def free(self, pfns: Sequence[int] | NDArray[np.integer], order: int, cpu: int = 0) -> None:
        """Free allocated blocks one after the other; this CPU's thread runs whenever a free wakes it."""

    def cycles(self, n: int, order: int, gfp: int, cpu: int = 0, burst: int = 1) -> int:
        """Allocate `burst` blocks, write to them, free them in the same order, n times; returns the cycles done."""

    def run_thread(self, cpu: int = 0) -> None:
        """Run a CPU's thread until it sleeps, whether it was woken or not."""

    def tick(self, cpu: int = 0) -> bool:
        """Run the strategy's timer on a CPU, and its thread if the timer wakes it; False if there is no timer."""

    @property
    def outcome(self) -> dict[str, float]:
        """What it cost and returned so far: times in ns, memory in pages."""

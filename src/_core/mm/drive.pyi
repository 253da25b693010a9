from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hinting._core.mm.allocator import Allocator

def alloc_many(allocator: Allocator, n: int, order: int, gfp: int, cpu: int = 0) -> NDArray[np.uint32]:
    """First pfns of up to n blocks of 2^order pages, in the order in which they were chosen."""

def free_many(
    allocator: Allocator, pfns: Sequence[int] | NDArray[np.integer], order: int, cpu: int = 0
) -> None:
    """Free allocated blocks one after the other; the free hook runs for each."""

def alloc_free_cycles(allocator: Allocator, n: int, order: int, gfp: int, cpu: int = 0, burst: int = 1) -> int:
    """Allocate `burst` blocks and free them in the same order, n times; returns the number of cycles that were done."""

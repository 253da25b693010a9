from typing import Any

import numpy as np
from numpy.typing import NDArray

from hinting._core.kernel import Kernel

class AllocatorState:
    """Zones, free lists and per-CPU page lists of one guest, to be looked at. Pages are pfns, amounts are pages."""

    @property
    def kernel(self) -> Kernel: ...
    @property
    def npfn(self) -> int:
        """One past the last page frame."""

    @property
    def ncpus(self) -> int:
        """CPUs with page lists of their own."""

    @property
    def kswapd_wakeups(self) -> int:
        """How often kswapd was woken."""

    @property
    def allocstall(self) -> int:
        """Requests that failed where the kernel would have reclaimed directly."""

    def zones(self) -> list[int]:
        """Indices of the populated zones, ascending."""

    def free_list_array(self, zone: int, order: int, migratetype: int) -> NDArray[np.uint32]:
        """pfns of one free list from head to tail."""

    def reported_array(self, pfns: NDArray[np.uint32], order: int) -> NDArray[np.bool_]:
        """For each free block of this order, whether it carries the reported mark."""

    def free_lists(self) -> dict[tuple[int, int, int], list[int]]:
        """{(zone, order, migratetype): [pfn, ...] head first}, without empty lists."""

    def pcp_list_array(self, zone: int, cpu: int, index: int) -> NDArray[np.uint32]:
        """pfns of one per-CPU list from head to tail."""

    def pcp_index(self, order: int, migratetype: int) -> int | None:
        """Number of the per-CPU list that serves requests of this order and migratetype; None if the kernel has none."""

    def pcp_lists(self) -> dict[tuple[int, int, int], list[int]]:
        """{(zone, cpu, pindex): [pfn, ...] head first}, without empty lists."""

    def pcp_state(self, zone: int, cpu: int) -> dict[str, int]:
        """Fields of one per-CPU page set; count and high in pages, diff: its part of the counter."""

    def zone_state(self, zone: int) -> dict[str, Any]:
        """Counters and limits of a zone; all in pages."""

    def block_types(self) -> list[int]:
        """Migratetype of every pageblock up to the last page frame."""

    def buddyinfo(self) -> NDArray[np.int64]:
        """Free blocks by zone and order, shape (4, 11)."""

    def page(self, pfn: int) -> str:
        """What a page is, in words: "free (a block of order 9)", "allocated (...)", ..."""

def pagetypeinfo(allocator: AllocatorState) -> NDArray[np.int64]:
    """Free blocks by zone, migratetype and order, shape (4, 5, 11), counted by walking the lists."""

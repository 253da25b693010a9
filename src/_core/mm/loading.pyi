from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hinting._core.mm.views import AllocatorState

class LoadableState(AllocatorState):
    """The state of an allocator, with what loads a given state into it."""

    def load_free(
        self, zone: int, order: int, migratetype: int, pfns: NDArray[np.uint32], reported: NDArray[np.uint8]
    ) -> None:
        """Append blocks to one free list in the order given, head first, with their reported marks."""

    def load_isolated(self, pfn: int, order: int) -> None:
        """Make a block one that is isolated: outside the lists and not counted."""

    def load_pcp(
        self, zone: int, cpu: int, index: int, pfns: NDArray[np.uint32], migratetypes: NDArray[np.uint8]
    ) -> None:
        """Append pages to one per-CPU list in the order given, with their cached migratetypes (5.0, 6.1)."""

    def load_used(self, memory: NDArray[np.uint8]) -> None:
        """Make every page with memory[pfn] != 0 that is on no list an allocated single page; 2 = counts as movable."""

    def load_pageblocks(self, types: NDArray[np.uint8]) -> None:
        """Migratetypes of all pageblocks from pfn 0 on."""

    def load_pcp_state(self, zone: int, cpu: int, state: Mapping[str, int]) -> None:
        """Set fields of one per-CPU page set."""

    def load_zone_state(
        self,
        zone: int,
        counter: int | None = None,
        boost: int | None = None,
        flags: int | None = None,
        nr_isolated_blocks: int | None = None,
    ) -> None:
        """Set the free-page counter (pages), boost (pages) and flags (1 boosted, 2 reclaim active, 4 below high)."""

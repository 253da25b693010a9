from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hinting._core.kernel import Kernel

class Allocator:
    """Zones, free lists and per-CPU page lists of one guest, empty at first: all pages are outside the allocator."""

    @property
    def kernel(self) -> Kernel: ...
    def __init__(self, kernel: Kernel, zones: Iterable[Mapping[str, Any]], ncpus: int = 1) -> None: ...

    # pages in and out

    def add_free(self, pfn: int, order: int, tail: bool = False, migratetype: int | None = None) -> None:
        """Hand a block to the allocator: it enters the free lists and merges."""

    def insert_free(self, pfn: int, order: int, migratetype: int) -> None:
        """Append a block to the tail of a free list as it is, without merging: to load a given state."""

    def alloc(self, order: int, gfp: int, cpu: int = 0) -> int:
        """First pfn of an allocated block of 2^order pages, -1 if the kernel would have to reclaim or fails."""

    def bulk(self, gfp: int, n: int, cpu: int = 0) -> list[int]:
        """pfns of up to n single pages by the bulk interface (6.x)."""

    def free(self, pfn: int, order: int, cpu: int = 0) -> None:
        """Free an allocated block."""

    def free_list(self, pfns: Iterable[int], cpu: int = 0) -> None:
        """Free single pages as one list: all pass the free hook before any reaches a per-CPU list."""

    def split(self, pfn: int, order: int) -> None:
        """Make 2^order allocated single pages of an allocated block, to be freed one by one."""

    def drain(self, cpu: int | None = None) -> None:
        """Empty the per-CPU lists of one CPU, or of all CPUs in ascending order."""

    def raise_errors(self) -> None:
        """Raise what went wrong inside and was not raised yet: a strategy that was stopped, or no memory."""

    def decay(self, cpu: int) -> None:
        """The once-a-second decay of a CPU's page lists (6.12)."""

    def fold(self, cpu: int) -> None:
        """Move a CPU's counter differences into the zones' counters."""

    def isolate(self, pfn: int, order: int) -> bool:
        """Take a free block of exactly this order off its list; False if the min watermark forbids it."""

    def putback(self, pfn: int, order: int) -> None:
        """Return an isolated block to the tail of its list, merging it."""

    def set_block_type(self, pfn: int, migratetype: int) -> None:
        """Set the migratetype of the pageblock of pfn."""

    # state in bulk

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

    # state out

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

    # whole states

    def copy(self) -> Allocator:
        """An independent allocator in exactly the same state, without hooks: no strategy is attached to it."""

    def exchange(self, other: Allocator) -> None:
        """Exchange the whole state with an allocator of the same kernel and size; each keeps its hooks."""

    def state(self) -> dict[str, NDArray[Any]]:
        """The whole state as {name: NumPy array}; hinting._core.mm.state_arrays describes them."""

    @staticmethod
    def from_state(kernel: Kernel, state: Mapping[str, Any]) -> Allocator:
        """A new allocator in a state that `state()` gave; PageError if the state contradicts itself."""

    def check(self) -> None:
        """Verify every invariant by a full recount; raises CheckError naming the first that fails."""

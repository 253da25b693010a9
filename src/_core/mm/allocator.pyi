from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from hinting._core.kernel import Kernel
from hinting._core.mm.loading import LoadableState

class Allocator(LoadableState):
    """Zones, free lists and per-CPU page lists of one guest, empty at first: all pages are outside the allocator."""

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

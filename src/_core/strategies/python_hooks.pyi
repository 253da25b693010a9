"""Hooks written in plain Python."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hinting._core.strategies.external import External
from hinting._core.strategies.faults import Fault

class PythonHooks:
    """The hooks of one guest's policy object. batch: pages a call; time_limit_s: wall-clock time of one call."""

    policy: Any
    guest: HookGuest
    time_limit_s: float
    def __init__(
        self, policy: Any, batch: int, time_limit_s: float, settings: Mapping[str, Any], locate: Callable[[Fault], str],
    ) -> None: ...
    def prepare(self, core: External, ncpus: int, npfn: int) -> None:
        """Make room for a guest's CPUs and fill the core's table."""
    def interrupt_if_late(self) -> None:
        """End the hook that runs if it has run for longer than its limit. Called by the watchdog."""
    def where(self, fault: Fault) -> str:
        """The line of the policy that a fault comes from."""
    def counters(self) -> dict[str, int]:
        """The policy's counters."""
    def statistics(self) -> dict[str, int]:
        """What else the policy gives."""

class HookGuest:
    """The guest, as a hook may use it; only while the hook runs."""

    def block(self, pfn: int) -> tuple[int, int]:
        """(first page, order) of the free block that holds pfn, without the zone lock; (-1, 0) if none does."""
    def blocks(self, pfns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same for an array of pages: (first pages, orders), int64."""
    def page(self, pfn: int) -> tuple[int, int, int]:
        """(PAGE_*, first page, order) of the block that pfn belongs to, under one hold of the zone lock."""
    def isolate(self, pfn: int, order: int) -> bool:
        """Take a free block of exactly this order off its list; False if the min watermark forbids it."""
    def isolate_all(self, pfns: np.ndarray, orders: np.ndarray | int) -> np.ndarray:
        """Isolate many blocks; a bool array, False where the min watermark forbids it."""
    def report(self) -> int:
        """Report all blocks that this call has isolated. The ticket; -1 without any block or if the queue is full."""
    def reported(self, ticket: int) -> tuple[np.ndarray, np.ndarray]:
        """The blocks of a report under way that were not put back: (pfns, orders), int64."""
    def put_back(self, pfn: int, order: int, tail: bool = False) -> None:
        """Return a block that this call isolated, or in on_host_done one of its report, to the free lists."""
    def put_back_all(self, ticket: int, tail: bool = False) -> None:
        """on_host_done: return all that is left of the report, in its order."""
    def release(self, tail: bool = False) -> None:
        """Return all blocks that this call has isolated and not reported."""
    def drain(self, cpu: int) -> int:
        """Empty the page lists of a CPU; returns pages."""
    def wake(self) -> None:
        """Wake the thread of the CPU that runs this hook."""
    def first(self, zone: int, migratetype: int, order: int) -> int:
        """First block of a free list, -1 if it is empty."""
    def next(self, pfn: int) -> int:
        """The block behind a free block on its list, -1 at the end."""
    def mark_reported(self, pfn: int, order: int) -> bool:
        """Set the mark of free page reporting; False if this is no free block of this order any more."""
    def is_reported(self, pfn: int) -> bool:
        """Whether pfn is in a free block with the mark of free page reporting."""
    def work(self, captured: int, compared: int = 0) -> None:
        """Count the strategy's own work, for which the guest is charged time: pages noted, entries compared."""
    def free_blocks(self, zone: int, order: int) -> int:
        """Free blocks of an order in a zone."""
    def free_pages(self, zone: int) -> int:
        """Free pages of a zone."""
    def watermark(self, zone: int, which: int) -> int:
        """A zone's watermark, pages: 0 min, 1 low, 2 high."""
    def zone(self, pfn: int) -> int:
        """Zone of a page: 0 DMA, 1 DMA32, 2 Normal, 3 Movable; -1 between zones."""
    def migratetype(self, pfn: int) -> int:
        """Migratetype of the page's pageblock: 0 unmovable, 1 movable, 2 reclaimable, 3 highatomic, 4 isolate."""
    def n_pages(self) -> int:
        """Page frames of the guest, holes included."""
    def n_cpus(self) -> int:
        """CPUs of the guest."""

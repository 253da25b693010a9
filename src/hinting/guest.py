"""A guest: memory, a kernel's page allocator, and a strategy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from hinting import gfp as gfp_module
from hinting import kernels
from hinting._core.mm.allocator import Allocator
from hinting._core.mm.boot import free_memory, zones_of
from hinting._core.mm.drive import alloc_many, free_many
from hinting._core.strategies.hooks import Strategy
from hinting.costs import CostProfile
from hinting.costs import load as load_costs
from hinting.errors import GuestError, StrategyError
from hinting.gfp import Gfp
from hinting.guests import MemoryMap, memory_map
from hinting.strategies import StrategySpec, find
from hinting.units import size_pages

__all__ = ["Guest"]

#: Guest THP settings that are emulated.
THP_MODES = ("always", "never")


class Guest:
    """One guest's memory as its kernel manages it, freshly booted: all memory free but what boot reserves.

    memory: RAM, bytes or text such as "5GiB", whole pages. vcpus: 1 to 256. kernel: a profile ("linux-5.0",
    "linux-6.1", "linux-6.12"). strategy: an instance of hinting.strategies, a name, or None. thp: "always" or "never",
    the guest's transparent huge pages. costs: a cost profile, for the footprint of boot.

    Pages are page frame numbers (pfn). Every method that takes one raises PageError for a page that is not as it must
    be, with the guest unchanged.

    >>> guest = Guest(memory="1GiB", kernel="linux-6.1")
    >>> pfn = guest.alloc(order=3)
    >>> guest.free(pfn, order=3)
    """

    def __init__(
        self,
        memory: int | str,
        *,
        vcpus: int = 1,
        kernel: str = "linux-5.0",
        strategy: StrategySpec | str | None = None,
        thp: str = "always",
        costs: CostProfile | None = None,
    ) -> None:
        if isinstance(vcpus, bool) or not isinstance(vcpus, int) or not 1 <= vcpus <= 256:
            raise GuestError(f"guest vcpus must be between 1 and 256, got {vcpus!r}")
        if thp not in THP_MODES:
            raise GuestError(f"guest thp must be one of {', '.join(THP_MODES)}, got {thp!r}")
        self._costs = costs if costs is not None else load_costs()
        self._map = memory_map(size_pages(memory, "guest memory"), self._costs)
        self._kernel = kernels.load(kernel)
        self._thp = thp
        zones = zones_of(self._kernel, self._map.ram, self._map.free, vcpus, thp != "never")
        self._allocator = Allocator(self._kernel, zones, vcpus)
        free_memory(self._allocator, self._map.free, self._map.deferred)
        self._spec = find(strategy) if isinstance(strategy, str) else strategy
        if self._spec is not None and not isinstance(self._spec, StrategySpec):
            raise StrategyError(f"strategy must be one of hinting.strategies, a name or None, got {strategy!r}")
        self._strategy = self._spec.core() if self._spec is not None else None
        if self._strategy is not None:
            self._strategy.attach(self._allocator)

    def alloc(self, order: int = 0, gfp: Gfp | int = gfp_module.KERNEL, cpu: int = 0) -> int:
        """First pfn of a block of 2^order pages, chosen as the kernel would; -1 if it would have to reclaim or fail.

        order: 0 to 10. gfp: one of hinting.gfp, or a number of this guest's kernel. cpu: whose page lists serve it.
        """
        return self._allocator.alloc(order, gfp_module.value(gfp, self._kernel), cpu)

    def alloc_bulk(self, n: int, gfp: Gfp | int = gfp_module.KERNEL, cpu: int = 0) -> list[int]:
        """Up to n single pages by the bulk interface; KernelError for a kernel without it (5.0)."""
        return self._allocator.bulk(gfp_module.value(gfp, self._kernel), n, cpu)

    def free(self, pfn: int, order: int = 0, cpu: int = 0) -> None:
        """Free a block that alloc returned, with the same order."""
        self._allocator.free(pfn, order, cpu)

    def free_list(self, pfns: Iterable[int], cpu: int = 0) -> None:
        """Free single pages as one list, as the exit of a process does."""
        self._allocator.free_list(pfns, cpu)

    def alloc_many(self, n: int, order: int = 0, gfp: Gfp | int = gfp_module.KERNEL, cpu: int = 0) -> np.ndarray:
        """First pfns of up to n blocks as uint32, chosen one after the other as by alloc.

        The array ends early at the first block for which the kernel would have to reclaim or fail.
        """
        return alloc_many(self._allocator, n, order, gfp_module.value(gfp, self._kernel), cpu)

    def free_many(self, pfns: Sequence[int] | np.ndarray, order: int = 0, cpu: int = 0) -> None:
        """Free blocks of one order, one after the other as by free; all of them or, if one is wrong, none."""
        free_many(self._allocator, pfns, order, cpu)

    def split(self, pfn: int, order: int) -> None:
        """Turn an allocated block into 2^order single pages that are freed one by one."""
        self._allocator.split(pfn, order)

    def drain(self, cpu: int | None = None) -> None:
        """Empty the per-CPU page lists of one CPU, or of all."""
        self._allocator.drain(cpu)

    def buddyinfo(self) -> np.ndarray:
        """Free blocks by zone and order, int64 of shape (4, 11), as /proc/buddyinfo."""
        return self._allocator.buddyinfo()

    def free_pages(self) -> int:
        """Pages on the free lists of all zones; pages on per-CPU lists do not count."""
        return sum(self._allocator.zone_state(zone)["free"] for zone in self._allocator.zones())

    def page(self, pfn: int) -> str:
        """What a page is, in words."""
        return self._allocator.page(pfn)

    def check(self) -> None:
        """Verify every invariant of the allocator by a full recount; CheckError names the first that fails."""
        self._allocator.check()

    def counters(self) -> dict[str, int]:
        """The strategy's counters under the kernel's labels (v8: KiB); empty without a strategy."""
        return self._strategy.counters() if self._strategy is not None else {}

    @property
    def memory_map(self) -> MemoryMap:
        """RAM, reserved and free ranges."""
        return self._map

    @property
    def memory_bytes(self) -> int:
        """Configured RAM as the firmware shows it; the first page is never RAM."""
        return (self._map.pages + 1) * 4096

    @property
    def vcpus(self) -> int:
        return self._allocator.ncpus

    @property
    def kernel(self) -> str:
        """Name of the kernel profile."""
        return self._kernel.name

    @property
    def thp(self) -> str:
        return self._thp

    @property
    def costs(self) -> CostProfile:
        return self._costs

    @property
    def strategy(self) -> StrategySpec | None:
        """The strategy's parameters."""
        return self._spec

    @property
    def strategy_core(self) -> Strategy | None:
        """The strategy at work in this guest: its threads and captured pages, for study by hand."""
        return self._strategy

    @property
    def allocator(self) -> Allocator:
        """The compiled allocator: zones, free lists, per-CPU lists, state in bulk."""
        return self._allocator

    def __repr__(self) -> str:
        strategy = self._spec.name if self._spec is not None else "none"
        return f"<Guest {self.memory_bytes >> 20} MiB, {self.vcpus} vCPU, {self.kernel}, strategy {strategy}>"

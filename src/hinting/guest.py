"""A guest: memory, a kernel's page allocator, and a strategy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hinting import gfp as gfp_module
from hinting import kernels, procfs
from hinting._core.limits import MAX_CPUS
from hinting._core.mm.allocator import Allocator
from hinting._core.mm.boot import free_memory, zones_of
from hinting._core.mm.check import isolated_pages
from hinting._core.mm.drive import alloc_many, free_many
from hinting._core.mm.views import pagetypeinfo
from hinting._core.strategies.hooks import Strategy
from hinting.costs import CostProfile
from hinting.costs import load as load_costs
from hinting.errors import GuestError, PageError, SnapshotError, StrategyError
from hinting.gfp import Gfp
from hinting.guests import THP_LEAST_PAGES, THP_MODES, MemoryMap, memory_map
from hinting.kinds import items_of, of_kind
from hinting.recordings.reader import Recording
from hinting.snapshots.snapshot import Snapshot, attach, open_snapshot
from hinting.strategies import StrategySpec, find
from hinting.units import PAGE_BYTES, size_pages

__all__ = ["Guest"]


class Guest:
    """One guest's memory as its kernel manages it, freshly booted: all memory free but what boot reserves.

    memory: RAM, bytes or text such as "5GiB", whole pages. vcpus: 1 to 256. kernel: a profile ("linux-5.0",
    "linux-6.1", "linux-6.12"). strategy: an instance of hinting.strategies, a name, or None. thp: the guest's
    transparent huge pages, "always", "madvise" (for programs that ask, which no emulated one does) or "never"; its kernel
    switches them off if it manages less than 512 MiB at boot. costs: a cost profile, for the footprint of boot.

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
        if isinstance(vcpus, bool) or not isinstance(vcpus, int) or not 1 <= vcpus <= MAX_CPUS:
            raise GuestError(f"guest vcpus must be between 1 and {MAX_CPUS}, got {vcpus!r}")
        if not isinstance(thp, str) or thp not in THP_MODES:
            raise GuestError(f"guest thp must be one of {', '.join(THP_MODES)}, got {thp!r}")
        self._costs = load_costs() if costs is None else of_kind(CostProfile, costs, "guest costs", "a cost profile", GuestError)
        self._map = memory_map(size_pages(memory, "guest memory"), self._costs)
        self._kernel = kernels.load(kernel)
        self._thp = thp if self._map.managed_at_boot >= THP_LEAST_PAGES else "never"
        zones = zones_of(self._kernel, self._map.ram, self._map.free, vcpus, self._thp != "never", self._map.late)
        self._allocator = Allocator(self._kernel, zones, vcpus)
        free_memory(self._allocator, self._map.free, self._map.deferred, self._map.late)
        self._allocator.drain()  # a fresh guest has all its free memory on the free lists
        self._spec = _spec_of(strategy)
        self._strategy = attach(self._spec, self._allocator, None) if self._spec is not None else None
        self._launched = False

    # -- moments -----------------------------------------------------------------------------------------------

    @classmethod
    def from_snapshot(
        cls,
        source: Snapshot | Recording | str | Path,
        *,
        at: Literal["t0", "t1"] | None = None,
        strategy: StrategySpec | str | Literal["as it was"] | None = "as it was",
    ) -> Guest:
        """A new guest in exactly the state of a moment: it makes the same choices as the original from there on.

        source: a Snapshot, the path of a file that `Snapshot.save` wrote, or a recording of a real kernel (its folder).
        at: moment of a recording, "t0" (default) or "t1". strategy: another strategy (or None) that starts anew in this
        memory. Memory that was in use when a recording began is single pages.

        Raises SnapshotError or RecordingError; GuestError for another strategy while the old one isolates blocks.

        >>> guest = Guest("1GiB", kernel="linux-6.12")
        >>> page = guest.alloc()
        >>> other = Guest.from_snapshot(guest.snapshot(), strategy="v8")
        >>> other.page(page)
        'allocated (a block of order 0)'
        """
        moment = open_snapshot(source, at)
        spec, state = moment.strategy, moment._strategy_state
        if strategy != "as it was":
            isolated = sum(isolated_pages(moment._allocator))
            if isolated:
                raise GuestError(f"guest strategy cannot be exchanged while {isolated} pages are isolated")
            spec, state = _spec_of(strategy), None
        guest = cls.__new__(cls)
        guest._fill(moment, moment._allocator.copy(), spec, state)
        return guest

    def _fill(
        self, of: Snapshot | Guest, allocator: Allocator, spec: StrategySpec | None,
        state: Mapping[str, np.ndarray] | None,
    ) -> None:
        """Become a guest like `of`, with this allocator and this state of its strategy."""
        self._costs, self._map, self._thp = of.costs, of.memory_map, of.thp
        self._kernel = kernels.load(of.kernel)
        self._allocator = allocator
        self._spec = spec
        self._strategy = attach(spec, allocator, state) if spec is not None else None
        self._launched = False

    def snapshot(self) -> Snapshot:
        """The guest at this moment, as an immutable object; some milliseconds for a guest of 5 GiB.

        Programs of a simulation are not part of it. Raises StrategyError if the strategy cannot say what it knows.
        """
        return Snapshot(self.kernel, self._map, self._thp, self._costs, self._spec, self._allocator.copy(),
                        self._strategy_state())

    def restore(self, snapshot: Snapshot) -> None:
        """Go back (or over) to a moment of a guest of the same memory, CPUs, kernel and strategy.

        Raises SnapshotError, with nothing changed, for a snapshot of another guest; GuestError for a guest that was
        launched: its programs cannot go back.

        >>> guest = Guest("1GiB", strategy="v8")
        >>> moment = guest.snapshot()
        >>> pages = [guest.alloc() for _ in range(1000)]
        >>> guest.restore(moment)
        >>> guest.snapshot() == moment
        True
        """
        if not isinstance(snapshot, Snapshot):
            raise SnapshotError(f"restore takes a Snapshot, got {snapshot!r}: Guest.from_snapshot reads files")
        if self._launched:
            raise GuestError("a guest that was launched cannot be restored: make a new one with Guest.from_snapshot")
        for what, ours, theirs in (
            ("kernel", self.kernel, snapshot.kernel), ("vcpus", self.vcpus, snapshot.vcpus),
            ("memory_map", self._map, snapshot.memory_map), ("strategy", self._spec, snapshot.strategy),
        ):
            if ours != theirs:
                raise SnapshotError(f"snapshot {what}: it is of a guest with {theirs}, this one has {ours}: "
                                    f"use Guest.from_snapshot")
        state = snapshot._allocator.copy()
        self._allocator.exchange(state)
        try:
            if self._strategy is not None:
                self._strategy.set_state(snapshot._strategy_state)
        except StrategyError as error:
            self._allocator.exchange(state)
            raise SnapshotError(f"snapshot strategy: {error}") from None
        self._thp, self._costs = snapshot.thp, snapshot.costs

    def _strategy_state(self) -> dict[str, np.ndarray] | None:
        if self._spec is None or self._strategy is None:
            return None
        try:
            return self._strategy.state()
        except StrategyError as error:
            raise StrategyError(f"strategy {self._spec.name}: {error}") from None

    def __copy__(self) -> Guest:
        guest = type(self).__new__(type(self))
        guest._fill(self, self._allocator.copy(), self._spec, self._strategy_state())
        return guest

    def __deepcopy__(self, memo: dict[int, Any]) -> Guest:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_snapshot, (self.snapshot(),)

    def check_launchable(self) -> None:
        """Raise GuestError if the guest was launched already, or if its strategy is in the middle of a report."""
        if self._launched:
            raise GuestError("this guest was launched already: make a new one for each launch")
        if self._strategy is not None and self._strategy.in_flight():
            raise GuestError("the strategy is in the middle of a report: call strategy_core.settle() before the launch")

    def mark_launched(self) -> None:
        """Programs of a simulation use this guest's memory from now on: it cannot be launched again or restored."""
        self._launched = True

    # -- requests ----------------------------------------------------------------------------------------------

    def alloc(self, order: int = 0, gfp: Gfp | int = gfp_module.KERNEL, cpu: int = 0) -> int:
        """First pfn of a block of 2^order pages, chosen as the kernel would; -1 if it would have to reclaim or fail.

        order: 0 to 10. gfp: one of hinting.gfp, or a number of this guest's kernel. cpu: whose page lists serve it.
        """
        return self._allocator.alloc(order, gfp_module.value(gfp, self._kernel), cpu)

    def alloc_bulk(self, n: int, gfp: Gfp | int = gfp_module.KERNEL, cpu: int = 0) -> list[int]:
        """pfns of up to n single pages by the bulk interface, all served by the page lists of one CPU.

        gfp, cpu: as for alloc. Raises KernelError for a kernel without it (5.0).
        """
        return self._allocator.bulk(gfp_module.value(gfp, self._kernel), n, cpu)

    def free(self, pfn: int, order: int = 0, cpu: int = 0) -> None:
        """Free a block that alloc returned, with the same order; it goes to the page lists of this CPU, or merges.

        Raises PageError, with nothing changed, unless pfn is the first page of an allocated block of this order.
        """
        self._allocator.free(pfn, order, cpu)

    def free_list(self, pfns: Iterable[int], cpu: int = 0) -> None:
        """Free single pages as one list, as the exit of a process does; all of them or, if one is wrong, none (PageError)."""
        self._allocator.free_list(items_of(pfns, "pfns", "a sequence of integers", PageError), cpu)

    def alloc_many(self, n: int, order: int = 0, gfp: Gfp | int = gfp_module.KERNEL, cpu: int = 0) -> np.ndarray:
        """First pfns of up to n blocks, uint32 of shape (n,), chosen one after the other as by alloc.

        order, gfp, cpu: as for alloc. The array ends early at the first block for which the kernel would have to reclaim or fail.
        """
        return alloc_many(self._allocator, n, order, gfp_module.value(gfp, self._kernel), cpu)

    def free_many(self, pfns: Sequence[int] | np.ndarray, order: int = 0, cpu: int = 0) -> None:
        """Free blocks of one order, one after the other as by free; all of them or, if one is wrong, none (PageError)."""
        free_many(self._allocator, pfns, order, cpu)

    def split(self, pfn: int, order: int) -> None:
        """Turn an allocated block into 2^order single pages that are freed one by one; PageError if it is none."""
        self._allocator.split(pfn, order)

    def drain(self, cpu: int | None = None) -> None:
        """Empty the per-CPU page lists of one CPU, or of all."""
        self._allocator.drain(cpu)

    def buddyinfo(self) -> np.ndarray:
        """Free blocks by zone and order, int64 of shape (4, 11), as /proc/buddyinfo."""
        return self._allocator.buddyinfo()

    def pagetypeinfo(self) -> np.ndarray:
        """Free blocks by zone, migratetype and order, int64 of shape (4, 5, 11), as /proc/pagetypeinfo.

        >>> guest = Guest("1GiB", kernel="linux-6.1")
        >>> bool((guest.pagetypeinfo().sum(axis=1) == guest.buddyinfo()).all())
        True
        """
        return pagetypeinfo(self._allocator)

    def zoneinfo(self) -> dict[str, dict[str, Any]]:
        """Watermarks, sizes, reserves and per-CPU page sets by zone name, as /proc/zoneinfo; all in pages.

        >>> Guest("1GiB", kernel="linux-6.1").zoneinfo()["DMA"]["managed"]
        3840
        """
        return procfs.zoneinfo(self)

    def buddyinfo_text(self) -> str:
        """The text of /proc/buddyinfo."""
        return procfs.buddyinfo_text(self)

    def pagetypeinfo_text(self) -> str:
        """The text of /proc/pagetypeinfo."""
        return procfs.pagetypeinfo_text(self)

    def zoneinfo_text(self) -> str:
        """The text of /proc/zoneinfo in the format of the guest's kernel, without LRU and NUMA statistics."""
        return procfs.zoneinfo_text(self)

    def free_pages(self) -> int:
        """Pages on the free lists of all zones; pages on per-CPU lists do not count."""
        return sum(self._allocator.zone_state(zone)["free"] for zone in self._allocator.zones())

    def page(self, pfn: int) -> str:
        """What a page is, in words: "free (a block of order 9)", "allocated (a block of order 0)", ..."""
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
        return (self._map.pages + 1) * PAGE_BYTES

    @property
    def vcpus(self) -> int:
        """CPUs, each with page lists of its own."""
        return self._allocator.ncpus

    @property
    def kernel(self) -> str:
        """Name of the kernel profile."""
        return self._kernel.name

    @property
    def thp(self) -> str:
        """Transparent huge pages: "always", "madvise" or "never"."""
        return self._thp

    @property
    def costs(self) -> CostProfile:
        """The cost profile that the footprint of boot is from."""
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


def _spec_of(strategy: StrategySpec | str | None) -> StrategySpec | None:
    spec = find(strategy) if isinstance(strategy, str) else strategy
    if spec is not None and not isinstance(spec, StrategySpec):
        raise StrategyError(f"strategy must be one of hinting.strategies, a name or None, got {strategy!r}")
    return spec

"""One zone whose pages are all allocated, and a strategy of the lineage on it: blocks are freed by hand.

Page lists of the CPUs let single pages pass straight through, so that each free reaches the free lists at once.
"""

from __future__ import annotations

import random

from hinting import gfp, kernels, strategies
from hinting._core.mm.allocator import Allocator
from hinting._core.mm.check import isolated_pages

#: No isolation is refused.
NO_WATERMARK = (-1 << 20,) * 3

USER = gfp.HIGHUSER_MOVABLE


def zone(pages: int, watermark=NO_WATERMARK, batch=1, high=0) -> dict:
    return {
        "index": 2, "start": 0, "end": pages, "managed": pages, "watermark": watermark, "lowmem_reserve": [0] * 5,
        "batch": batch, "high": high, "threshold": 0,
    }  # fmt: skip


def held(spec, blocks: int, *, order: int = 10, watermark=NO_WATERMARK, kernel: str = "linux-5.0", vcpus: int = 1):
    """(allocator, core, pfns): so many 4 MiB blocks, all allocated as blocks of `order`, ascending."""
    profile = kernels.load(kernel)
    spans = zone(blocks << 10, watermark)
    if kernel == "linux-6.12":
        spans |= {"high_min": 0, "high_max": 0}
    allocator = Allocator(profile, [spans], vcpus)
    for block in range(blocks):
        allocator.add_free(block << 10, 10)
    pages = sorted(allocator.alloc(order, gfp.value(USER, profile)) for _ in range(blocks << (10 - order)))
    assert pages[0] >= 0
    core = spec.core()
    core.attach(allocator)
    return allocator, core, pages


def free_pages(allocator: Allocator) -> int:
    return sum(allocator.zone_state(index)["free"] for index in allocator.zones())


def outside(allocator: Allocator) -> int:
    """Pages held outside the lists."""
    return sum(isolated_pages(allocator))


def all_unused(allocator: Allocator) -> int:
    """Pages that are not allocated: on free lists, on per-CPU lists, or outside the lists."""
    listed = sum(allocator.pcp_state(zone, cpu)["count"] for zone in allocator.zones() for cpu in range(allocator.ncpus))
    return free_pages(allocator) + listed + outside(allocator)


#: Every strategy of the lineage with arrays so small that a few hundred requests fill them.
SMALL = (
    strategies.V1(entries=8, threshold=3), strategies.V7(entries=8),
    strategies.V8Posted(entries=8), strategies.V8Stats(entries=8), strategies.V8Stats(entries=8, isolation_cap=3),
    strategies.V8Transition(entries=8), strategies.V8Early(entries=8), strategies.V8MaxOrder(entries=4),
    strategies.V8Async(entries=4, min_order=9),
    strategies.V9(entries=4, threshold=2), strategies.V9(entries=8, threshold=4, min_order=9),
    strategies.V9Stats(entries=4, threshold=2), strategies.V10(threshold=3, batch=2), strategies.V11(threshold=2, batch=3),
    strategies.V12(threshold=3, batch=2), strategies.V12Stats(threshold=2, batch=2, min_order=8),
)  # fmt: skip


class Driven:
    """A zone of random requests by two CPUs, and its strategy's thread and host, each of which may lag behind.

    After every event `seen(event, free pages before and after, pages that it isolated or returned)` is called; events
    are "thread", "inline" (isolation by a free) and "answered".
    """

    def __init__(self, spec, seed: int, *, blocks: int = 24, minimum: int = 900, ncpus: int = 2, seen=lambda *_: None):
        self.random = random.Random(seed)
        self.profile = kernels.load("linux-5.0")
        self.allocator = Allocator(self.profile, [zone(blocks << 10, (minimum,) * 3, batch=7, high=21)], ncpus)
        for block in range(blocks):
            self.allocator.add_free(block << 10, 10)
        self.spec, self.core, self.seen = spec, spec.core(), seen
        self.core.attach(self.allocator)
        self.blocks: list[tuple[int, int]] = []
        self.pages = blocks << 10
        self.minimum = minimum
        self.reporting: dict[int, int] = {}     # pages of the report of each CPU's thread
        self.spins = spec.name in ("v1", "v7", "v8.5-max-order")

    def used(self) -> int:
        return sum(1 << order for _, order in self.blocks)

    def total(self) -> int:
        """Pages by where they are: free, on per-CPU lists, outside the lists, held by requests."""
        return all_unused(self.allocator) + self.used()

    def event(self, name: str, pages: int, call) -> None:
        before = free_pages(self.allocator)
        call()
        self.seen(name, before, free_pages(self.allocator), pages)

    def request(self) -> None:
        cpu = self.random.randrange(self.allocator.ncpus)
        order = self.random.choice((0, 0, 0, 1, 3, 8, 9, 9, 10, 10))
        what = self.random.random()
        if what < 0.45:
            flags = gfp.value(gfp.TRANSHUGE_LIGHT if order else USER, self.profile)
            pfn = self.allocator.alloc(order, flags, cpu)
            if pfn >= 0:
                self.blocks.append((pfn, order))
        elif what < 0.55 and self.blocks:
            pfn, order = self.take()
            self.allocator.split(pfn, order)
            if self.random.random() < 0.5:
                self.allocator.free_list(range(pfn, pfn + (1 << order)), cpu)
            else:
                self.blocks += [(pfn + page, 0) for page in range(1 << order)]
                self.random.shuffle(self.blocks)
        else:
            for _ in range(self.random.choice((1, 1, 4, 40))):
                if self.blocks:
                    self.free_one(cpu)
        self.serve(spinning=True)

    def free_one(self, cpu: int) -> None:
        before, isolated = free_pages(self.allocator), outside(self.allocator)
        self.allocator.free(*self.take(), cpu)
        self.seen("inline", before, free_pages(self.allocator), outside(self.allocator) - isolated)
        self.serve(spinning=True)

    def take(self) -> tuple[int, int]:
        return self.blocks.pop(self.random.randrange(len(self.blocks)))

    def serve(self, *, spinning: bool) -> None:
        """The host answers what hooks have submitted; at once if their CPU spins."""
        if spinning and not self.spins:
            return
        pages = sum(1 << order for _, reported in self.core.submitted() for _, order in reported)
        if pages:
            self.event("answered", 0 if self.spec.name in ("v1", "v7") else pages, self.core.complete_submitted)

    def run_thread(self, cpu: int) -> None:
        before = free_pages(self.allocator)
        isolated = outside(self.allocator)
        reported = self.core.run_thread(cpu)
        self.seen("thread", before, free_pages(self.allocator), outside(self.allocator) - isolated)
        if reported:
            self.reporting[cpu] = sum(1 << order for _, order in reported)

    def step(self) -> None:
        """A request, and perhaps the host's answer or a thread."""
        self.request()
        for cpu in range(self.allocator.ncpus):
            if cpu in self.reporting and self.random.random() < 0.3:
                self.event("answered", self.reporting.pop(cpu), lambda cpu=cpu: self.core.host_done(cpu))
                self.run_thread(cpu)
            elif cpu not in self.reporting and self.core.is_woken(cpu) and self.random.random() < 0.5:
                self.run_thread(cpu)
        if self.random.random() < 0.3:
            self.serve(spinning=False)

    def settle(self) -> None:
        """All requests end, all threads and the host come to rest."""
        while self.blocks:
            self.free_one(0)
        busy = True
        while busy:
            busy = bool(self.core.submitted())
            self.serve(spinning=False)
            for cpu in range(self.allocator.ncpus):
                if cpu in self.reporting:
                    self.event("answered", self.reporting.pop(cpu), lambda cpu=cpu: self.core.host_done(cpu))
                    self.run_thread(cpu)
                    busy = True
                elif self.core.is_woken(cpu):
                    self.run_thread(cpu)
                    busy = True

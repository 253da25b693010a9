"""One zone whose pages are all allocated, and a strategy of the lineage on it: blocks are freed by hand.

Page lists of the CPUs let single pages pass straight through, so that each free reaches the free lists at once.
"""

from __future__ import annotations

from hinting import gfp, kernels
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

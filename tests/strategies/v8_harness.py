"""A guest of one zone under hinting v8, its pages all in use, so that a test says which are freed and how.

`guest` and `singles` make (allocator, strategy); tests free pages, look at the captured array, and run the thread.
"""

from hinting import gfp, kernels, strategies
from hinting._core.mm.allocator import Allocator

__all__ = ["KERNEL", "USER", "free_in_lists", "guest", "run", "singles", "zone"]

KERNEL = kernels.load("linux-5.0")
USER = gfp.value(gfp.HIGHUSER_MOVABLE, KERNEL)


def zone(pages, watermark=(0, 0, 0)):
    return {
        "index": 2, "start": 0, "end": pages, "managed": pages, "watermark": watermark, "lowmem_reserve": [0] * 5,
        "batch": 63, "high": 378, "threshold": 0,
    }  # fmt: skip


def guest(blocks, *, take=10, watermark=(0, 0, 0), **parameters):
    """An allocator of so many 4 MiB blocks, all allocated in blocks of order `take`, and a v8 on it."""
    allocator = Allocator(KERNEL, [zone(blocks << 10, watermark)])
    for block in range(blocks):
        allocator.add_free(block << 10, 10)
    held = [allocator.alloc(take, USER) for _ in range(blocks << (10 - take))]
    core = strategies.V8(**parameters).core()
    core.attach(allocator)
    return allocator, core, sorted(held)


def singles(blocks, **parameters):
    """The same with all pages allocated one by one: page frame numbers 0 to 1024 * blocks - 1."""
    allocator, core, held = guest(blocks, **parameters)
    for pfn in held:
        allocator.split(pfn, 10)
    return allocator, core


def free_in_lists(allocator, first, end, lists=(8, *[510] * 19), stop=lambda: False):
    """Free pages [first, end) as a process's exit does, until `stop`; returns the next page."""
    while first < end:
        for size in lists:
            allocator.free_list(range(first, min(end, first + size)))
            first = min(end, first + size)
            if first == end or stop():
                return first
    return first


def run(core, cpu=0):
    """Run a woken thread to its end with a host that answers at once; the blocks of the (last) report."""
    blocks = core.run_thread(cpu)
    core.host_done(cpu)
    return blocks

"""The allocator alone: no host, no strategy. The loops run in the core; a round is one call."""

import pytest

from conftest import KERNELS, PAGES
from hinting import kernels
from hinting._core.mm.drive import alloc_free_cycles

PAIRS = 1 << 17
BURST = 100
BURSTS = 2000


@pytest.mark.parametrize("kernel", kernels.names())
def test_alloc_free_pair(benchmark, make_rig, kernel):
    """One page, allocated and freed again and again: the per-CPU list's fast path."""
    rig = make_rig(kernel)
    benchmark.extra_info["pages"] = PAIRS
    done = benchmark(alloc_free_cycles, rig.guest.allocator, PAIRS, 0, rig.user)
    assert done == PAIRS


@pytest.mark.parametrize("order", [3, 9])
@pytest.mark.parametrize("kernel", KERNELS)
def test_alloc_free_block(benchmark, make_rig, kernel, order):
    """The same for larger blocks; 5.0 takes them from the buddy lists each time. ns are per pair, not per page."""
    rig = make_rig(kernel)
    benchmark.extra_info["pairs"] = PAIRS
    done = benchmark(alloc_free_cycles, rig.guest.allocator, PAIRS, order, rig.user)
    assert done == PAIRS


@pytest.mark.parametrize("kernel", KERNELS)
def test_burst_without_hinting(benchmark, make_rig, kernel):
    """100 pages allocated, then freed."""
    rig = make_rig(kernel)
    benchmark.extra_info["pages"] = BURSTS * BURST
    done = benchmark(alloc_free_cycles, rig.guest.allocator, BURSTS, 0, rig.user, burst=BURST)
    assert done == BURSTS


@pytest.mark.parametrize("frees", ["in order", "shuffled"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_fill_and_empty(benchmark, make_rig, shuffled, kernel, frees):
    """1 GiB allocated page by page, then freed."""
    rig = make_rig(kernel)
    benchmark.extra_info["pages"] = PAGES

    def fill_and_empty():
        pfns = rig.guest.alloc_many(PAGES, gfp=rig.user)
        rig.guest.free_many(pfns if frees == "in order" else pfns[shuffled])

    benchmark.pedantic(fill_and_empty, rounds=9, warmup_rounds=1)
    rig.guest.check()

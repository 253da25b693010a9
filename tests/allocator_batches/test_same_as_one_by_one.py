"""A batch chooses and leaves behind exactly what the same calls one by one do."""

import numpy as np
import pytest

from allocator_batches.harness import KERNELS, assert_alike, gfp_number, twins
from hinting import gfp
from hinting._core.mm.drive import alloc_free_cycles

REQUESTS = (gfp.HIGHUSER_MOVABLE, gfp.KERNEL, gfp.RECLAIMABLE, gfp.ATOMIC, gfp.DMA32)


@pytest.mark.parametrize("order", [0, 1, 3, 5, 9, 10])
@pytest.mark.parametrize("kernel", KERNELS)
def test_alloc_and_free(kernel, order):
    batch, single = twins(kernel)
    n = 3000 >> order
    pfns = batch.alloc_many(n, order, gfp.HIGHUSER_MOVABLE)
    assert pfns.dtype == np.uint32
    assert pfns.tolist() == [single.alloc(order, gfp.HIGHUSER_MOVABLE) for _ in range(n)]
    assert_alike(batch, single)
    batch.free_many(pfns[::2], order)
    for pfn in pfns[::2].tolist():
        single.free(pfn, order)
    assert_alike(batch, single)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kernel", KERNELS)
def test_mixed_batches(kernel, seed):
    """Batches of all kinds in random order, on two CPUs, with the guest nearly full in between."""
    batch, single = twins(kernel, vcpus=2)
    rng = np.random.default_rng(seed)
    held: list[tuple[int, list[int]]] = []
    for turn in range(120):
        cpu = int(rng.integers(2))
        if held and rng.random() < (0.25 if turn < 60 else 0.6):
            order, pfns = held.pop(int(rng.integers(len(held))))
            rng.shuffle(pfns)
            batch.free_many(pfns, order, cpu)
            for pfn in pfns:
                single.free(pfn, order, cpu)
        else:
            order = int(rng.choice((0, 0, 0, 0, 1, 2, 3, 9)))
            request = REQUESTS[int(rng.integers(len(REQUESTS)))]
            n = int(rng.integers(1, 6000)) >> order
            pfns = batch.alloc_many(n, order, request, cpu).tolist()
            assert pfns == [single.alloc(order, request, cpu) for _ in range(len(pfns))]
            if len(pfns) < n:
                assert single.alloc(order, request, cpu) == -1
            held.append((order, pfns))
        if turn % 10 == 0:
            assert_alike(batch, single)
    assert_alike(batch, single)


@pytest.mark.parametrize("kernel", KERNELS)
def test_until_nothing_is_left(kernel):
    batch, single = twins(kernel)
    pfns = batch.alloc_many(1 << 20, gfp=gfp.HIGHUSER_MOVABLE)
    taken = []
    while (pfn := single.alloc(0, gfp.HIGHUSER_MOVABLE)) >= 0:
        taken.append(pfn)
    assert pfns.tolist() == taken
    assert_alike(batch, single)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_free_hook_runs_for_each(kernel):
    batch, single = twins(kernel, strategy="v8")
    pfns = batch.alloc_many(2500, gfp=gfp.HIGHUSER_MOVABLE)
    assert pfns.tolist() == [single.alloc(0, gfp.HIGHUSER_MOVABLE) for _ in range(2500)]
    batch.free_many(pfns)
    for pfn in pfns.tolist():
        single.free(pfn)
    assert batch.counters()["total_freed_memory"] == 2500 * 4
    assert batch.strategy_core.captured(0) == single.strategy_core.captured(0)
    assert_alike(batch, single)


@pytest.mark.parametrize(("order", "burst"), [(0, 1), (0, 100), (3, 7)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_cycles(kernel, order, burst):
    batch, single = twins(kernel)
    user = gfp_number(batch, gfp.HIGHUSER_MOVABLE)
    assert alloc_free_cycles(batch.allocator, 50, order, user, burst=burst) == 50
    for _ in range(50):
        for pfn in [single.alloc(order, user) for _ in range(burst)]:
            single.free(pfn, order)
    assert_alike(batch, single)


def test_cycles_end_where_memory_ends():
    guest, _ = twins("linux-6.1")
    user = gfp_number(guest, gfp.HIGHUSER_MOVABLE)
    free = guest.free_pages()
    assert alloc_free_cycles(guest.allocator, 5, 0, user, burst=free + 1) == 0
    guest.drain()
    assert guest.free_pages() == free

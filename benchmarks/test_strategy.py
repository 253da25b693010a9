"""A guest on its host with hinting v8: whole lives of pages, bursts, and the parts of one cycle of hinting."""

import numpy as np
import pytest

from conftest import KERNELS, PAGES, V8

BURST = 100
BURSTS = 2000
ENTRIES = V8.entries


def run_lives(benchmark, rig, order=None):
    """Time lives of 1 GiB; afterwards every page must have been touched first in each of them."""
    benchmark.extra_info["pages"] = PAGES
    rounds = 9
    benchmark.pedantic(rig.life, (order,), rounds=rounds, warmup_rounds=1)
    rig.guest.check()
    rig.host.check()
    assert rig.untimed.backing.counters["faults_4k"] == PAGES * (rounds + 1)
    assert rig.untimed.outcome["returned_frames"] == PAGES * (rounds + 1)


@pytest.mark.parametrize("kernel", KERNELS)
def test_page_life_in_order(benchmark, make_rig, kernel):
    """What yardsticks/buddy_floor.c does as alloc_touch + free_in_order_hinting, with all of the guest and the host.

    Frees go in the order of the allocations, which ascends within each 4 MiB. Each life ends with a flush of the
    captured pages, so that the next one begins untouched.
    """
    run_lives(benchmark, make_rig(kernel, V8))


@pytest.mark.parametrize("kernel", KERNELS)
def test_page_life_shuffled(benchmark, make_rig, shuffled, kernel):
    """The same with the frees in random order (alloc_touch + free_shuffled_hinting)."""
    run_lives(benchmark, make_rig(kernel, V8), shuffled)


@pytest.mark.parametrize("kernel", KERNELS)
def test_burst(benchmark, make_rig, kernel):
    """100 pages allocated, touched and freed, with hinting (burst_hinting)."""
    rig = make_rig(kernel, V8)
    benchmark.extra_info["pages"] = BURSTS * BURST
    done = benchmark(rig.untimed.cycles, BURSTS, 0, rig.user, burst=BURST)
    assert done == BURSTS


@pytest.mark.parametrize("frees", ["in order", "shuffled"])
@pytest.mark.parametrize("strategy", ["none", "v8"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_whole_guest(benchmark, make_rig, shuffled, kernel, strategy, frees):
    """A program of 1 GiB on a host with huge pages, which single-page discards split."""
    rig = make_rig(kernel, V8 if strategy == "v8" else None, thp=True)
    benchmark.extra_info["pages"] = PAGES
    benchmark.pedantic(rig.life, (None if frees == "in order" else shuffled,), rounds=9, warmup_rounds=1)
    rig.guest.check()
    rig.host.check()


def free_pages_apart(rig, size):
    """ENTRIES free blocks of `size` pages, none beside another, all of them backed; their first pages."""
    pfns = np.sort(rig.untimed.alloc(4 * size * ENTRIES, 0, rig.user))
    heads = pfns[(pfns % (2 * size) == 0) & np.isin(pfns + 2 * size - 1, pfns)][:ENTRIES]
    assert heads.size == ENTRIES
    for page in range(size):
        rig.guest.free_many(heads + np.uint32(page))
    rig.guest.drain()
    return heads


@pytest.mark.parametrize("entries", ["heads", "tails"])
def test_scan_full_array(benchmark, make_rig, entries):
    """The free that fills the array: its scan looks at every entry; heads stay, tails are replaced by their heads."""
    rig = make_rig("linux-5.0", V8)
    spare = int(rig.untimed.alloc(1, 0, rig.user)[0])
    pfns = free_pages_apart(rig, 1 if entries == "heads" else 2) + np.uint32(entries == "tails")
    captured = [(int(pfn), 0, 1) for pfn in pfns[1:]]
    strategy, guest = rig.strategy, rig.guest
    benchmark.extra_info["pages"] = ENTRIES

    def fill_all_but_one():
        nonlocal spare
        if guest.page(spare).startswith("free"):
            spare = guest.alloc(gfp=rig.user)
        strategy.load(0, captured, None)

    before = strategy.statistics()["scans"]
    benchmark.pedantic(lambda: guest.free(spare), setup=fill_all_but_one, rounds=200, warmup_rounds=5)
    assert strategy.statistics()["scans"] == before + 205


def test_isolate_report_return(benchmark, make_rig):
    """The thread works off a full array: isolate 1000 blocks, discard them on the host, put them back."""
    rig = make_rig("linux-5.0", V8)
    pfns = free_pages_apart(rig, 1).tolist()
    captured = [(pfn, 0, 1) for pfn in pfns]
    benchmark.extra_info["pages"] = ENTRIES

    def fill_and_touch():
        for pfn in pfns:
            rig.untimed.backing.touch(pfn)
        rig.strategy.load(0, captured, None)

    benchmark.pedantic(rig.untimed.run_thread, setup=fill_and_touch, rounds=200, warmup_rounds=5)
    assert rig.untimed.outcome["reported_blocks"] == rig.untimed.outcome["returned_frames"] == 205 * ENTRIES

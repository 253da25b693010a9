"""Each parameter of hinting v8 changes what it says, and nothing else."""

import itertools

import pytest

import hinting as h
from hinting import strategies
from hinting._core.mm.allocator import Allocator
from hinting.workloads.memhog import MARK_HELD
from tests.strategies.v8_harness import KERNEL, USER, free_in_lists, guest, run, singles, zone


@pytest.mark.parametrize("min_order", [0, 5, 9, 10])
def test_min_order(min_order):
    allocator, core, held = guest(4, min_order=min_order)
    for order, block in zip((0, 5, 9, 10), held, strict=True):
        if order < 10:
            allocator.split(block, 10)
        if order in (5, 9):
            continue
        allocator.free(block, order)
    assert [order for _, order, _ in core.captured()] == [order for order in (0, 10) if order >= min_order]
    assert core.counters()["total_freed_memory"] == 4 + 4096


@pytest.mark.parametrize(("order", "captured"), [(8, 0), (9, 1), (10, 1)])
def test_min_order_on_both_sides(order, captured):
    allocator, core, held = guest(1, take=order, min_order=9)
    allocator.free(held[0], order)
    assert len(core.captured()) == captured


@pytest.mark.parametrize(("least", "blocks"), [(0, 3), (1, 2), (2, 1), (3, 0)])
def test_isolate_min_order(least, blocks):
    """Free blocks of order 2, 1 and 0 are met; those below the limit stay where they are."""
    allocator, core = singles(2, entries=5, isolate_min_order=least)
    for pfn in (1024, 1026):  # so that the last block can be isolated, too
        allocator.free(pfn, 0)
    core.load(0, [], None)
    for pfn in (0, 1, 2, 3, 8, 9, 16):
        allocator.free(pfn, 0)
        core.load(0, [], None)
    allocator.drain()
    core.load(0, [(0, 2, 2), (8, 1, 2), (16, 0, 2), (100, 0, 2), (102, 0, 2)], None)
    assert run(core) == [(0, 2), (8, 1), (16, 0)][:blocks]
    assert core.counters()["total_isolated_memory"] == 4 * sum((4, 2, 1)[:blocks])
    allocator.check()


@pytest.mark.parametrize(("drain", "left"), [("off", 2), ("local", 1), ("all", 0)])
def test_drain(drain, left):
    """Pages of both CPUs' lists before a scan on CPU 0; the page being freed enters its list after the scan."""
    allocator = Allocator(KERNEL, [zone(2048)], 2)
    for block in range(2):
        allocator.add_free(block << 10, 10)
    core = strategies.V8(entries=2, drain=drain).core()
    core.attach(allocator)
    pages = sorted(allocator.alloc(0, USER) for _ in range(8))
    allocator.drain()
    allocator.free(pages[0], 0, 1)
    before = allocator.pcp_state(2, 1)["count"]
    allocator.free(pages[2], 0, 0)
    allocator.free(pages[4], 0, 0)
    counts = [allocator.pcp_state(2, cpu)["count"] for cpu in (0, 1)]
    assert before == 1
    assert counts == {"off": [2, 1], "local": [1, 1], "all": [1, 0]}[drain]
    assert sum(counts) - 1 == left


def pages_of(core):
    return [pfn for pfn, _, _ in core.captured()]


@pytest.mark.parametrize(
    ("dedup", "left"), [("off", [0, 0, 0, 0, 9]), ("head", [0, 0, 9]), ("full", [0, 9])]
)
def test_dedup(dedup, left):
    """Entries 0 (twice), 1, 2 of one free block of order 2, and the page in flight."""
    allocator, core = singles(1, entries=5, dedup=dedup)
    for pfn in range(4):
        allocator.free(pfn, 0)
    allocator.drain()
    core.load(0, [(0, 0, 2), (0, 0, 2), (1, 0, 2), (2, 0, 2)], None)
    allocator.free(9, 0)
    assert pages_of(core) == left
    assert core.is_woken() == (dedup == "off")


@pytest.mark.parametrize("drop", [False, True])
def test_scan_drop_non_buddy(drop):
    allocator, core = singles(1, entries=4, scan_drop_non_buddy=drop)
    for pfn in (0, 2, 4, 6):
        allocator.free(pfn, 0)
    assert pages_of(core) == ([0, 2, 4] if drop else [0, 2, 4, 6])
    assert core.is_woken() != drop


@pytest.mark.parametrize(("position", "first"), [("head", 1024), ("tail", 2048)])
def test_return_position(position, first):
    """Two reported blocks return before or behind a free block of the same order that was not reported."""
    allocator, core, held = guest(3, entries=2, return_position=position)
    allocator.free(held[2], 10)
    core.load(0, [], None)
    allocator.free(held[0], 10)
    allocator.free(held[1], 10)
    assert run(core) == [(0, 10), (1024, 10)]
    assert allocator.free_list_array(2, 10, 1)[0] == first
    assert allocator.alloc(10, USER) == first


@pytest.mark.parametrize(("cap", "reports"), [(0, [7]), (1, [1] * 7), (3, [3, 3, 1]), (7, [7, 0]), (8, [7])])
def test_isolation_cap(cap, reports):
    allocator, core, held = guest(8, entries=7, isolation_cap=cap)
    allocator.free(held[7], 10)
    core.load(0, [], None)
    for pfn in held[:7]:
        allocator.free(pfn, 10)
    sizes = []
    while core.statistics()["runs"] == 0 or core.captured():
        sizes.append(len(core.run_thread()))
        core.host_done()
    assert [size for size in sizes if size] == [size for size in reports if size]
    assert core.counters()["total_isolated_memory"] == 7 * 4096
    assert core.statistics()["runs"] == 1
    allocator.check()


def simulate(**parameters):
    """A guest that touches 64 MiB once, with boot left out, and a minute more."""
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    guest = h.Guest("1GiB", thp="never", strategy=h.strategies.V8(**parameters))
    vm = sim.launch(guest, boot=False, workload=h.workloads.memhog("64MiB"))
    sim.run(until="60s")
    sim.check()
    return sim, vm


def test_idle_flush():
    (_, without), (_, with_flush) = simulate(), simulate(idle_flush="2s")
    assert without.counts()["reports"] == 0
    assert len(without.guest.strategy_core.captured()) > 0
    assert with_flush.counts()["reports"] >= 1
    assert with_flush.counts()["returned_frames"] > 15000
    assert with_flush.guest.strategy_core.captured() == []


def first_return_ns(**parameters):
    sim, vm = simulate(entries=64, **parameters)
    held_until = next(mark.t_ns for mark in vm.marks() if mark.number == MARK_HELD)
    rows = sim.timeline().to_pylist()
    late = [(row["t_ns"], row["guest_held_bytes"]) for row in rows if row["t_ns"] >= held_until]
    return next(t for (_, before), (t, after) in itertools.pairwise(late) if after < before)


def test_wake_latency_delays_the_report():
    at = [first_return_ns(wake_latency=latency) for latency in (0, "10ms", "20ms")]
    assert at[1] - at[0] == pytest.approx(10e6, abs=2e6)
    assert at[2] - at[1] == pytest.approx(10e6, abs=2e6)


def test_call_pages_changes_the_hosts_time_only():
    (_, single), (_, whole) = simulate(entries=64, call_pages=1), simulate(entries=64, call_pages=0)
    assert single.counters()["guest_returned_memory"] == whole.counters()["guest_returned_memory"] > 0
    assert single.accounts()["vmm"] > 2 * whole.accounts()["vmm"]


def test_builds_decide_alike_and_only_the_posted_one_counts_nothing():
    lists = {}
    for name in ("v8", "v8-stats", "v8-posted"):
        allocator = Allocator(KERNEL, [zone(8 << 10)])
        for block in range(8):
            allocator.add_free(block << 10, 10)
        for pfn in sorted(allocator.alloc(10, USER) for _ in range(8)):
            allocator.split(pfn, 10)
        core = strategies.find(name).core()
        core.attach(allocator)
        end = 0
        while end < 8192:
            end = free_in_lists(allocator, end, 8192, stop=core.is_woken)
            if core.is_woken():
                run(core)
        lists[name] = (allocator.free_lists(), core.captured(), core.statistics())
        assert (core.counters() == {}) == (name == "v8-posted")
    assert lists["v8"] == lists["v8-stats"] == lists["v8-posted"]

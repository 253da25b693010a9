"""Parameters of hinting v8 beyond the posted series, and its isolated array without a bound check."""

import pytest

import hinting as h
from hinting import gfp, strategies
from hinting._core.mm.allocator import Allocator
from hinting.errors import StrategyError
from tests.strategies.lineage import USER, held, outside, zone


def run(core, cpu=0):
    blocks = core.run_thread(cpu)
    if blocks:
        core.host_done(cpu)
    return blocks


@pytest.mark.parametrize(("dedup", "left"), [("off", 5), ("head", 4), ("full", 3)])
def test_dedup(dedup, left):
    """Two pages of a block, and a block that is listed twice."""
    allocator, core, blocks = held(strategies.V8(entries=5, dedup=dedup), 4, order=9)
    user = gfp.value(USER, allocator.kernel)
    allocator.free(blocks[4], 9)
    assert allocator.alloc(9, user) == blocks[4]
    allocator.free(blocks[4], 9)        # the same head twice
    allocator.free(blocks[3], 9)
    allocator.free(blocks[2], 9)        # takes blocks[3] in: one head, one tail
    allocator.free(blocks[6], 9)        # the array is full
    assert core.statistics()["scans"] == 1
    assert len(core.captured()) == left


@pytest.mark.parametrize(("drain", "on_lists"), [("off", (3, 1)), ("local", (1, 1)), ("all", (1, 0))])
def test_drain_before_a_scan(drain, on_lists):
    profile = h.kernels.load("linux-5.0")
    allocator = Allocator(profile, [zone(2048, batch=7, high=40)], 2)
    allocator.add_free(0, 10)
    allocator.add_free(1024, 10)
    user = gfp.value(USER, profile)
    block = allocator.alloc(3, user)
    allocator.split(block, 3)
    core = strategies.V8(entries=3, drain=drain).core()
    core.attach(allocator)
    allocator.free(block, 0, 1)         # on the list of CPU 1
    for page in (2, 4, 6):
        allocator.free(block + page, 0, 0)
    assert tuple(allocator.pcp_state(2, cpu)["count"] for cpu in (0, 1)) == on_lists


@pytest.mark.parametrize(("position", "order"), [("head", [2, 1, 0]), ("tail", [0, 1, 2])])
def test_return_position(position, order):
    allocator, core, blocks = held(strategies.V8(entries=3, return_position=position), 3)
    for pfn in blocks:
        allocator.free(pfn, 10)
    run(core)
    assert allocator.free_lists()[2, 10, 1] == [blocks[i] for i in order]


@pytest.mark.parametrize("min_order", [0, 4, 8, 9, 10])
def test_smallest_order_that_is_captured(min_order):
    allocator, core, blocks = held(strategies.V8(min_order=min_order), 3)
    allocator.free(blocks[0], 10)
    allocator.split(blocks[1], 10)
    allocator.free(blocks[1], 0)
    assert [order for _, order, _ in core.captured()] == ([10, 0] if min_order == 0 else [10])


@pytest.mark.parametrize("cap", [16, 32, 256])
def test_isolation_cap(cap):
    allocator, core, blocks = held(strategies.V8(entries=300, isolation_cap=cap), 300)
    for pfn in blocks:
        allocator.free(pfn, 10)
    reports = []
    while blocks := core.run_thread():
        reports.append(len(blocks))
        assert outside(allocator) <= cap << 10
        core.host_done()
    assert sum(reports) == 300
    assert max(reports) == cap
    assert core.captured() == []


def test_what_finds_no_room_in_the_isolated_array_is_counted_and_left():
    """One entry whose block was split since gives several blocks. The source has no bound check."""
    allocator, core, blocks = held(strategies.V8(entries=2), 3)
    allocator.free(blocks[0], 10)
    assert allocator.alloc(0, gfp.value(USER, allocator.kernel)) == 0
    core.load(0, [(0, 10, 2), (blocks[1], 10, 2)], None)
    assert core.run_thread() == [(1, 0), (2, 1)]
    statistics, counters = core.statistics(), core.counters()
    assert statistics["isolated_overflow"] == 8
    assert counters["scanned_memory"] == sum(
        counters[f"{name}_memory"] for name in ("total_isolated", "reallocated", "free_non_buddy"))
    core.host_done()
    assert outside(allocator) == 0
    allocator.check()


def test_an_idle_array_is_flushed_only_with_a_timer():
    reports = {}
    for flush in ("0s", "500ms", "2s"):
        sim = h.Simulation(h.Host("2GiB"), seed=1)
        vm = sim.launch(h.Guest("640MiB", strategy=strategies.V8(idle_flush=flush)), boot=False)
        vm.submit(h.workloads.memhog("100MiB"))
        sim.run(until="5s")
        reports[flush] = vm.counts()["returned_frames"]
    assert reports["0s"] == 0
    assert reports["500ms"] == reports["2s"] >= 25_000


@pytest.mark.parametrize("flush", ["1ns", "999us", 500])
def test_an_idle_flush_faster_than_a_timer_ticks(flush):
    with pytest.raises(StrategyError, match="idle_flush must be 0 or at least 1000000"):
        strategies.V8(idle_flush=flush)


@pytest.mark.parametrize("action", ["dontneed", "free", "none"])
def test_host_action(action):
    sim = h.Simulation(h.Host("2GiB"), seed=1)
    vm = sim.launch(h.Guest("512MiB", strategy=strategies.V8(entries=20, host_action=action)), boot=False)
    vm.submit(h.workloads.memhog("200MiB"))
    sim.run()
    sim.check()
    counts = vm.counts()
    assert counts["reported_pages"] > 0
    assert (counts["returned_frames"] > 0) == (action == "dontneed")
    assert (counts["lazy_pages"] > 0) == (action == "free")


def test_call_size():
    """The host's time falls with the number of calls."""
    times = {}
    for pages in (1, 512, 0):
        sim = h.Simulation(h.Host("2GiB"), seed=1)
        vm = sim.launch(h.Guest("512MiB", strategy=strategies.V8(entries=20, call_pages=pages)), boot=False)
        vm.submit(h.workloads.memhog("200MiB"))
        sim.run()
        times[pages] = vm.accounts()["vmm"]
    assert times[0] < times[512] < times[1] / 5


def test_wake_latency_loses_captures():
    """The later the thread, the more frees meet a full array."""
    lost = []
    for latency in ("0ns", "10us", "1ms", "10ms"):
        sim = h.Simulation(h.Host("2GiB"), seed=1)
        vm = sim.launch(h.Guest("512MiB", strategy=strategies.V8(entries=64, wake_latency=latency), thp="never"), boot=False)
        vm.submit(h.workloads.memhog("200MiB"))
        sim.run()
        counters = vm.counters()
        lost.append(counters["total_freed_memory"] - counters["captued_memory"])
    assert lost[0] <= lost[1] < lost[2] < lost[3]

"""Hinting v9: what is noted, when a run starts, what is in flight, what the driver loses; vector T11."""

import pytest

import hinting as h
from hinting import gfp, strategies
from hinting._core.engine.ops import program
from hinting._core.mm.check import isolated_pages
from hinting.errors import StrategyError
from tests.strategies.lineage import USER, all_unused, free_pages, held, outside


def test_t11_threshold():
    allocator, core, blocks = held(strategies.V9(), 200)
    for pfn in blocks[:127]:
        allocator.free(pfn, 10)
    assert core.captured() == blocks[:127]
    assert core.statistics()["runs"] == 0
    allocator.free(blocks[127], 10)
    assert core.captured() == []
    [(_, reported)] = core.submitted()
    assert reported == [(pfn, 10) for pfn in blocks[:128]]
    assert outside(allocator) == 128 << 10
    assert free_pages(allocator) == 0


def test_blocks_come_back_to_the_head_and_are_not_noted_again():
    allocator, core, blocks = held(strategies.V9(entries=4, threshold=2), 4)
    for pfn in blocks[:2]:
        allocator.free(pfn, 10)
    assert core.complete_submitted() == 1
    assert core.captured() == []
    assert allocator.free_lists() == {(2, 10, 1): [blocks[1], blocks[0]]}
    allocator.check()
    tail, core, blocks = held(strategies.V9(entries=4, threshold=2, return_position="tail"), 4)
    for pfn in blocks[:2]:
        tail.free(pfn, 10)
    core.complete_submitted()
    assert tail.free_lists() == {(2, 10, 1): [blocks[0], blocks[1]]}


def test_a_block_is_noted_twice_only_if_the_freed_page_is_its_head():
    allocator, core, blocks = held(strategies.V9(), 4, order=9)
    user = gfp.value(USER, allocator.kernel)
    allocator.free(512, 9)
    assert core.captured() == []
    allocator.free(0, 9)
    assert core.captured() == [0]
    assert allocator.alloc(9, user) == 0
    assert allocator.alloc(9, user) == 512
    allocator.free(0, 9)
    allocator.free(512, 9)
    assert core.captured() == [0]
    assert allocator.alloc(9, user) == 0
    allocator.free(0, 9)
    assert core.captured() == [0, 0]
    assert blocks[0] == 0


def test_a_full_array_drops_blocks():
    allocator, core, blocks = held(strategies.V9(entries=3, threshold=2, run_in="thread"), 5)
    for pfn in blocks:
        allocator.free(pfn, 10)
    assert core.is_woken()
    assert core.captured() == blocks[:3]
    assert core.statistics()["dropped"] == 2
    assert core.run_thread() == []
    assert [[pfn for pfn, _ in reported] for _, reported in core.submitted()] == [blocks[:3]]


def test_what_was_allocated_since_is_passed_over_page_by_page():
    allocator, core, blocks = held(strategies.V9(entries=2, threshold=2, run_in="thread"), 3)
    user = gfp.value(USER, allocator.kernel)
    for pfn in blocks[:2]:
        allocator.free(pfn, 10)
    assert allocator.alloc(0, user) == blocks[1]
    core.run_thread()
    [(_, reported)] = core.submitted()
    assert reported == [(blocks[0], 10)]
    counters = core.counters_by_name()
    assert counters["reallocated"] == 4
    assert counters["free_non_buddy"] == 4 * 1023
    assert counters["scanned"] == counters["reallocated"] + counters["free_non_buddy"] + counters["total_isolated"]


@pytest.mark.parametrize(("spare", "isolated"), [(0, 0), (1, 1)])
def test_watermark(spare, isolated):
    """The zone must keep more than its min watermark (I4)."""
    allocator, core, blocks = held(strategies.V9(entries=1, threshold=1), 2, order=9, watermark=(0, 0, 0))
    allocator.split(blocks[3], 9)
    for pfn in range(spare):
        allocator.free(blocks[3] + 2 * pfn, 0)
    for pfn in blocks[:2]:
        allocator.free(pfn, 9)
    assert core.statistics()["isolated"] == isolated
    assert core.counters_by_name()["failed_isolation"] == 4096 * (1 - isolated)


@pytest.mark.parametrize(("barrier", "barred"), [(0, 0), (2, 0), (3, 2)])
def test_zone_free_barrier(barrier, barred):
    allocator, core, blocks = held(strategies.V9(entries=2, threshold=2, barrier=barrier), 4)
    for pfn in blocks[:2]:
        allocator.free(pfn, 10)
    assert core.statistics()["barred"] == barred
    assert len(core.submitted()) == (barred == 0)
    assert core.captured() == []


def test_min_order_9():
    allocator, core, blocks = held(strategies.V9(entries=4, threshold=2, min_order=9), 3, order=9)
    for pfn in (0, 1024):
        allocator.free(pfn, 9)
    assert [reported for _, reported in core.submitted()] == [[(0, 9), (1024, 9)]]
    assert blocks[:3] == [0, 512, 1024]


def test_without_memory_for_a_list_all_that_was_noted_is_forgotten():
    allocator, core, blocks = held(strategies.V9(entries=4, threshold=2, fail_every=2), 6)
    for pfn in blocks:
        allocator.free(pfn, 10)
    assert [[pfn for pfn, _ in reported] for _, reported in core.submitted()] == [blocks[:2], blocks[4:]]
    assert core.statistics()["discarded"] == 2
    assert core.captured() == []
    core.complete_submitted()
    assert all_unused(allocator) == 6 << 10
    allocator.check()


def test_lists_beyond_the_ring_come_back_at_once():
    allocator, core, blocks = held(strategies.V9(entries=1, threshold=1), 140)
    for pfn in blocks:
        allocator.free(pfn, 10)
    statistics = core.statistics()
    assert statistics["returned_at_once"] == 12
    assert statistics["most_in_flight"] == 129
    assert len(core.submitted()) == 128
    assert core.complete_submitted() == 128
    allocator.check()
    assert all_unused(allocator) == 140 << 10
    assert outside(allocator) == 0


@pytest.mark.parametrize("spec", [
    strategies.V9(), strategies.V9(entries=32, threshold=16), strategies.V9(entries=16, threshold=8), strategies.V9(call_pages=0),
    strategies.V9(host_action="free"), strategies.V9(barrier=64), strategies.V9Stats(entries=32, threshold=16),
], ids=repr)  # fmt: skip
@pytest.mark.parametrize("thp", ["always", "never"])
def test_in_a_guest(spec, thp):
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("1GiB", vcpus=2, strategy=spec, thp=thp), workload=h.workloads.memhog("700MiB", repeat=3))
    sim.run()
    sim.check()
    statistics = vm.guest.strategy_core.statistics()
    assert statistics["isolated"] > 0
    assert statistics["not_isolated"] == 0
    assert statistics["most_isolated"] <= spec.entries
    assert sum(isolated_pages(vm.guest.allocator)) == statistics["leaked_blocks"] << 10
    assert (vm.counts()["returned_frames"] > 0) == (spec.host_action == "dontneed")
    assert (vm.counters() != {}) == (spec.name == "v9-stats")


@pytest.mark.parametrize("lost_answers", [True, False])
def test_the_driver_loses_answers(lost_answers):
    """Frees of whole blocks at an odd pace: sooner or later one falls between an answer and its interrupt."""
    spec = strategies.V9(entries=1, threshold=1, lost_answers=lost_answers, call_pages=0)
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("1GiB", strategy=spec), boot=False)
    rows = [("ALLOC", {"b": 200, "order": 10, "flags": 1})]
    for turn in range(150):
        rows += [("COMPUTE", {"a": 700 * turn}), ("FREE", {"b": 1})]
    vm.submit(program(*rows))
    sim.run()
    sim.check()
    leaked = vm.guest.strategy_core.statistics()["leaked_blocks"]
    assert leaked == vm.counts()["lost_answers"]
    assert (leaked > 0) == lost_answers
    assert sum(isolated_pages(vm.guest.allocator)) == leaked << 10 or lost_answers


def test_parameters_are_checked():
    with pytest.raises(StrategyError, match=r"threshold must not be above entries \(16\), got 128"):
        strategies.V9(entries=16)
    with pytest.raises(StrategyError, match="min_order must be a whole number between 8 and 10 \\(order\\), got 11"):
        strategies.V9(min_order=11)
    assert strategies.V9(entries=16, threshold=16).threshold == 16

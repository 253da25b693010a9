"""Development builds around hinting v8: what each leaves out, leaks, or moves."""

import pytest

import hinting as h
from hinting import strategies
from hinting._core.mm.check import isolated_pages
from hinting.scenarios import Scenario
from tests.strategies.lineage import all_unused, held, outside


def test_early_wakes_when_the_array_first_fills():
    allocator, core, blocks = held(strategies.V8Early(entries=3), 4, order=9)
    for pfn in blocks[:2]:
        allocator.free(pfn, 9)
    assert not core.is_woken()
    allocator.free(blocks[2], 9)
    assert core.is_woken()
    assert core.captured() == [(pfn, 9, 2) for pfn in blocks[:3]]
    allocator.free(blocks[3], 9)
    assert core.counters()["total-freed-memory"] - core.counters()["captured-freed-memory"] == 2048


def test_early_loses_all_but_the_first_page_of_a_block():
    allocator, core, blocks = held(strategies.V8Early(entries=3), 4, order=9)
    for pfn in blocks[:3]:
        allocator.free(pfn, 9)
    assert core.run_thread() == [(0, 10), (1024, 9)]
    core.host_done()
    allocator.check()
    assert core.statistics()["leaked_pages"] == outside(allocator) == 1023 + 511
    assert all_unused(allocator) == 3 * 512
    assert core.counters()["guest-returned-memory"] == 8
    assert allocator.page(1) == "isolated (a block of order 0)"
    assert core.captured() == []


def test_early_frees_go_through_the_hook_while_the_array_is_full():
    allocator, core, blocks = held(strategies.V8Early(entries=2), 2)
    for pfn in blocks:
        allocator.free(pfn, 10)
    core.run_thread()
    before = core.counters()
    core.host_done()
    after = core.counters()
    assert after["total-freed-memory"] - before["total-freed-memory"] == 8
    assert after["captured-freed-memory"] == before["captured-freed-memory"]
    assert list(after)[-1] == "buddy_unisolated_memory"
    assert len(after) == 10


def test_transition_isolates_everything_and_reports_block_by_block():
    allocator, core, blocks = held(strategies.V8Transition(entries=3), 4, order=9)
    for pfn in (blocks[4], blocks[0], blocks[1]):
        allocator.free(pfn, 9)
    assert core.is_woken()
    allocator.free(blocks[2], 9)        # lost
    assert core.run_thread() == [(blocks[4], 9)]
    assert outside(allocator) == 512 + 1024
    assert core.work["locks"] == 1
    core.host_done()
    assert outside(allocator) == 1024
    assert core.run_thread() == [(blocks[0], 10)]
    core.host_done()
    assert core.run_thread() == []
    assert outside(allocator) == 0
    assert core.counters() == {}
    assert core.statistics()["captured"] == 3
    allocator.check()


@pytest.mark.parametrize("spec", [strategies.V8MaxOrder, strategies.V8Async])
def test_only_merged_blocks_of_order_10_are_captured(spec):
    allocator, core, blocks = held(spec(entries=2), 3, order=9)
    for pfn in blocks[:3]:
        allocator.free(pfn, 9)
    assert core.counters()["captued_memory"] == core.counters()["total_freed_memory"] == 4096
    assert core.submitted() == []
    allocator.free(blocks[3], 9)
    [(_, reported)] = core.submitted()
    assert reported == [(0, 10), (1024, 10)]
    assert outside(allocator) == 2048
    assert core.counters()["tail_isolated_memory"] == core.counters()["total_isolated_memory"] == 8192
    core.complete_submitted()
    assert outside(allocator) == 0
    assert core.counters()["guest_returned_memory"] == 8192
    allocator.check()


@pytest.mark.parametrize("thp", ["always", "never"])
@pytest.mark.parametrize("spec", [
    strategies.V8Early(), strategies.V8Transition(entries=100), strategies.V8MaxOrder(entries=50), strategies.V8Async(entries=50),
], ids=lambda spec: spec.name)
def test_in_a_guest(spec, thp):
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("1GiB", strategy=spec, thp=thp), workload=h.workloads.memhog("300MiB", repeat=3))
    sim.run()
    sim.check()
    statistics = vm.guest.strategy_core.statistics()
    assert vm.counts()["returned_frames"] > 0
    assert sum(isolated_pages(vm.guest.allocator)) == statistics.get("leaked_pages", 0)
    assert (statistics.get("leaked_pages", 0) > 0) == (spec.name == "v8-early")
    assert statistics.get("not_isolated", 0) == 0
    assert (vm.accounts()["guest_spin"] > 0) == (spec.name != "v8.9-async")


def test_every_strategy_is_found_without_a_list():
    for name in ("v1", "v7", "v8-transition", "v8-early", "v8.5-max-order", "v8.9-async", "v9", "v9-stats", "v10", "v11", "v12",
                 "v12-stats"):
        spec = strategies.find(name)
        assert getattr(strategies, type(spec).__name__) is type(spec)
        assert type(spec).__name__ in strategies.__all__


def test_a_name_with_a_dot_takes_parameters():
    scenario = Scenario.load("seed", {"v8.5-max-order.entries": "500"}, ["v8", "v8.5-max-order"])
    assert [arm.parameters.get("entries") for arm in scenario.strategy] == [None, 500]

"""Hinting v1 and v7: runs, compression, what is sent and what is lost, unsafe hints, waiting allocations."""

import pytest

import hinting as h
from hinting import gfp, strategies
from hinting._core.engine.ops import program
from hinting.errors import StrategyError
from tests.strategies.lineage import USER, held


def singles(**parameters):
    """One allocated block of single pages, with a v1 of four entries unless given."""
    spec = strategies.V1(**({"entries": 4, "threshold": 3} | parameters))
    allocator, core, pages = held(spec, 1, order=0)
    return allocator, core, pages


def sent(core):
    return [blocks for _, blocks in core.submitted()]


def test_the_array_is_worked_off_when_it_is_full_not_before():
    allocator, core, _ = singles(threshold=1)
    for pfn in (0, 2, 4):
        allocator.free(pfn, 0)
    assert core.captured() == [(0, 1), (2, 1), (4, 1)]
    assert sent(core) == []
    allocator.free(6, 0)
    assert core.captured() == []
    assert core.statistics()["slow_paths"] == 1


def test_runs_that_reach_the_threshold_are_sent():
    allocator, core, _ = singles()
    for pfn in (8, 2, 4, 6):
        allocator.free(pfn, 0)
    assert sent(core) == [[(2, 0), (4, 0), (6, 0), (8, 0)]]
    assert core.complete_submitted() == 1
    assert core.statistics()["discarded_in_use"] == core.statistics()["unsafe_hint"] == 0


@pytest.mark.parametrize(("threshold", "reports"), [(1, 1), (2, 0)])
def test_the_threshold_is_of_the_last_index_after_compression(threshold, reports):
    allocator, core, _ = singles(threshold=threshold)
    for pfn in (2, 3, 8, 9):
        allocator.free(pfn, 0)
    assert len(sent(core)) == reports
    assert core.statistics()["sent_pages"] == 4 * reports
    assert core.statistics()["lost_pages"] == 4 * (1 - reports)


def test_a_run_of_any_size_is_reported_as_aligned_blocks():
    allocator, core, _ = singles(entries=12, threshold=1, remainder="kept")
    for pfn in range(3, 15):
        allocator.free(pfn, 0)
    assert sent(core) == [[(3, 0), (4, 2), (8, 2), (12, 1), (14, 0)]]


def test_the_description_keeps_what_was_not_sent():
    allocator, core, _ = singles(remainder="kept", track_run=True)
    for pfn in (2, 3, 8, 9):
        allocator.free(pfn, 0)
    assert sent(core) == []
    assert core.captured() == [(2, 2), (8, 2)]
    assert core.statistics()["lost_pages"] == 0
    for pfn in (20, 22):
        allocator.free(pfn, 0)
    assert sent(core) == [[(2, 1), (8, 1), (20, 0), (22, 0)]]
    assert core.captured() == []


@pytest.mark.parametrize(("threshold", "reports", "kept"), [
    (3, [[(2, 1), (8, 0), (16, 0), (32, 1)]], []),      # (a) enough runs: sent, and the list is empty
    (5, [], [(2, 2), (8, 1), (16, 1), (32, 2)]),        # (b) too few: they return to the CPU's array
])  # fmt: skip
def test_outcomes_a_and_b_of_the_descriptions(threshold, reports, kept):
    allocator, core, _ = singles(entries=6, threshold=threshold, remainder="kept", track_run=True)
    for pfn in (8, 2, 16, 3, 32, 33):
        allocator.free(pfn, 0)
    assert sent(core) == reports
    assert core.captured() == kept


def test_outcome_c_of_the_descriptions():
    """Too few runs, but the CPU's array is not exhausted: filling goes on behind the compressed part."""
    allocator, core, _ = held(strategies.V7(entries=4, threshold=3), 1, order=2)
    user = gfp.value(USER, allocator.kernel)
    allocator.free(64, 2)               # two of its pages are taken again: runs 64 (freed again) and 66-67
    assert allocator.alloc(0, user) == 64
    assert allocator.alloc(0, user) == 65
    allocator.free(64, 0)
    for pfn in (16, 8):
        allocator.split(pfn, 2)
        allocator.free(pfn, 0)          # 16 takes the last slot; compressed to three runs, 8 comes behind them
    assert core.statistics()["compressions"] == 2
    assert sent(core) == [[(8, 0), (16, 0), (64, 0), (66, 1)]]
    assert core.captured() == []


def test_duplicates_are_merged_by_compression():
    spec = strategies.V1(entries=4, threshold=3)
    allocator, core, _ = held(spec, 1, order=2)
    user = gfp.value(USER, allocator.kernel)
    allocator.free(64, 2)               # entry 0: an order-2 block, of which one page is taken again
    assert allocator.alloc(0, user) == 64
    assert allocator.alloc(0, user) == 65
    allocator.free(64, 0)               # entry 1, now two runs: page 64, pages 66-67
    allocator.split(8, 2)
    allocator.split(16, 2)
    allocator.free(16, 0)               # entry 2 takes the last slot; the duplicate of page 64 is merged away
    allocator.free(8, 0)                # entry 3 is in the last slot again
    assert core.statistics()["compressions"] == 2
    assert sent(core) == [[(8, 0), (16, 0), (64, 0), (66, 1)]]
    assert core.statistics()["unsafe_hint"] == 0


@pytest.mark.parametrize(("track_run", "unchecked"), [(False, 3), (True, 0)])
def test_a_run_cut_by_compression_goes_on_at_the_highest_one(track_run, unchecked):
    spec = strategies.V1(entries=4, threshold=3, track_run=track_run)
    allocator, core, _ = held(spec, 1, order=2)
    user = gfp.value(USER, allocator.kernel)
    allocator.free(64, 2)
    assert allocator.alloc(0, user) == 64
    assert allocator.alloc(0, user) == 65
    allocator.free(64, 0)
    allocator.free(16, 2)               # entry 2: its first page takes the last slot, three pages follow
    allocator.split(8, 2)
    allocator.free(8, 0)
    statistics = core.statistics()
    assert statistics["unsafe_hint"] == unchecked
    reported = {pfn + i for pfn, order in sent(core)[0] for i in range(1 << order)}
    core.complete_submitted()
    if track_run:
        assert reported == {8, 16, 17, 18, 19, 64, 66, 67}
        assert core.statistics()["discarded_in_use"] == 0
    else:
        assert reported == {8, 16, 64, 66, 67, 68, 69, 70}
        assert core.statistics()["discarded_in_use"] == 3
        assert statistics["lost_pages"] == 3


def test_pages_behind_the_first_of_a_plain_block_count_as_free():
    spec = strategies.V1(entries=2, threshold=1)
    allocator, core, _ = held(spec, 1, order=2)
    allocator.free(64, 2)
    plain = gfp.value(gfp.KERNEL, allocator.kernel)
    assert allocator.alloc(2, plain) == 64
    allocator.free(16, 2)
    assert core.statistics()["tail_pages"] == 3
    assert sent(core) == [[(16, 0), (65, 0), (66, 1)]]
    core.complete_submitted()
    assert core.statistics()["discarded_in_use"] == 3


def test_what_follows_a_send_goes_to_the_empty_slot_and_is_lost():
    spec = strategies.V1(entries=2, threshold=1)
    allocator, core, _ = held(spec, 1, order=2)
    allocator.free(64, 2)
    allocator.free(16, 2)
    assert sent(core) == [[(16, 0), (64, 2)]]
    assert core.statistics()["lost_pages"] == 3


def test_compound_pages_and_pages_in_use_are_passed_over():
    spec = strategies.V1(entries=3, threshold=1, remainder="kept")
    allocator, core, _ = held(spec, 1, order=2)
    allocator.free(64, 2)
    assert allocator.alloc(2, gfp.value(gfp.TRANSHUGE_LIGHT, allocator.kernel)) == 64
    allocator.split(8, 2)
    allocator.free(8, 0)
    assert allocator.alloc(0, gfp.value(USER, allocator.kernel)) == 8
    allocator.free(16, 2)
    assert sent(core) == [[(16, 2)]]
    assert core.statistics()["checked_pages"] == 4


@pytest.mark.parametrize("thp", ["always", "never"])
def test_v1_loses_what_v7_sends(thp):
    arms = {}
    for spec in (strategies.V1(host_action="dontneed"), strategies.V7(host_action="dontneed")):
        sim = h.Simulation(h.Host("4GiB"), seed=1)
        vm = sim.launch(h.Guest("1GiB", strategy=spec, thp=thp), workload=h.workloads.memhog("700MiB", repeat=2))
        sim.run()
        sim.check()
        arms[spec.name] = vm.guest.strategy_core.statistics() | vm.counts()
    assert arms["v7"]["sent_pages"] > arms["v1"]["sent_pages"]
    assert arms["v1"]["lost_pages"] > 0
    assert arms["v7"]["lost_pages"] == arms["v7"]["unsafe_hint"] == 0
    assert arms["v7"]["returned_frames"] > 100_000


@pytest.mark.parametrize("stop_allocations", [True, False])
def test_allocations_of_other_cpus_wait_for_the_host(stop_allocations):
    spec = strategies.V7(host_action="dontneed", stop_allocations=stop_allocations)
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("1GiB", vcpus=2, strategy=spec, thp="never"), workload=h.workloads.memhog("200MiB", repeat=3))
    vm.submit(h.workloads.memhog("200MiB", repeat=30, gap=0, process=1), vcpu=1)
    sim.run()
    sim.check()
    stalls = vm.guest.strategy_core.statistics()["stalls"]
    assert (stalls > 0) == stop_allocations
    assert vm.accounts()["guest_spin"] > 0
    if stop_allocations:
        assert vm.guest.strategy_core.statistics()["unsafe_hint"] == 0


def test_without_the_stop_the_host_drops_pages_in_use():
    spec = strategies.V7(host_action="dontneed", stop_allocations=False)
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("512MiB", vcpus=2, strategy=spec, thp="never"))
    sim.run()
    before = vm.guest.strategy_core.statistics()
    vm.submit(h.workloads.memhog("150MiB", repeat=40, gap=0), vcpu=0)
    vm.submit(h.workloads.memhog("150MiB", repeat=40, gap=0, process=1), vcpu=1)
    sim.run()
    after = vm.guest.strategy_core.statistics()
    assert after["discarded_in_use"] > before["discarded_in_use"]
    assert after["tail_pages"] == before["tail_pages"]


def test_the_cpu_spins_until_the_host_is_done():
    sim = h.Simulation(h.Host("2GiB"), seed=1)
    vm = sim.launch(h.Guest("512MiB", strategy=strategies.V7(entries=2, host_action="dontneed")), boot=False)
    vm.submit(program(("ALLOC", {"b": 64}), ("FREE", {})))
    sim.run()
    counts, accounts = vm.counts(), vm.accounts()
    assert counts["reports"] == vm.guest.strategy_core.statistics()["hypercalls"] > 0
    assert accounts["guest_spin"] >= accounts["vmm"] > 0


@pytest.mark.parametrize(("parameters", "message"), [
    ({"entries": 1}, "entries must be a whole number between 2"),
    ({"threshold": 0}, "threshold must be a whole number between 1"),
    ({"entries": 500, "threshold": 500}, r"threshold must be below entries \(500\), got 500"),
    ({"remainder": "sent"}, "remainder must be one of 'lost', 'kept', got 'sent'"),
])  # fmt: skip
def test_parameters_are_checked(parameters, message):
    with pytest.raises(StrategyError, match=message):
        strategies.V1(**parameters)
    strategies.V1(entries=500, threshold=499)

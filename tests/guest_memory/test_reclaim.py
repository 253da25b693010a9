"""What a guest does when free memory runs low: kswapd, direct reclaim, and at last the OOM killer."""

import pytest

from hinting.workloads import program
from tests.guest_memory.harness import MIB, cache_rows, launch, run


def test_kswapd_keeps_a_reader_above_the_min_watermark():
    sim, vm = launch(("READ", {"file": 1, "b": 1024 * MIB}))
    sim.run()
    sim.check()
    counts = vm.counts()
    assert counts["kswapd_runs"] > 10
    assert counts["direct_reclaims"] == 0
    assert counts["pgsteal_kswapd_pages"] == counts["pgscan_kswapd_pages"]
    assert counts["inactive_file_pages"] == 1024 * MIB - counts["pgsteal_kswapd_pages"]
    assert counts["guest_oom_kills"] == 0
    # what was read last is there, in order
    indices = [index for _, index, _ in cache_rows(vm)]
    assert indices == list(range(counts["pgsteal_kswapd_pages"], 1024 * MIB))


def test_kswapd_stops_at_the_high_watermark():
    sim, vm = launch(("READ", {"file": 1, "b": 1024 * MIB}), ("SLEEP", {"a": 1_000_000_000}))
    sim.run()
    before = vm.counts()
    run(sim, vm, ("SLEEP", {"a": 10_000_000_000}))
    assert vm.counts()["kswapd_runs"] == before["kswapd_runs"]
    assert vm.counts()["pgsteal_kswapd_pages"] == before["pgsteal_kswapd_pages"]


def test_a_process_gets_what_the_cache_had():
    sim, vm = launch(
        ("READ", {"file": 1, "b": 480 * MIB}), ("SPAWN", {}), ("MMAP", {"a": 400 * MIB}), ("TOUCH", {"b": 400 * MIB})
    )
    sim.run()
    sim.check()
    counts = vm.counts()
    assert counts["touched_pages"] == 400 * MIB
    assert counts["guest_oom_kills"] == 0
    assert counts["pgsteal_kswapd_pages"] + counts["pgsteal_direct_pages"] > 300 * MIB
    assert vm.accounts()["guest_reclaim"] > 0


def test_dirty_pages_are_written_before_they_go():
    sim, vm = launch(
        ("WRITE", {"file": 1, "b": 40 * MIB}), ("SPAWN", {}), ("MMAP", {"a": 470 * MIB}), ("TOUCH", {"b": 470 * MIB})
    )
    sim.run()
    sim.check()
    counts = vm.counts()
    assert counts["reclaim_written_pages"] > 0
    assert counts["reclaim_written_pages"] <= counts["file_written_pages"] <= 40 * MIB
    assert vm.accounts()["guest_disk"] >= counts["reclaim_written_pages"] * 1000


def test_direct_reclaim_when_kswapd_waits_for_the_disk():
    sim, vm = launch(
        ("WRITE", {"file": 1, "b": 90 * MIB}), ("SPAWN", {}), ("MMAP", {"a": 460 * MIB}), ("TOUCH", {"b": 460 * MIB})
    )
    sim.run()
    counts = vm.counts()
    assert counts["direct_reclaims"] > 0
    assert counts["pgsteal_direct_pages"] >= 32 * counts["direct_reclaims"] * 0.9


def test_pages_used_twice_outlive_a_scan():
    """The second chance: a file read once cannot push out one that was read twice."""
    sim, vm = launch(("READ", {"file": 1, "b": 100 * MIB}), ("READ", {"file": 1, "b": 100 * MIB}))
    run(sim, vm, ("READ", {"file": 2, "b": 1024 * MIB}))
    kept = sum(file == 1 for file, _, _ in cache_rows(vm))
    assert kept == 100 * MIB


def test_the_active_list_gives_up_when_it_is_the_longer_one():
    sim, vm = launch(("READ", {"file": 1, "b": 380 * MIB}), ("READ", {"file": 1, "b": 380 * MIB}))
    run(sim, vm, ("READ", {"file": 2, "b": 1024 * MIB}))
    kept = sum(file == 1 for file, _, _ in cache_rows(vm))
    assert 0 < kept < 380 * MIB
    counts = vm.counts()
    assert counts["active_file_pages"] <= counts["inactive_file_pages"] + 512


def test_the_oom_killer_takes_the_biggest_process_and_the_run_goes_on():
    sim, vm = launch(
        ("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 300 * MIB}), ("TOUCH", {"proc": 1, "b": 300 * MIB}),
        ("SPAWN", {"proc": 2}), ("MMAP", {"proc": 2, "a": 280 * MIB}), ("TOUCH", {"proc": 2, "b": 280 * MIB}),
        ("TOUCH", {"proc": 1, "b": 10}), ("MARK", {"a": 5}), ("EXIT", {"proc": 1}), ("EXIT", {"proc": 2}), ("MARK", {"a": 6}),
    )  # fmt: skip
    free = vm.guest.free_pages()
    sim.run()
    sim.check()
    kills = vm.oom_kills()
    assert [(kill.process, kill.rss_pages) for kill in kills] == [(1, 300 * MIB)]
    assert vm.counts()["guest_oom_kills"] == 1
    marks = {mark.number: mark for mark in vm.marks()}
    assert 0 < kills[0].t_ns < marks[5].t_ns < marks[6].t_ns
    vm.guest.drain()
    assert vm.guest.free_pages() == free


def test_the_cache_goes_before_anybody_is_killed():
    sim, vm = launch(
        ("READ", {"file": 1, "b": 300 * MIB}), ("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 512 * MIB}),
        ("TOUCH", {"proc": 1, "b": 512 * MIB}),
    )  # fmt: skip
    sim.run()
    assert [kill.process for kill in vm.oom_kills()] == [1]
    assert len(vm.page_cache()) == 0


def test_kernel_memory_kills_too_but_not_without_processes():
    sim, vm = launch(("ALLOC", {"b": 600 * MIB}))
    sim.run()
    counts = vm.counts()
    assert counts["guest_oom_kills"] == 0
    assert counts["failed_allocations"] > 0
    sim, vm = launch(
        ("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 200 * MIB}), ("TOUCH", {"proc": 1, "b": 200 * MIB}),
        ("ALLOC", {"b": 400 * MIB}),
    )  # fmt: skip
    sim.run()
    assert [kill.process for kill in vm.oom_kills()] == [1]
    assert vm.counts()["failed_allocations"] == 0


@pytest.mark.parametrize("vcpus", [1, 3])
def test_same_rows_same_run(vcpus):
    def once():
        sim, vm = launch(("READ", {"file": 1, "b": 600 * MIB}), vcpus=vcpus)
        for cpu in range(1, vcpus):
            vm.submit(_mixed(cpu), vcpu=cpu)
        sim.run()
        sim.check()
        return sim.timeline(), sim.metrics(), vm.page_cache().tobytes(), vm.oom_kills(), vm.accounts()

    assert once() == once()


def _mixed(cpu):
    rows = [("SPAWN", {"proc": cpu}), ("MMAP", {"proc": cpu, "a": 150 * MIB})]
    for turn in range(30):
        rows += [
            ("TOUCH", {"proc": cpu, "a": turn * 5 * MIB, "b": 5 * MIB}),
            ("WRITE", {"file": 10 + cpu, "a": turn * 500, "b": 500}),
        ]
    return program(*rows, ("DROP_CACHES", {}))

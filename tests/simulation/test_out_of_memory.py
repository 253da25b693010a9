"""Guests and hosts that run out: who is killed, what is left, and that the rest goes on."""

import pytest

import hinting as h
from tests.simulation.harness import PAGE, launch, total_pages


@pytest.mark.parametrize("thp", ["always", "never"])
@pytest.mark.parametrize("kernel", h.kernels.names())
def test_a_guest_kills_its_program_and_goes_on(kernel, thp):
    sim, vm = launch(h.workloads.memhog("2GiB"), memory="640MiB", kernel=kernel, thp=thp)
    start = total_pages(vm.guest)
    sim.run()
    sim.check()
    assert vm.counts()["guest_oom_kills"] == 1
    assert not vm.is_lost
    assert total_pages(vm.guest) == start
    vm.submit(h.workloads.memhog("64MiB", process=1))
    sim.run()
    assert vm.counts()["guest_oom_kills"] == 1
    assert [mark.number for mark in vm.marks()] == [1, 2, 3, 1, 2, 3]
    sim.check()


def test_rows_of_a_killed_process_are_skipped():
    program = h.workloads.program(
        ("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 1 << 20}), ("TOUCH", {"proc": 1, "b": 1 << 20}),
        ("UNMAP", {"proc": 1, "b": 5}), ("MMAP", {"proc": 1, "region": 1, "a": 5}), ("TOUCH", {"proc": 1, "region": 1, "b": 5}),
        ("EXIT", {"proc": 1}), ("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 10}), ("TOUCH", {"proc": 1, "b": 10}),
    )  # fmt: skip
    sim, vm = launch(program, memory="640MiB", thp="never")
    sim.run()
    sim.check()
    assert vm.counts()["guest_oom_kills"] == 1
    assert vm.is_idle


def overcommit(strategy=None, guests=5):
    sim = h.Simulation(h.Host("5GiB"), seed=0)
    lost = []
    for _ in range(guests):
        spec = h.strategies.V8(entries=128) if strategy == "v8" else None
        vm = sim.launch(h.Guest("1GiB", strategy=spec), workload=h.workloads.memhog("512MiB"))
        vm.run_until_idle()
        lost.append([vm.is_lost for vm in sim.vms])
    return sim, lost


def test_the_host_kills_one_guest_and_the_others_go_on():
    sim, lost = overcommit()
    assert sum(lost[-1]) >= 1
    assert sim.host.vmstat()["oom_kill"] == sum(lost[-1])
    sim.check()
    for vm in sim.vms:
        assert vm.is_idle
        if vm.is_lost:
            assert vm.counts()["held_frames"] == 0
            assert vm.machine.lost_at_ns <= sim.now_ns
    held = sum(vm.counts()["held_frames"] for vm in sim.vms)
    assert sim.host.used_bytes() == sim.host.base_bytes + held * PAGE
    timeline = sim.timeline().to_pylist()
    number = lost[-1].index(True)
    assert [row for row in timeline if row["guest"] == number][-1]["guest_held_bytes"] == 0


def test_hinting_lets_them_all_live():
    sim, lost = overcommit("v8")
    assert lost[-1] == [False] * 5
    sim.check()


def test_a_lost_guest_takes_no_part():
    sim, lost = overcommit()
    dead = sim.vms[lost[-1].index(True)]
    counts, marks = dead.counts(), dead.marks()
    dead.submit(h.workloads.memhog("8MiB", process=7))
    sim.run(until=sim.now_ns + 10_000_000_000)
    assert dead.counts() == counts
    assert dead.marks() == marks
    assert dead.run_until_idle()
    sim.check()

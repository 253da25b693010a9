"""Virtual time, determinism, accounting, and what guests and hosts run out of."""

import importlib.util

import numpy as np
import pytest

import hinting as h
from hinting.errors import GuestError, HintingError
from hinting.experiments import run
from hinting.workloads.memhog import MARK_DONE, MARK_HELD
from tests.conftest import ROOT


def launch(seed=1, host="4GiB", **guest):
    sim = h.Simulation(h.Host(host), seed=seed)
    return sim, sim.launch(h.Guest("1GiB", **guest), workload=h.workloads.memhog("256MiB"))


def test_run_step_and_now():
    sim, vm = launch()
    assert sim.now == 0
    assert sim.step()
    sim.run(until="3s")
    assert sim.now == 3.0
    with pytest.raises(HintingError, match="past"):
        sim.run(until="1s")
    sim.run()
    assert vm.is_idle
    assert not sim.step()
    assert sim.peek() is None
    with pytest.raises(GuestError, match="launched already"):
        sim.launch(vm.guest)


@pytest.mark.parametrize("thp", ["always", "never"])
def test_same_seed_same_bytes(thp):
    runs = []
    for seed in (1, 1, 2):
        sim, _ = launch(seed, thp=thp, strategy="v8")
        sim.run()
        runs.append((sim.timeline(), sim.metrics()))
    assert runs[0][0].equals(runs[1][0])
    assert runs[0][1].equals(runs[1][1])
    assert not runs[0][0].equals(runs[2][0])


def test_the_books_balance_after_every_slice():
    sim = h.Simulation(h.Host("3GiB"), seed=3)
    for _ in range(2):
        vm = sim.launch(h.Guest("1GiB", vcpus=2, strategy=h.strategies.V8(entries=64), thp="never"))
        vm.submit(h.workloads.memhog("128MiB", repeat=2, gap="1s"), vcpu=1)
    steps = 0
    while sim.step():
        steps += 1
        if steps % 20 == 0:
            sim.check()
    sim.check()
    assert steps > 100
    assert all(vm.counts()["reports"] for vm in sim.vms)


def test_memory_returns_with_hinting_only():
    held = {}
    for strategy in ("none", "v8"):
        sim, vm = launch(strategy=h.strategies.find(strategy, {"entries": 32} if strategy == "v8" else None))
        sim.run()
        marks = {mark.number: mark for mark in vm.marks()}
        assert marks[MARK_DONE].t_ns > marks[MARK_HELD].t_ns
        held[strategy] = vm.counts()["held_frames"] * 4096
    assert held["none"] - held["v8"] > 64 << 20


def test_guest_out_of_memory_kills_the_program():
    sim = h.Simulation(h.Host("4GiB"))
    vm = sim.launch(h.Guest("1GiB"), workload=h.workloads.memhog("1GiB"))
    sim.run()
    assert vm.counts()["guest_oom_kills"] == 1
    sim.check()


def test_host_out_of_memory_kills_a_guest():
    sim = h.Simulation(h.Host("2GiB"))
    for _ in range(2):
        sim.launch(h.Guest("1GiB"), workload=h.workloads.memhog("640MiB"))
    sim.run()
    assert sum(vm.is_lost for vm in sim.vms) == 1
    sim.check()


def test_every_op():
    program = h.workloads.program(
        ("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 2048}), ("TOUCH", {"proc": 1, "b": 2048}),
        ("UNMAP", {"proc": 1, "a": 512, "b": 512}), ("COMPUTE", {"a": 5_000_000}), ("SLEEP", {"a": 1000}),
        ("ALLOC", {"proc": 2, "order": 3, "b": 10}), ("FREE", {"proc": 2, "b": 4}), ("FREE", {"proc": 2}),
        ("NOP", {}), ("MARK", {"a": 7}), ("EXIT", {"proc": 1}),
    )  # fmt: skip
    sim = h.Simulation(h.Host("4GiB"))
    vm = sim.launch(h.Guest("1GiB"), boot=False, workload=program)
    free = vm.guest.free_pages()
    sim.run()
    vm.guest.drain()
    assert vm.guest.free_pages() == free
    assert vm.accounts()["guest_user"] == 5_000_000
    assert [mark.number for mark in vm.marks()] == [7]
    assert vm.guest.buddyinfo().dtype == np.int64


def test_seed_experiment():
    result = run("seed")
    document = result.to_json()
    assert document["experiment"] == "seed"
    assert document["host_memory_bytes"] == 15837 << 20
    none, v8 = document["arms"]
    assert none["strategy"] == "none"
    assert none["guests_launched"] == 3 == len(none["host_used_bytes"])
    assert v8["guests_launched"] >= 5
    assert v8["counters"]["guest_returned_memory"] == v8["counters"]["total_isolated_memory"]
    assert {"emulated_s", "wall_s"} <= none.keys()


def test_simpy_example():
    spec = importlib.util.spec_from_file_location("simpy_two_guests", ROOT / "examples" / "simpy_two_guests.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    log = module.main()
    assert len(log) == 40
    assert max(used for _, used in log) - log[-1][1] > 0.2

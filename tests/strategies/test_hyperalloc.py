"""HyperAlloc: frames evicted, installed, taken and returned; runs that are discarded together; limits."""

import pytest

import hinting as h
from hinting import gfp, strategies
from hinting._core.mm.check import isolated_pages
from hinting.errors import StrategyError
from hinting.workloads import program

MIB = 256  # pages
FRAME = 512


def launch(workload=None, memory="1GiB", host="4GiB", thp="always", **parameters):
    sim = h.Simulation(h.Host(host, fragmentation=0.0), seed=1)
    vm = sim.launch(h.Guest(memory, thp=thp, strategy=strategies.HyperAlloc(**parameters)), workload=workload)
    vm.run_until_idle()
    return sim, vm


def state_is_sound(sim, vm):
    """Each frame's state agrees with the guest's allocator and with what the host backs."""
    sim.check()
    frames = vm.guest.strategy_core.frames()
    backing, guest = vm.machine.backing, vm.guest
    assert sum(isolated_pages(guest.allocator)) == vm.guest.strategy_core.statistics()["taken"] * FRAME
    for pfn in frames["evicted"]:
        assert backing.block_state(pfn // FRAME).present == 0
        assert not guest.page(pfn).startswith("allocated")
    for pfn in frames["hard"]:
        assert backing.block_state(pfn // FRAME).present == 0
        assert guest.page(pfn).startswith("isolated") or "outside" in guest.page(pfn)


def test_a_frame_is_backed_before_the_guest_has_it():
    sim, vm = launch()
    core = vm.guest.strategy_core
    faults = vm.machine.backing.counters["faults_2m"]
    evicted = set(core.frames()["evicted"])
    vm.submit(program(("ALLOC", {"proc": 0, "b": 50_000, "flags": 1})))
    vm.run_until_idle()
    installed = evicted - set(core.frames()["evicted"])
    assert 0 < len(installed) <= 50_000 // FRAME + 2
    assert all(vm.machine.backing.block_state(pfn // FRAME).present == FRAME for pfn in installed)
    assert vm.machine.backing.counters["faults_2m"] - faults == len(installed)
    state_is_sound(sim, vm)


def test_free_frames_are_evicted_at_the_next_scan():
    sim, vm = launch(workload=h.workloads.memhog("600MiB"), scan_period="5s")
    core = vm.guest.strategy_core
    used = sim.host.used_bytes()
    before = core.counters()["soft_reclaimed"]
    sim.run(until=(sim.now_ns // (5 * 10**9) + 1) * 5 * 10**9 - 1)
    assert core.counters()["soft_reclaimed"] == before
    sim.run(until=sim.now_ns + 10**9)
    evicted = core.counters()["soft_reclaimed"] - before
    assert evicted > 280
    assert used - sim.host.used_bytes() > 560 << 20
    assert core.statistics()["discards"] < evicted // 4  # adjoining frames go together
    state_is_sound(sim, vm)
    sim.run(until=sim.now_ns + 20 * 10**9)
    assert core.counters()["soft_reclaimed"] == before + evicted


def test_without_the_automatic_mode_nothing_is_evicted():
    sim, vm = launch(workload=h.workloads.memhog("600MiB"), auto=False)
    sim.run(until=sim.now_ns + 20 * 10**9)
    assert vm.guest.strategy_core.counters()["soft_reclaimed"] == 0
    state_is_sound(sim, vm)


def test_limits_take_and_return_frames():
    sim, vm = launch(workload=h.workloads.memhog("600MiB"), auto=False)
    used, free = sim.host.used_bytes(), vm.guest.free_pages()
    vm.resize("512MiB")
    vm.run_until_idle()
    counters = vm.guest.strategy_core.counters()
    assert counters["hard_reclaimed"] == 256
    assert free - vm.guest.free_pages() == 256 * FRAME
    taken = used - sim.host.used_bytes()
    assert taken > 256 << 20
    state_is_sound(sim, vm)
    faults = vm.machine.backing.counters["faults_2m"]
    vm.resize("1GiB")
    vm.run_until_idle()
    assert vm.guest.free_pages() == free
    assert used - sim.host.used_bytes() == taken       # given back un-backed
    assert vm.machine.backing.counters["faults_2m"] == faults
    state_is_sound(sim, vm)
    vm.submit(h.workloads.memhog("700MiB"))
    vm.run_until_idle()
    assert vm.machine.backing.counters["faults_2m"] > faults
    state_is_sound(sim, vm)


def test_a_limit_beyond_what_is_free_is_tried_again():
    sim, vm = launch(auto=False, retry="5s")
    vm.submit(h.workloads.memhog("400MiB", hold="12s"))
    sim.run(until=sim.now_ns + 2 * 10**9)
    vm.resize("424MiB")
    sim.run(until=sim.now_ns + 10**9)
    core = vm.guest.strategy_core
    assert core.is_short
    assert core.statistics()["short_of"] >= 1
    first = core.counters()["hard_reclaimed"]
    state_is_sound(sim, vm)
    sim.run(until=sim.now_ns + 25 * 10**9)
    assert first < 130
    assert core.counters()["hard_reclaimed"] == 300
    assert core.statistics()["short_of"] >= 3
    state_is_sound(sim, vm)


def test_frames_of_4_mib():
    sim, vm = launch(workload=h.workloads.memhog("600MiB"), frame=4 << 20)
    sim.run(until=sim.now_ns + 10**10)
    assert 100 < vm.guest.strategy_core.counters()["soft_reclaimed"] < 300
    vm.resize("512MiB")
    vm.run_until_idle()
    assert vm.guest.strategy_core.counters()["hard_reclaimed"] == 128
    sim.check()
    vm.submit(h.workloads.memhog("300MiB"))
    vm.run_until_idle()
    sim.check()


def test_a_fragmented_guest_keeps_its_frames():
    sim, vm = launch(auto=False)
    held = vm.guest.alloc_many(1 << 20, 0, gfp.HIGHUSER_MOVABLE)
    vm.guest.free_many(held[1::2])
    vm.resize("768MiB")
    sim.run(until=sim.now_ns + 10**9)
    assert vm.guest.strategy_core.counters()["hard_reclaimed"] < 32
    vm.guest.free_many(held[::2])
    vm.guest.drain()
    sim.run(until=sim.now_ns + 10**10)
    assert vm.guest.strategy_core.counters()["hard_reclaimed"] == 128
    sim.check()


@pytest.mark.parametrize("thp", ["always", "never"])
def test_the_books_balance_after_every_slice(thp):
    sim = h.Simulation(h.Host("2GiB", fragmentation=0.1), seed=3)
    vm = sim.launch(h.Guest("1GiB", thp=thp, strategy=strategies.HyperAlloc(scan_period="20ms")),
                    workload=h.workloads.memhog("400MiB", repeat=3, gap="50ms"))
    vm.submit(program(("RESIZE", {"a": 500 * MIB}), ("SLEEP", {"a": 300_000_000}), ("RESIZE", {"a": 100 * MIB})))
    steps = 0
    while sim.step():
        steps += 1
        if steps % 100 == 0:
            state_is_sound(sim, vm)
    state_is_sound(sim, vm)
    counters = vm.guest.strategy_core.counters()
    assert counters["soft_reclaimed"] > 0 < counters["hard_reclaimed"]
    assert counters["hard_reclaimed"] - counters["returned"] == vm.guest.strategy_core.statistics()["taken"]


def test_same_seed_same_bytes():
    runs = []
    for _ in range(2):
        sim, vm = launch(workload=h.workloads.memhog("300MiB"), target="700MiB")
        sim.run(until="30s")
        runs.append((sim.timeline(), sim.metrics(), vm.guest.strategy_core.frames()))
    assert runs[0][0].equals(runs[1][0])
    assert runs[0][1].equals(runs[1][1])
    assert runs[0][2] == runs[1][2]


@pytest.mark.parametrize(("parameters", "message"), [
    ({"frame": 1 << 30}, "frame must be one of 2097152, 4194304"),
    ({"scan_period": 0}, "scan_period must be a whole number between"),
    ({"auto": 1}, "auto must be one of True, False"),
    ({"target": "-1"}, "target: '-1' is not a size"),
])  # fmt: skip
def test_parameters_are_checked(parameters, message):
    with pytest.raises(StrategyError, match=message):
        strategies.HyperAlloc(**parameters)

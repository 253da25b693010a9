"""The books balance: every frame and every nanosecond belongs to somebody, at every moment."""

import numpy as np
import pytest

import hinting as h
from hinting.workloads.memhog import MARK_DONE, MARK_HELD, MARK_START
from tests.simulation.harness import PAGE, launch


@pytest.mark.parametrize("strategy", ["none", "v8"])
def test_after_every_single_step(strategy):
    sim = h.Simulation(h.Host("3GiB"), seed=5)
    for number in range(2):
        spec = h.strategies.V8(entries=64) if strategy == "v8" else None
        vm = sim.launch(h.Guest("640MiB", thp="never", strategy=spec), boot=False)
        vm.submit(h.workloads.memhog("16MiB", repeat=2, gap=f"{number + 1}ms"))
    steps = 0
    while sim.step():
        sim.check()
        held = sum(vm.counts()["held_frames"] for vm in sim.vms)
        assert sim.host.used_bytes() == sim.host.base_bytes + held * PAGE
        steps += 1
    assert steps > 20


def test_the_timeline_ends_with_what_the_host_uses_and_has_the_marks():
    sim, vm = launch(h.workloads.memhog("64MiB", hold="1s"), thp="never", boot=True, strategy=h.strategies.V8(entries=64))
    sim.run()
    timeline = sim.timeline().to_pydict()
    t = np.array(timeline["t_ns"])
    used = np.array(timeline["host_used_bytes"])
    assert used[-1] == sim.host.used_bytes()
    assert timeline["guest_held_bytes"][-1] == vm.counts()["held_frames"] * PAGE
    assert (np.diff(t) >= 0).all()
    assert set(timeline["guest"]) == {0}
    held = next(mark for mark in vm.marks() if mark.number == MARK_HELD)
    assert abs(used[t <= held.t_ns + 1_000_000][-1] - held.host_used_bytes) <= 64 * PAGE
    assert used.max() >= held.host_used_bytes
    assert used.max() <= sim.host.memory_bytes


def test_what_ps_shows_falls_at_once_and_what_the_host_lost_when_a_page_is_split():
    """A guest without huge pages on a host with them gives pages of a huge page back one by one (host.md 1.3, 3.3)."""
    strategy = h.strategies.find("page-reporting-6.1", {"order": 0})
    sim, vm = launch(h.workloads.churn("64MiB", turns=20), strategy=strategy, thp="never")
    sim.run(until="30s")
    timeline = sim.timeline().to_pydict()
    counts, backing = vm.counts(), vm.machine.backing
    assert timeline["guest_rss_bytes"][-1] == counts["rss_pages"] * PAGE
    assert counts["rss_pages"] == backing.rss_pages + backing.vmm_frames
    assert counts["held_frames"] - counts["rss_pages"] > 1000
    metrics = {name: sim.metrics().to_pydict()[name][1] for name in ("rss", "held", "rss_footprint", "footprint")}
    assert metrics["rss"] == pytest.approx(counts["rss_pages"] * PAGE / 2**30)
    assert metrics["rss"] < metrics["held"]
    assert metrics["rss_footprint"] < metrics["footprint"]


def test_memory_comes_back_with_v8_only():
    after = {}
    for strategy in ("none", "v8"):
        spec = h.strategies.V8(entries=64) if strategy == "v8" else None
        sim, vm = launch(h.workloads.memhog("256MiB", hold="1s"), strategy=spec)
        sim.run()
        marks = {mark.number: mark for mark in vm.marks()}
        grown = marks[MARK_HELD].held_bytes - marks[MARK_START].held_bytes
        assert grown >= 256 << 20
        after[strategy] = vm.counts()["held_frames"] * PAGE - marks[MARK_START].held_bytes
        returned = vm.counts()["returned_frames"]
        assert (returned > 0) == (strategy == "v8")
        assert marks[MARK_DONE].t_ns >= marks[MARK_HELD].t_ns + 1_000_000_000
    assert after["none"] >= 256 << 20
    assert after["v8"] < 64 << 20


def test_cpu_time_is_at_most_the_time_that_passed():
    sim, vm = launch(h.workloads.memhog("64MiB", repeat=3, gap="1s"), vcpus=1, strategy=h.strategies.V8(entries=64), thp="never")
    sim.run()
    accounts = vm.accounts()
    assert all(value >= 0 for value in accounts.values())
    on_the_vcpu = sum(accounts[name] for name in ("guest_user", "guest_kernel", "guest_report", "guest_stall", "guest_spin"))
    outside_the_gaps = sim.now_ns - 2_000_000_000
    assert on_the_vcpu >= outside_the_gaps * 0.5
    assert on_the_vcpu - accounts["guest_report"] - accounts["guest_spin"] <= outside_the_gaps * 1.001
    assert on_the_vcpu <= sim.now_ns * 1.001
    assert accounts["guest_report"] > 0
    assert accounts["vmm"] > 0


def test_without_a_strategy_nothing_is_charged_for_one():
    sim, vm = launch(h.workloads.memhog("64MiB"))
    sim.run()
    accounts = vm.accounts()
    assert accounts["guest_report"] == accounts["guest_spin"] == accounts["vmm"] == accounts["stolen"] == 0
    assert accounts["guest_kernel"] > 0
    assert accounts["guest_stall"] > 0
    assert vm.counters() == {}


def test_counters_are_what_the_objects_say():
    sim, vm = launch(h.workloads.memhog("64MiB"), strategy="v8")
    sim.run()
    rows = {(row["guest"], row["counter"]): row for row in sim.counters().to_pylist()}
    for name, value in vm.counts().items():
        assert rows[0, name]["value"] == value
    for name, value in vm.accounts().items():
        assert rows[0, f"cpu_{name}"]["value"] == value
    for name, value in vm.counters().items():
        assert rows[0, name]["value"] == value
        assert rows[0, name]["unit"] == "KiB"


def test_the_host_backs_only_what_was_touched():
    sim, vm = launch(None)
    vmm = vm.counts()["held_frames"]
    vm.submit(h.workloads.memhog("100MiB", hold="1s", thp=False))
    sim.run(until="900ms")
    grown = vm.counts()["held_frames"] - vmm
    assert 25600 <= grown <= 25600 * 1.15

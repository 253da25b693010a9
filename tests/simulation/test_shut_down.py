"""Guests that leave during a run: the host has everything back at once, and the others go on."""

import pytest

import hinting as h
from hinting.errors import GuestError, HintingError, ScenarioError
from hinting.migration import Migration


def test_a_guest_that_is_shut_down_gives_everything_back():
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    before = sim.host.used_bytes()
    first = sim.launch(h.Guest("1GiB"), workload=h.workloads.memhog("512MiB", hold="1h"))
    other = sim.launch(h.Guest("1GiB", strategy="v8"), workload=h.workloads.memhog("256MiB", repeat=3))
    sim.run(until="20s")
    assert not first.is_idle
    first.shut_down()
    assert (first.is_idle, first.is_running, first.is_lost) == (True, False, False)
    assert first.counts()["held_frames"] == 0
    assert sim.host.used_bytes() == before + other.counts()["held_frames"] * 4096
    sim.check()
    sim.run(until="100s")
    sim.check()
    assert len(other.marks()) > 9
    assert sim.metrics()["guests"].to_pylist() == [1, 0, 1]
    assert sim.metrics()["oom_kills"].to_pylist() == [0, 0, 0]
    assert sim.metrics()["guest_seconds"].to_pylist()[1] == pytest.approx(20, abs=0.01)
    other.shut_down()
    assert sim.host.used_bytes() == before == sim.timeline()["host_used_bytes"][-1].as_py()


def test_it_takes_its_swap_along():
    sim = h.Simulation(h.Host("2GiB", swap="2GiB"), seed=1)
    vms = [sim.launch(h.Guest("1GiB"), workload=h.workloads.memhog("800MiB", hold="1h")) for _ in range(2)]
    sim.run(until="30s")
    assert sim.host.swap_used_bytes > 0
    for vm in vms:
        vm.shut_down()
        vm.shut_down()
    assert sim.host.swap_used_bytes == 0
    sim.check()
    sim.run(until="40s")


@pytest.mark.parametrize("strategy", ["v8", "v12", "page-reporting-6.1", "balloon", "hyperalloc"])
def test_at_any_moment_of_a_report(strategy):
    sim = h.Simulation(h.Host("4GiB"), seed=2)
    vm = sim.launch(h.Guest("1GiB", strategy=strategy, kernel="linux-6.1"), boot=False, workload=h.workloads.memhog("512MiB"))
    stays = sim.launch(h.Guest("512MiB"), boot=False, workload=h.workloads.memhog("100MiB", repeat=2))
    while vm.counts()["reports"] < 2 and sim.now < 12:
        sim.run(until=sim.now_ns + 1_000_000)
    vm.shut_down()
    sim.check()
    sim.run(until="30s")
    sim.check()
    assert [mark.number for mark in stays.marks()] == [1, 2, 3] * 2


def test_what_is_gone_is_not_asked_for_anything():
    sim = h.Simulation(h.Host("4GiB"))
    vm = sim.launch(h.Guest("1GiB", strategy="balloon"), boot=False)
    sim.run()
    vm.shut_down()
    with pytest.raises(GuestError, match="guest 0 is shut down"):
        vm.resize("512MiB")
    with pytest.raises(HintingError, match="guest 1 is shut down"):
        Migration(sim, vm, bandwidth="1GiB", downtime="300ms", max_rounds=3)


SHIFT = """
strategy = ["none", "v8"]
{until}
[host]
memory = "3GiB"
[[guests]]
count = 4
stagger = "20s"
lifetime = "30s"
memory = "1GiB"
[[guests.workloads]]
name = "memhog"
size = "512MiB"
repeat = 100
gap = "1s"
"""


@pytest.mark.parametrize("until", ["", 'until = "75s"', 'until = "200s"'])
def test_guests_of_a_scenario_come_and_go(tmp_path, until):
    path = tmp_path / "shift.toml"
    path.write_text(SHIFT.format(until=until))
    arm = h.run(path, strategy="none").arms[0]
    assert (arm.lost, arm.guests_launched) == (None, 4)
    assert [guest.number for guest in arm.guests] == [0, 1, 2, 3]
    ends = [30, 50, 70, 75 if "75" in until else 90]
    assert [guest.done_s for guest in arm.guests] == pytest.approx(ends, abs=0.01)
    assert [guest.held_bytes > 2**28 for guest in arm.guests] == [True] * 4
    if "75" not in until:
        assert arm.end_used_bytes < arm.guests[0].host_used_bytes - arm.guests[0].held_bytes + 2**20
        assert arm.emulated_s == pytest.approx(200 if "200" in until else 90, abs=0.01)
    assert arm.metrics["guests"][0].as_py() == (1 if "75" in until else 0)


def test_a_lifetime_is_for_staggered_launches(tmp_path):
    path = tmp_path / "one.toml"
    path.write_text(SHIFT.format(until="") + '[schedule]\nlaunch = "one-by-one"\n')
    with pytest.raises(ScenarioError, match=r"guests.0.lifetime.*one by one"):
        h.Scenario.load(path)

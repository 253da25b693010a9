"""Virtual time: run, step, peek and now; it never goes back, and who asks for the past is told both times."""

import pytest

import hinting as h
from hinting.errors import HintingError
from tests.simulation.harness import launch, play

MEMHOG = h.workloads.memhog("16MiB", hold="1s")


def test_run_until_is_where_time_stands():
    sim, _ = launch(MEMHOG)
    for until, now in (("1ms", 0.001), (2_000_000, 0.002), ("2ms", 0.002), ("1.5s", 1.5), ("1min", 60.0)):
        sim.run(until=until)
        assert sim.now == now
        assert sim.now_ns == round(now * 1e9)


def test_the_past_is_refused_with_both_times():
    sim, _ = launch(MEMHOG)
    sim.run(until="2s")
    with pytest.raises(HintingError, match=r"2000000000 ns, got 1000000000 ns \('1s'\)"):
        sim.run(until="1s")
    assert sim.now == 2.0
    sim.run(until="2s")


def test_steps_lead_where_a_run_leads():
    one, first = launch(MEMHOG, boot=True, strategy="v8")
    other, second = launch(MEMHOG, boot=True, strategy="v8")
    one.run()
    while other.step():
        pass
    assert one.now == other.now
    assert one.timeline().equals(other.timeline())
    assert first.marks() == second.marks()


def test_time_never_goes_back_and_peek_tells_what_comes():
    sim = h.Simulation(h.Host("4GiB"))
    for size in ("8MiB", "32MiB"):
        sim.launch(h.Guest("640MiB", vcpus=2), boot=False, workload=h.workloads.memhog(size, repeat=3, gap="10ms"))
    last, steps = 0.0, 0
    while (next_at := sim.peek()) is not None:
        assert next_at >= last
        assert sim.step()
        assert sim.now >= last
        last, steps = sim.now, steps + 1
    assert steps > 20
    assert not sim.step()


def test_running_in_parts_changes_nothing():
    """Until is a limit of what runs, not of what happens."""
    whole, first = launch(MEMHOG, thp="never", strategy=h.strategies.V8(entries=64))
    parts, second = launch(MEMHOG, thp="never", strategy=h.strategies.V8(entries=64))
    whole.run(until="5s")
    for part in range(1, 51):
        parts.run(until=part * 100_000_000)
    assert first.counters() == second.counters()
    assert whole.host.used_bytes() == parts.host.used_bytes()
    assert first.counts() == second.counts()


def test_run_until_idle():
    sim, vm = launch(h.workloads.memhog("16MiB", hold="10s"))
    assert not vm.run_until_idle(timeout="1s")
    assert not vm.is_idle
    assert vm.run_until_idle()
    assert vm.is_idle
    assert 10 < sim.now < 11
    vm.submit(h.workloads.program(("SLEEP", {"a": 1_000_000_000})))
    assert not vm.is_idle
    assert vm.run_until_idle(timeout="5s")
    assert 11 < sim.now < 12


def test_a_later_launch_begins_now():
    sim, _ = launch(MEMHOG)
    sim.run(until="3s")
    late = sim.launch(h.Guest("640MiB"), boot=False, workload=h.workloads.program(("MARK", {"a": 5})))
    sim.run(until="4s")
    assert [mark.t_ns for mark in late.marks()] == [3_000_000_000]


def test_sleep_and_compute_take_what_they_say():
    vm = play(
        ("MARK", {"a": 1}), ("SLEEP", {"a": 5_000_000_000}), ("MARK", {"a": 2}), ("COMPUTE", {"a": 7_500_000}), ("MARK", {"a": 3})
    )
    times = [mark.t_ns for mark in vm.marks()]
    assert times == [0, 5_000_000_000, 5_007_500_000]
    assert vm.accounts()["guest_user"] == 7_500_000


def test_nothing_to_do():
    sim = h.Simulation(h.Host("4GiB"))
    assert sim.peek() is None
    assert not sim.step()
    sim.run()
    assert sim.now == 0
    sim.run(until="5s")
    assert sim.now == 5.0

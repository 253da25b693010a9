"""A killed guest's memory is free when the OOM reaper is done, and nobody else is killed before."""

import pytest

import hinting as h
from hinting import workloads


def test_memory_comes_back_after_the_delay(make_host):
    host = make_host(10_000, oom_reap_ns=50_000_000)
    big, small = host.add_guest(8_000, 100), host.add_guest(8_000, 100)
    big.touch(0, 6_000)
    small.touch(0, 2_000)
    free = host.frames_free
    assert host.oom_kill() is big
    assert big.is_dying
    assert (host.frames_free, host.dying) == (free, 1)
    host.check()
    assert host.oom_victim() is small
    host.now_ns = 49_999_999
    assert host.frames_free == free
    host.now_ns = 50_000_000
    assert not big.is_attached
    assert host.dying == 0
    assert host.frames_free == 10_000 - 100 - small.rss_pages - sum(small.table_frames)
    host.check()


def lost(oom_reap, oom_score_adj=0):
    sim = h.Simulation(h.Host("2GiB", base="256MiB", oom_reap=oom_reap), seed=3)
    for i in range(2):
        workload = workloads.memhog("500MiB", hold="100s")
        sim.launch(h.Guest("2GiB"), workload=workload, oom_score_adj=oom_score_adj if i == 0 else 0)
        sim.run(until=sim.now_ns + 10_000_000_000)
    sim.run(until="60s")
    sim.check()
    return sim


@pytest.mark.parametrize("delay_ms", [0, 50, 2_000])
def test_the_one_that_asked_waits_and_nobody_else_is_killed(delay_ms):
    sim = lost(f"{delay_ms}ms")
    assert sim.engine.oom_kills == 1
    victim = next(vm for vm in sim.vms if vm.is_lost)
    assert victim.number == 0  # not the one that asked
    waited = sim.vms[1].stalls()["reclaim"] / 1e6
    assert waited == pytest.approx(delay_ms, abs=0.5)
    rows = sim.timeline().filter(sim.timeline()["guest"].to_numpy() == victim.number)
    freed = rows.to_pylist()[-1]
    assert freed["guest_held_bytes"] == 0
    assert freed["t_ns"] / 1e6 == pytest.approx(victim.machine.lost_at_ns / 1e6 + delay_ms, abs=1.1)


def test_oom_score_adj_protects():
    unprotected = next(vm.number for vm in lost("50ms").vms if vm.is_lost)
    protected = next(vm.number for vm in lost("50ms", oom_score_adj=-1000).vms if vm.is_lost)
    assert (unprotected, protected) == (0, 1)

"""Swapping, waiting for memory, and the host's own threads: against the host's counters, and by hand where that is possible."""

import numpy as np
import pytest

import hinting as h
from tests.metrics.harness import COSTS, PAGES_GIB, of, run

OVERCOMMITTED = {"swap": "2GiB", "base": "200MiB", "fragmentation": 0.0}


def overcommit(guests=1, vcpus=1, program="700MiB", **launch):
    """Guests that need more than the host of 1 GiB has, at the same time."""
    sim = h.Simulation(h.Host("1GiB", **OVERCOMMITTED), seed=1, resolution=0)
    for _ in range(guests):
        rows = [h.workloads.memhog(program, repeat=2, gap="10ms") for _ in range(vcpus)]
        for i, each in enumerate(rows):
            each["proc"] += i
        sim.launch(h.Guest("1536MiB", vcpus=vcpus, thp="never"), boot=False, workload=rows, **launch)
    sim.run()
    sim.check()
    return sim


def test_without_swap_there_is_no_pressure():
    sim, _ = run(("BACK", {"a": 4096, "b": 1024}))
    for guest in (0, -1):
        m = of(sim, guest)
        for name in ("swapped_out", "swapped_in", "free_page_swap_writes", "major_faults", "psi_some", "psi_full"):
            assert m[name] == 0
    assert of(sim, -1)["host_kernel_cpu"] == 0
    assert of(sim)["host_kernel_cpu"] is None


def test_swap_is_what_the_host_counts():
    sim = overcommit(guests=2)
    vmstat, host = sim.host.vmstat(), of(sim, -1)
    assert host["swapped_out"] == vmstat["pswpout"] / PAGES_GIB > 0
    assert host["swapped_in"] == vmstat["pswpin"] / PAGES_GIB > 0
    assert host["major_faults"] == vmstat["pgmajfault"] > 0
    assert host["major_fault_rate"] == pytest.approx(vmstat["pgmajfault"] / sim.engine.reached * 1e9)
    for name in ("swapped_out", "major_faults", "free_page_swap_writes", "false_swap_reads"):
        assert host[name] == sum(of(sim, guest)[name] for guest in (0, 1))
    assert 0 < host["free_page_swap_writes"] < host["swapped_out"], "the first program's memory is free when it is evicted"


def test_kernel_threads_are_host_cpu():
    sim = overcommit(guests=2)
    host = of(sim, -1)
    assert host["host_kernel_cpu"] == sim.engine.host_kernel_ns / 1e9 > 0
    assert host["host_cpu"] == pytest.approx(host["host_kernel_cpu"] + sum(of(sim, guest)["host_cpu"] for guest in (0, 1)))


@pytest.mark.parametrize("async_pf", [True, False])
def test_one_vcpu_waits_some_and_full_alike(async_pf):
    sim = overcommit(guests=1, program="1GiB", async_pf=async_pf)
    m, waited = of(sim), sum(sim.vms[0].stalls().values())
    assert m["psi_some"] == pytest.approx(100 * waited / sim.engine.reached, rel=1e-3)
    assert m["psi_full"] == m["psi_some"] == of(sim, -1)["psi_some"] == of(sim, -1)["psi_full"]
    assert sim.vms[0].pressure() == pytest.approx(m["psi_some"] / 100)
    assert 0 < m["psi_some"] < 100


@pytest.mark.parametrize(("guests", "vcpus"), [(2, 1), (1, 2), (2, 2)])
def test_some_is_a_union_and_full_an_intersection(guests, vcpus):
    sim = overcommit(guests, vcpus, program="500MiB")
    host = of(sim, -1)
    mine = [of(sim, guest) for guest in range(guests)]
    waited = [100 * sum(vm.stalls().values()) / sim.engine.reached for vm in sim.vms]
    for one, sum_over_vcpus in zip(mine, waited, strict=True):
        assert 0 < one["psi_full"] <= one["psi_some"] <= sum_over_vcpus * 1.001
    assert max(one["psi_some"] for one in mine) <= host["psi_some"] <= sum(one["psi_some"] for one in mine)
    assert host["psi_full"] < host["psi_some"]
    if vcpus == 2:
        assert mine[0]["psi_full"] < mine[0]["psi_some"] < waited[0]


def test_collapses_are_counted():
    sim = h.Simulation(h.Host("2GiB", fragmentation=0.0, khugepaged=True, base="200MiB"), resolution=0)
    rows = h.workloads.program(("BACK", {"a": 4096, "b": 1024}), ("SLEEP", {"a": 25_000_000_000}))
    vm = sim.launch(h.Guest("512MiB", thp="never"), boot=False, workload=rows)
    sim.run(until="1s")
    backing = vm.machine.backing
    backing.discard(4096, 1024, 1)
    backing.touch(4096)
    backing.touch(4096 + 512)
    sim.run(until="30s")
    assert of(sim)["thp_collapses"] == of(sim, -1)["thp_collapses"] == 2
    assert of(sim, -1)["host_kernel_cpu"] > 2 * COSTS["fault.collapse_2m"] / 1e9


def test_speed_counts_what_was_run():
    result = h.run(h.Scenario.load("seed", {"max_guests": 1}, ["none"]))
    arm = result.to_json()["arms"][0]
    assert arm["steps"] > 100
    assert arm["speed"]["steps_per_s"] == pytest.approx(arm["steps"] / arm["wall_s"])
    assert arm["speed"]["guest_seconds_per_s"] == pytest.approx(arm["emulated_s"] / arm["wall_s"], rel=0.01)
    again = h.run(h.Scenario.load("seed", {"max_guests": 1}, ["none"]))
    assert again.arms[0].steps == result.arms[0].steps
    assert np.array_equal(again.arms[0].metrics["guest_seconds"].to_numpy(), result.arms[0].metrics["guest_seconds"].to_numpy())


def test_use_of_the_hosts_cpus():
    sim = h.Simulation(h.Host("4GiB", cpus=4), seed=1)
    sim.launch(h.Guest("1GiB"), workload=h.workloads.memhog("256MiB"))
    sim.run(until="10s")
    accounts = sim.vms[0].accounts()
    ran = sum(ns for name, ns in accounts.items() if name not in ("guest_stall", "guest_disk"))
    row = next(row for row in sim.metrics().to_pylist() if row["guest"] == -1)
    assert row["host_cpu_use"] == pytest.approx(100 * (ran + sim.engine.host_kernel_ns) / 4 / 10e9)
    assert row["vmm_major_faults"] == 0
    with pytest.raises(h.errors.HostError, match="host cpus must be a whole number, 1 or more, got 0"):
        h.Host("4GiB", cpus=0)

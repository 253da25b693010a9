"""Waiting for the guest's zone lock: none where nobody contends, else in proportion to the cost and in the kernel's account."""

import numpy as np
import pytest

import hinting as h
from hinting import costs, workloads

HANDOFF = costs.load()["guest.zone_lock_handoff"]


def run(vcpus, contention, handoff=HANDOFF):
    profile = costs.load(overrides={"guest.zone_lock_handoff": handoff})
    sim = h.Simulation(h.Host("8GiB", costs=profile), seed=1)
    guest = h.Guest("2GiB", vcpus=vcpus, thp="never", costs=profile)
    program = workloads.memhog("100MiB", repeat=4, gap="10ms")
    vm = sim.launch(guest, workload=[program.copy()] if vcpus == 1 else per_vcpu(program, vcpus), lock_contention=contention)
    sim.run(until="60s")
    sim.check()
    return vm


def per_vcpu(program, vcpus):
    """The same program on each vCPU, with processes of its own."""
    threads = []
    for cpu in range(vcpus):
        rows = program.copy()
        rows["proc"] += np.uint32(10 * cpu)
        threads.append(rows)
    return threads


def waited(vm):
    return vm.machine.measured(60_000_000_000)["lock_wait_ns"]


def test_one_vcpu_never_waits():
    assert waited(run(1, True)) == 0
    assert run(1, True).accounts() == run(1, False).accounts()


def test_waits_are_added_to_the_kernels_time():
    alone, contending = run(4, False), run(4, True)
    assert waited(alone) == 0
    assert waited(contending) > 0
    more = contending.accounts()["guest_kernel"] - alone.accounts()["guest_kernel"]
    assert more == pytest.approx(waited(contending), rel=0.05)


def test_waits_are_in_proportion_to_the_handoff():
    once, often = waited(run(4, True)), waited(run(4, True, 4 * HANDOFF))
    assert often == pytest.approx(4 * once, rel=0.05)

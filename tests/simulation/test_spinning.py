"""Busy waiting: a vCPU that waits for the host spends the host's time, on its own account."""

import pytest

import hinting as h


def accounts(spec, *, vcpus=1):
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("1GiB", vcpus=vcpus, strategy=spec, thp="never"), workload=h.workloads.memhog("300MiB", repeat=2))
    sim.run()
    sim.check()
    assert vm.counts()["reports"] > 0
    return vm.accounts(), vm.counts(), sim


@pytest.mark.parametrize("spec", [
    h.strategies.V8(), h.strategies.V8(entries=64), h.strategies.V8Early(), h.strategies.V7(host_action="dontneed"),
    h.strategies.V8MaxOrder(entries=20), h.strategies.V10(), h.strategies.V12(wait="busy"),
], ids=repr)  # fmt: skip
def test_the_vcpu_spins_while_the_host_works(spec):
    """The rest is the VMM's way out of its sleep, some microseconds a report."""
    times, counts, _ = accounts(spec)
    assert times["vmm"] > 0
    assert 0.99 * times["vmm"] <= times["guest_spin"] <= times["vmm"] + 20_000 * counts["reports"]


@pytest.mark.parametrize("spec", [h.strategies.V8Async(entries=20), h.strategies.V9(entries=16, threshold=8),
                                  h.strategies.V11(), h.strategies.V12()], ids=repr)
def test_nobody_spins_for_an_interrupt_or_an_event(spec):
    times, _, _ = accounts(spec)
    assert times["vmm"] > 0
    assert times["guest_spin"] == 0


def test_a_spinning_vcpu_does_nothing_else():
    """Time on the vCPU is at most the time that passed."""
    times, _, sim = accounts(h.strategies.V8(entries=64))
    on_the_vcpu = sum(value for name, value in times.items() if name not in ("vmm", "stolen"))
    assert times["guest_spin"] < on_the_vcpu <= sim.now_ns

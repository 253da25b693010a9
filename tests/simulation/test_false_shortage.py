"""Allocations that fail while a strategy holds free blocks back, and only then."""

import pytest

import hinting as h
from hinting.workloads import program

MS = 1_000_000
HELD = 130                              # blocks of 4 MiB


def failures(strategy) -> tuple[int, int]:
    """vCPU 0 frees 520 MiB of a guest of 640 MiB; a millisecond later vCPU 1 wants 400 MiB of it. How many blocks it does not
    get, and how many requests failed while reported blocks were isolated.
    """
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("640MiB", vcpus=2, strategy=strategy), boot=False)
    vm.submit(program(("ALLOC", {"b": HELD, "order": 10, "flags": 1})))
    sim.run()
    assert vm.counts()["failed_allocations"] == 0
    vm.submit(program(("FREE", {})), vcpu=0)
    wants = ("ALLOC", {"proc": 1, "b": 100, "order": 10, "flags": 1})
    vm.submit(program(("COMPUTE", {"a": MS}), wants, ("FREE", {"proc": 1})), vcpu=1)
    sim.run()
    sim.check()
    [metrics] = [row for row in sim.metrics().to_pylist() if row["guest"] == vm.number]
    return vm.counts()["failed_allocations"], metrics["failed_while_isolated"]


@pytest.mark.parametrize("strategy", [
    h.strategies.V8(entries=HELD), h.strategies.V9(entries=HELD, threshold=HELD), h.strategies.V8Async(entries=HELD),
], ids=lambda spec: spec.name)  # fmt: skip
def test_large_reports_make_others_fail(strategy):
    failed, meanwhile = failures(strategy)
    assert 50 < failed == meanwhile


def test_blocks_that_wait_for_their_report_are_missing_too():
    """v8-transition isolates them all and reports them one by one: most are not with the host."""
    failed, _ = failures(h.strategies.V8Transition(entries=HELD))
    assert failed > 50


@pytest.mark.parametrize("strategy", [
    None, h.strategies.V8(entries=HELD, isolation_cap=16), h.strategies.V10(), h.strategies.V12(),
    h.strategies.V7(entries=HELD, host_action="dontneed"),
], ids=lambda spec: spec.name if spec else "none")  # fmt: skip
def test_small_ones_and_v7_do_not(strategy):
    """v7 isolates nothing: allocations wait instead."""
    assert failures(strategy) == (0, 0)

"""One strategy, compiled by Numba and called as plain Python page by page: the same requests, answers, reports and times."""

from __future__ import annotations

import pytest

import hinting
from hinting import Guest, Host, Simulation, workloads

from .harness import assert_sound

pytest.importorskip("numba")

FIELDS = ("frees", "allocs", "merges", "ticks", "runs", "done", "isolated", "sum", "zones", "marks", "walked", "large")


def note_free(self, guest, cpu, pfn, order):
    self.frees += 1
    head, size = guest.block(pfn ^ 1 << order)
    self.sum += head + size + guest.migratetype(pfn)
    guest.work(1, 2)


def note_alloc(self, guest, cpu, pfn, order):
    self.allocs += 1
    kind, head, size = guest.page(pfn)
    self.sum += kind + head + size


def note_merged(self, guest, cpu, pfn, order):
    self.merges += 1
    self.zones += guest.zone(pfn)
    if order >= 8 and guest.mark_reported(pfn, order):
        self.marks += guest.is_reported(pfn)
    if order == 9:
        self.large = pfn
        guest.wake()
    if order == 10 and guest.isolate(pfn, order):
        if guest.report() < 0:
            guest.release()
        else:
            self.isolated += 1


def tick(self, guest, cpu):
    self.ticks += 1
    for zone in range(4):
        self.sum += guest.free_pages(zone) + guest.watermark(zone, 1) + guest.free_blocks(zone, 10)
        for order in range(11):
            at = guest.first(zone, 1, order)
            while at >= 0:
                self.walked += 1
                at = guest.next(at)
    guest.drain(cpu)


def run(self, guest, cpu):
    self.runs += 1
    kind, head, order = guest.page(self.large)
    if kind == 1 and guest.isolate(head, order):
        if self.runs % 3 == 0:
            guest.put_back(head, order, True)
        else:
            self.isolated += 1
            guest.report()


def done(self, guest, cpu, ticket):
    self.done += 1
    guest.put_back_all(ticket, tail=self.done % 2 == 0)


def setup(self, n_cpus):
    for field in FIELDS:
        setattr(self, field, 0)


HOOKS = {"on_free": note_free, "on_alloc": note_alloc, "on_merged": note_merged}
OTHERS = {"on_timer": tick, "on_thread": run, "on_host_done": done, "timer_ns": 50_000_000}


def outcome(strategy, thp, kernel):
    sim = Simulation(Host("4GiB"), seed=7)
    vm = sim.launch(Guest("1GiB", strategy=strategy, thp=thp, kernel=kernel), workload=workloads.memhog("256MiB"))
    sim.run(until="2s")
    sim.check()
    assert_reports_return(sim, vm)
    return (vm.counters(), vm.counts(), vm.accounts(), [column.to_pylist() for column in sim.timeline().columns],
            vm.guest.buddyinfo().tolist())


def assert_reports_return(sim, vm):
    sim.run(until=sim.now_ns + 2_000_000_000)
    if vm.is_idle:
        assert_sound(vm.guest)


@pytest.mark.parametrize("thp", ["always", "never"])
@pytest.mark.parametrize("kernel", ["linux-5.0", "linux-6.12"])
def test_numba_and_python_agree(thp, kernel):
    compiled = hinting.strategy(type("Agree", (), HOOKS | OTHERS | {
        "state": lambda self: dict.fromkeys(FIELDS, "i8"), "counters": FIELDS}))
    plain = hinting.strategy(numba=False)(type("Agree", (), HOOKS | OTHERS | {
        "setup": setup, "batch": 1, "counters": lambda self: {field: getattr(self, field) for field in FIELDS}}))
    first = outcome(compiled(), thp, kernel)
    assert first == outcome(plain(), thp, kernel)
    assert all(first[0][field] > 0 for field in ("frees", "allocs", "merges", "ticks", "runs", "done", "marks", "walked"))

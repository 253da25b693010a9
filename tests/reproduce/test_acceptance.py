"""What the host side must show, point by point; the points that need more have tests of their own beside the host's."""

import pytest

import hinting as h
from hinting.reproduce import reproduce
from hinting.workloads import program


def by_id(names):
    return {row.id: row for row in reproduce(names, workers=2).rows}


def launch(strategy):
    """A small host with swap, a guest that has freed 600 MiB, and one that needs more than the host has left."""
    sim = h.Simulation(h.Host("1GiB", base="64MiB", swap="4GiB"), seed=1)
    freed, other = [
        sim.launch(h.Guest("1GiB", kernel="linux-6.1", strategy=strategy, thp="never"), boot=False) for _ in range(2)
    ]
    freed.submit(h.workloads.memhog("600MiB"))
    freed.run_until_idle()
    return sim, freed, other


def need(sim, other, pages):
    rows = [("SPAWN", {"proc": 0}), ("MMAP", {"proc": 0, "a": pages}), ("TOUCH", {"proc": 0, "b": pages})]
    other.submit(program(*rows))
    other.run_until_idle()
    sim.check()


def test_accounting_identity_after_every_event():
    sim, freed, other = launch(None)
    pages = 700 << 8
    other.submit(program(("SPAWN", {"proc": 0}), ("MMAP", {"proc": 0, "a": pages}), ("TOUCH", {"proc": 0, "b": pages})))
    events = 0
    while sim.step():
        sim.check()
        events += 1
    assert events > 100
    for vm in (freed, other):
        assert all(value >= 0 for value in (*vm.counts().values(), *vm.memory_counts().values()))


@pytest.mark.parametrize(("base", "without"), [("0.95GiB", 3), ("1.2GiB", 2)])
def test_criterion_no_swap(base, without):
    """3 guests with host base 0.95 GiB, 2 with 1.2 GiB without hinting, at least 5 with it; guests boot to 0.62 GiB."""
    changes = {"schedule.criterion": "no-swap", "host_memory": "15GiB", "host.swap": "4GiB", "host_base": base, "max_guests": 6}
    changes["costs.overrides.size.guest_base_mib"] = 550
    result = h.run(h.Scenario.load("seed", changes, ["none", "v8"]))
    none, v8 = result.arms
    assert none.guests_launched == without
    assert "swapped more than" in none.stopped_by
    assert v8.guests_launched >= 5


def test_reported_memory_is_never_swapped():
    """What the guest has freed and reported before the host swaps is not written; unreported, most of it is."""
    written = {}
    for name in ("none", "page-reporting-6.1"):
        sim, freed, other = launch(h.strategies.find(name, {}))
        sim.run(until=sim.now_ns + 60_000_000_000)
        need(sim, other, 800 << 8)
        written[name] = freed.memory_counts()["free_page_swap_writes"]
    assert written["none"] > 300 << 8
    assert written["page-reporting-6.1"] == 0


@pytest.mark.slow
def test_signs_of_orders_and_periods():
    rows = by_id(["12.2"])
    assert all(row.sign for row in rows.values() if row.sign is not None)


@pytest.mark.slow
def test_memhog_needs_longer_without_hinting():
    rows = by_id(["memhog-swap"])
    assert all(row.sign for row in rows.values() if row.sign is not None)
    assert rows["memhog-swap/ratio"].emulated > 2

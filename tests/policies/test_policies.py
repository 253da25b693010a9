"""Policies of the host: formulas of Proxmox VE and MOM, and what they do to real guests."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

import hinting as h
from hinting.errors import HintingError
from hinting.policies import Mom, Proxmox
from hinting.policies.proxmox import distribute
from hinting.strategies import Balloon
from tests.docs_examples import run_python

MIB = 1 << 20


@dataclass(eq=False)
class Fake:
    """A guest with chosen numbers; `wanted` is the target that a policy set."""

    memory: int
    minimum: int = 0
    maximum: int = 1000 * MIB
    shares: int = 1000
    free: int | None = 0
    wanted: int | None = None

    def set(self, memory):
        self.wanted = memory

    @property
    def vm(self):
        return SimpleNamespace(is_running=True)


def policy(cls, members, used, total=1000 * MIB, **parameters):
    """A policy over fake guests, on a host with so much memory in use."""
    host = SimpleNamespace(memory_bytes=total, used_bytes=lambda: used)
    simulation = SimpleNamespace(host=host, every=lambda *_: None)
    made = cls(simulation, Balloon(policy=cls.name, minimum=1, **parameters))
    made.members = members
    return made


def test_shares_divide_what_is_above_the_minimum():
    a, b = Fake(500, minimum=100, shares=1000), Fake(500, minimum=100, shares=3000)
    sizes = distribute([a, b], 0, 10**9)
    assert sizes == {a: 500, b: 500}
    sizes = distribute([a, b], 400, 10**9)          # pool: 800 + 400 above two minima
    assert sizes == {a: 100 + 300, b: 100 + 900}


def test_who_comes_to_a_limit_leaves_the_rest_to_the_others():
    a, b, c = (Fake(500, minimum=100, maximum=most) for most in (550, 10_000, 10_000))
    sizes = distribute([a, b, c], 300, 10**9)
    assert sizes[a] == 550
    assert sizes[b] == sizes[c] == 625
    assert distribute([a, b, c], -1200, 10**9) == {a: 100, b: 100, c: 100}
    assert distribute([a, b, c], -10_000, 10**9) == {a: 100, b: 100, c: 100}


def test_nobody_changes_more_than_a_step():
    a, b = Fake(500 * MIB, minimum=100 * MIB), Fake(500 * MIB, minimum=100 * MIB)
    assert set(distribute([a, b], -700 * MIB, 100 * MIB).values()) == {400 * MIB}
    assert set(distribute([a, b], 700 * MIB, 100 * MIB).values()) == {600 * MIB}


@pytest.mark.parametrize(("used", "acts"), [(790, False), (810, False), (789, True), (811, True)])
def test_proxmox_ignores_small_goals(used, acts):
    guest = Fake(500 * MIB, minimum=100 * MIB, free=10 * MIB)
    policy(Proxmox, [guest], used * MIB).run()
    assert (guest.wanted is not None) == acts


def test_proxmox_serves_guests_under_pressure_first():
    pressed, relaxed = Fake(500 * MIB, minimum=400 * MIB, free=100 * MIB), Fake(500 * MIB, minimum=400 * MIB, free=101 * MIB)
    policy(Proxmox, [pressed, relaxed], 700 * MIB).run()
    assert (pressed.wanted, relaxed.wanted) == (600 * MIB, None)


def test_proxmox_takes_from_the_others_first_and_from_all_if_they_have_nothing():
    pressed, relaxed = Fake(500 * MIB, minimum=400 * MIB, free=100 * MIB), Fake(500 * MIB, minimum=400 * MIB, free=101 * MIB)
    policy(Proxmox, [pressed, relaxed], 850 * MIB).run()
    assert (pressed.wanted, relaxed.wanted) == (None, 450 * MIB)
    relaxed = Fake(400 * MIB, minimum=400 * MIB, free=200 * MIB)
    policy(Proxmox, [pressed, relaxed], 850 * MIB).run()
    assert pressed.wanted == relaxed.wanted == 425 * MIB  # 100 MiB above both minima, less 50, in equal shares


def test_proxmox_leaves_guests_without_shares_or_statistics_alone():
    guests = [Fake(500 * MIB, minimum=100 * MIB, shares=0), Fake(500 * MIB, minimum=100 * MIB, free=None)]
    policy(Proxmox, guests, 950 * MIB).run()
    assert [guest.wanted for guest in guests] == [None, None]


@pytest.mark.parametrize(("used", "free", "target"), [
    (850, 400, 950),        # 15 % of the host free: at most 5 % less
    (850, 20, 1000),        # 980 in use + 15 % of 1000 is more than it has
    (850, 190, 960),        # 810 in use + 0.20 x 0.15 / 0.20 of 1000
    (960, 50, 950),         # 4 % free: 950 in use - 1 %, but at most 5 % less
    (700, 400, 1050),       # 30 % free: 5 % more
    (700, 40, 1360),        # 960 in use + a fifth of the maximum of 2000
])  # fmt: skip
def test_mom_targets(used, free, target):
    guest = Fake(1000 * MIB, maximum=2000 * MIB, free=free * MIB)
    mom = policy(Mom, [guest], used * MIB)
    mom.monitor()
    mom.run()
    assert (guest.wanted or guest.memory) / MIB == pytest.approx(target, abs=0.01)


def test_mom_carries_out_no_change_below_a_quarter_of_a_percent():
    for missing, acts in ((2, False), (3, True)):
        guest = Fake((1000 - missing) * MIB, maximum=1000 * MIB, free=900 * MIB)
        mom = policy(Mom, [guest], 100 * MIB)
        mom.monitor()
        mom.run()
        assert (guest.wanted is not None) == acts


def test_mom_averages_ten_samples():
    mom = policy(Mom, [], 500 * MIB)
    assert mom.host_free is None
    for _ in range(20):
        mom.monitor()
    mom.simulation.host.used_bytes = lambda: 1000 * MIB
    mom.monitor()
    assert mom.host_free == pytest.approx(0.45)


@pytest.mark.parametrize("name", ["proxmox", "mom"])
def test_guests_shrink_on_a_full_host_and_grow_on_an_empty_one(name):
    sim = h.Simulation(h.Host("3584MiB", base="200MiB"), seed=1)
    vms = [sim.launch(h.Guest("1GiB", strategy=Balloon(policy=name, minimum="300MiB")), workload=h.workloads.memhog("600MiB"))
           for _ in range(3)]
    sim.run(until="150s")
    sim.check()
    most = [vm.counters()["balloon_inflate"] for vm in vms]
    assert len(sim.policies) == 1
    assert sim.policies[0].rounds == 15
    assert min(most) > 10_000
    sim.host.memory.base_frames = 0                 # the host has memory again
    sim.run(until="400s")
    assert all(vm.counters()["actual"] <= 0.6 * pages for vm, pages in zip(vms, most, strict=True))
    sim.check()


def test_guests_with_other_settings_have_a_policy_of_their_own():
    sim = h.Simulation(h.Host("8GiB"), seed=1)
    for interval in ("10s", "10s", "5s"):
        sim.launch(h.Guest("512MiB", strategy=Balloon(policy="mom", policy_interval=interval)))
    assert [len(made.members) for made in sim.policies] == [2, 1]
    sim.run(until="21s")
    assert [made.rounds for made in sim.policies] == [2, 4]


def test_routines_run_at_multiples_of_their_period():
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    seen = []
    sim.every("300ms", lambda: seen.append(sim.now_ns))
    vm = sim.launch(h.Guest("512MiB"), workload=h.workloads.memhog("64MiB", hold="1s"))
    assert vm.run_until_idle()
    assert seen == [300_000_000 * (i + 1) for i in range(len(seen))]
    assert len(seen) == sim.now_ns // 300_000_000
    count = len(seen)
    sim.run()
    assert len(seen) == count                       # every guest is idle
    while sim.step():
        pass
    sim.run(until=sim.now_ns + 600_000_000)
    assert len(seen) > count
    assert seen == [300_000_000 * (i + 1) for i in range(len(seen))]
    with pytest.raises(HintingError, match="period must be positive"):
        sim.every(0, lambda: None)


def test_the_examples_of_the_page_run():
    names = run_python("rivals.md")
    assert names["migration"].skipped_pages > 0

"""The lineage side by side on one guest: what is in flight, who waits, locks, what the host is asked, what is forgotten."""

import pytest

import hinting as h
from hinting import strategies
from tests.strategies.lineage import held

MIB = 256                               # pages
NAMES = ("v1", "v7", "v8", "v9", "v10", "v11", "v12")


@pytest.fixture(scope="module")
def arms():
    """The same guest under each: a program of 700 MiB in huge pages that runs three times; statistics, counts and times."""
    out = {}
    for name in NAMES:
        sim = h.Simulation(h.Host("4GiB"), seed=1)
        vm = sim.launch(h.Guest("1GiB", strategy=name), workload=h.workloads.memhog("700MiB", repeat=3, thp=name != "v7"))
        sim.run()
        sim.check()
        out[name] = vm.guest.strategy_core.statistics() | vm.counts() | vm.accounts() | {
            "work": vm.guest.strategy_core.work}
    return out


def test_isolated_at_once(arms):
    """None in v1 to v7, up to 1000 blocks in v8, 256 blocks a list in v9, 16 blocks (64 MiB) in v10 to v12."""
    assert arms["v1"]["work"]["isolated"] == arms["v7"]["work"]["isolated"] == 0
    assert arms["v8"]["max_isolated_pages"] > 400 * MIB
    assert 64 * MIB < arms["v9"]["max_isolated_pages"] <= 256 * 4 * MIB
    for name in ("v10", "v11", "v12"):
        assert arms[name]["max_isolated_pages"] <= 64 * MIB


def test_who_waits_for_the_host(arms):
    for name in NAMES:
        spins = name in ("v7", "v8", "v10")
        assert (arms[name]["guest_spin"] > 0) == spins
        assert arms[name]["reports"] > 0 or name == "v1"


def test_what_the_host_is_asked(arms):
    """MADV_FREE in v1, v7, v10 and v11: nothing comes back before the host needs it. v8 and v9 ask for each page."""
    for name in ("v7", "v10", "v11"):
        assert arms[name]["lazy_pages"] > 0
        assert arms[name]["returned_frames"] == 0
    for name in ("v8", "v9", "v12"):
        assert arms[name]["lazy_pages"] == 0
        assert arms[name]["returned_frames"] > 0
    cost = {name: arms[name]["vmm"] / arms[name]["reported_pages"] for name in ("v8", "v9", "v12")}
    assert cost["v8"] > 10 * cost["v12"]
    assert cost["v9"] > 10 * cost["v12"]


def test_blocks_are_larger_the_later_the_series(arms):
    """Smallest order 0, 10 and 9."""
    mean = {name: arms[name]["reported_pages"] / arms[name]["reported_blocks"] for name in ("v8", "v9", "v12")}
    assert mean["v8"] < mean["v12"] <= mean["v9"] == 1024


@pytest.mark.parametrize(("spec", "locks"), [
    (strategies.V8(entries=16), 16 + 16),                   # one hold for each step, one for each return
    (strategies.V9(entries=16, threshold=16), 1),           # one for the zone; returns take none
    (strategies.V10(), 16 + 16),                            # one for each block
    (strategies.V12(), 16 + 1),                             # all 16 go back under one
], ids=lambda spec: getattr(spec, "name", None))
def test_zone_lock_round_trips(spec, locks):
    allocator, core, blocks = held(spec, 16)
    for pfn in blocks:
        allocator.free(pfn, 10)
    core.run_thread()
    if not core.complete_submitted():
        core.host_done()
    assert core.work["locks"] == locks


def test_what_is_captured(arms):
    """Every freed page in v1 to v8, merged blocks alone from v9 on; the record of v10 to v12 is a bit."""
    assert arms["v8"]["work"]["captured"] > 15_000
    assert arms["v1"]["work"]["captured"] > 15_000
    for name in ("v9", "v10", "v12"):
        assert 300 < arms[name]["work"]["captured"] < 5_000


def test_what_is_forgotten():
    """A full array's frees in v8, fewer than 128 blocks in v9, up to 15 a zone in v12."""
    for spec, blocks in ((strategies.V8(), 999), (strategies.V9(), 127), (strategies.V10(), 15), (strategies.V12(), 15)):
        allocator, core, pfns = held(spec, blocks + 1)
        for pfn in pfns[:blocks]:
            allocator.free(pfn, 10)
        assert core.run_thread() == []
        assert core.submitted() == []
        allocator.free(pfns[blocks], 10)
        assert core.run_thread() or core.submitted()


def test_v1_and_v7_lock_out_allocations_and_the_others_do_not():
    stalls = {}
    for name in ("v7", "v8", "v9", "v12"):
        sim = h.Simulation(h.Host("4GiB"), seed=1)
        vm = sim.launch(h.Guest("1GiB", vcpus=2, strategy=name, thp="never"), workload=h.workloads.memhog("200MiB", repeat=2))
        vm.submit(h.workloads.memhog("150MiB", repeat=20, gap=0, process=1), vcpu=1)
        sim.run()
        stalls[name] = vm.guest.strategy_core.work["stalls"]
    assert stalls.pop("v7") > 0
    assert set(stalls.values()) == {0}

"""Metrics of the rivals in runs that are small enough to compute by hand: lag, refaults by age, exits, holds of the zone lock."""

import numpy as np
import pytest

from hinting.strategies import Balloon, FreePageHint, HyperAlloc, VirtioMem
from tests.metrics.harness import PAGES_GIB, cost, of, run, steps

MIB = 256  # pages
#: 400 MiB are written in blocks of 2 MiB and freed at once, 1 s later.
BLOCKS = 200
USED = (("ALLOC", {"proc": 1, "order": 9, "b": BLOCKS}), ("SLEEP", {"a": 10**9}), ("MARK", {"a": 1}), ("FREE", {"proc": 1}))
#: How finely frees are stamped, ns.
TICK = 1 << 14


def freed_at(vm):
    return vm.marks()[0].t_ns


def all_again(pause):
    return ("SLEEP", {"a": int(pause * 1e9)}), ("ALLOC", {"proc": 2, "order": 9, "b": BLOCKS})


class TestVirtioMem:
    """2 s after the free the guest shrinks by 128 MiB: one memory block, unplugged by one request and one discard."""

    ROWS = (*USED, ("SLEEP", {"a": 2 * 10**9}), ("RESIZE", {"a": 128 * MIB}), ("SLEEP", {"a": 10**9}))

    def test_lag_and_amounts(self):
        sim, vm = run(*self.ROWS, strategy=VirtioMem(base=1 << 28))
        m = of(sim)
        times, returned = steps(sim, "discarded")
        assert returned.tolist() == [m["memory_returned"] * PAGES_GIB * 4096]
        assert 100 * MIB < m["memory_returned"] * PAGES_GIB <= 128 * MIB
        lag = times[0] - freed_at(vm)
        assert lag > 2e9
        assert m["lag_p50"] * 1e9 == pytest.approx(lag, abs=TICK + 0.004 * lag)
        assert m["lag_p99"] == m["lag_p50"]
        assert m["reports"] == m["discards"] == 1
        assert m["exits"] == 1 + m["faults"]
        assert m["never_reported"] * PAGES_GIB == pytest.approx(BLOCKS * 512 - m["memory_returned"] * PAGES_GIB, abs=16 * MIB)
        lock, isolate = cost("guest.zone_lock_uncontended"), cost("guest.isolate_page")
        assert m["lock_hold_max"] == pytest.approx((lock + isolate) / 1e3)
        blocks = vm.guest.strategy_core.work["isolated"]
        assert blocks >= 32
        assert m["lock_hold_sum"] == pytest.approx(blocks * (lock + isolate) / 1e3)

    @pytest.mark.parametrize(("pause", "shares"), [(0.1, (1, 1, 1)), (5, (0, 1, 1)), (30, (0, 0, 1))])
    def test_what_is_plugged_again_has_the_age_of_its_discard(self, pause, shares):
        again = (("RESIZE", {"a": 0}), *all_again(pause))
        sim, _ = run(*self.ROWS[:-1], ("SLEEP", {"a": 10**8}), *again, strategy=VirtioMem(base=1 << 28), until="60s")
        m = of(sim)
        assert 0.5 * m["memory_returned"] < m["refaulted"] <= m["memory_returned"]
        share = 100 * m["refaulted"] / m["memory_returned"]
        assert [m[f"refault_share_{window}s"] for window in (1, 10, 60)] == [share * one for one in shares]


class TestHyperAlloc:
    """Free frames are evicted by the scan at 5 s, in calls of up to 64 frames."""

    def test_soft_reclaim(self):
        sim, vm = run(*USED, strategy=HyperAlloc(scan_period="5s"), until="9s")
        m = of(sim)
        counters = vm.guest.strategy_core.counters()
        frames = counters["soft_reclaimed"]
        assert frames == BLOCKS
        assert m["memory_returned"] * PAGES_GIB == frames * 512
        assert m["discards"] == vm.guest.strategy_core.statistics()["discards"] >= frames / 64
        times, _ = steps(sim, "discarded")
        assert times[0] > 5e9
        assert m["lag_p99"] * 1e9 == pytest.approx(times[-1] - freed_at(vm), abs=TICK + 0.004 * 4e9)
        assert m["lag_p50"] * 1e9 == pytest.approx(np.median(times) - freed_at(vm), abs=TICK + 0.004 * 4e9)
        assert m["never_reported"] == 0
        assert m["efficacy"] == 100
        assert m["lock_hold_sum"] == m["reports"] == 0
        assert counters["installed"] >= BLOCKS
        assert m["exits"] == counters["installed"] + m["faults"]    # a call for each frame that is backed

    @pytest.mark.parametrize(("pause", "shares"), [(4, (100, 100, 100)), (9, (0, 100, 100)), (30, (0, 0, 100)), (90, (0, 0, 0))])
    def test_installs_have_the_age_of_the_eviction(self, pause, shares):
        """The eviction is at 5 s; what is written again after the pause was away since then."""
        until = f"{pause + 7}s"
        sim, vm = run(*USED, *all_again(pause), strategy=HyperAlloc(scan_period="5s"), until=until)
        m = of(sim)
        evicted = vm.guest.strategy_core.counters()["soft_reclaimed"]
        assert m["refaulted"] * PAGES_GIB == BLOCKS * 512
        assert m["memory_returned"] * PAGES_GIB == evicted * 512
        assert tuple(m[f"refault_share_{window}s"] for window in (1, 10, 60)) == shares

    def test_hard_reclaim(self):
        """A resize at 3 s takes 100 frames from the guest."""
        rows = (*USED, ("SLEEP", {"a": 2 * 10**9}), ("RESIZE", {"a": 100 * 512}))
        sim, vm = run(*rows, strategy=HyperAlloc(auto=False))
        m = of(sim)
        assert vm.guest.strategy_core.counters()["hard_reclaimed"] == 100
        times, _ = steps(sim, "discarded")
        assert m["lag_p99"] * 1e9 == pytest.approx(times[-1] - freed_at(vm), abs=TICK + 0.004 * 2e9)
        assert m["failed_while_isolated"] == 0

    @pytest.mark.parametrize("trees", [1, 4, 32])
    def test_frames_of_the_trees_that_are_taken_share_a_discard(self, trees):
        """The frames are one run of memory: as few calls as the trees allow, but for where the guest's own pages lie."""
        _, vm = run(*USED, strategy=HyperAlloc(trees=trees), until="9s")
        frames, statistics = vm.guest.strategy_core.counters()["soft_reclaimed"], vm.guest.strategy_core.statistics()
        assert frames == BLOCKS
        assert frames / (8 * trees) <= statistics["discards"] <= frames / (8 * trees) + 4


def test_requests_of_a_balloon_are_exits():
    sim, vm = run(*USED, ("RESIZE", {"a": 400 * MIB}), strategy=Balloon())
    m = of(sim)
    assert m["reports"] == vm.guest.strategy_core.statistics()["requests"] == 400
    assert m["discards"] == 400 * MIB
    assert m["memory_returned"] * PAGES_GIB == steps(sim, "discarded")[1][-1] / 4096 > 300 * MIB
    times, _ = steps(sim, "discarded")
    assert m["exits"] == 400 + vm.counts()["config_writes"] + m["faults"]
    assert vm.counts()["config_writes"] == 400
    assert m["lag_p99"] * 1e9 == pytest.approx(times[-1] - freed_at(vm), rel=0.015)


def test_memory_that_is_gone_for_good_is_not_isolated():
    """An allocation that fails in a shrunk guest did not fail because of a report."""
    for strategy in (VirtioMem(base=1 << 28), HyperAlloc(auto=False), Balloon()):
        rows = (("RESIZE", {"a": 128 * MIB}), ("SLEEP", {"a": 2 * 10**9}), ("ALLOC", {"proc": 1, "b": 200_000}))
        m = of(run(*rows, strategy=strategy)[0])
        assert m["failed_allocations"] > 0
        assert m["failed_while_isolated"] == m["isolated_peak"] == 0
    assert FreePageHint().order == 10

"""Metrics of runs that are small enough to compute by hand."""

import numpy as np
import pytest

import hinting as h
from hinting._core.costs import Costs
from hinting._core.host.host import vmm_memory_frames
from tests.metrics.harness import (
    COSTS,
    DIRECTORIES,
    FAULT,
    GIB,
    MINUTE,
    PAGES_GIB,
    TABLES,
    ReportAtOnce,
    cost,
    direct_free_ns,
    integral,
    of,
    run,
    steps,
)

VMM = vmm_memory_frames(Costs(COSTS), 1)


def test_memory_is_held_from_the_fault_on():
    """1,024 pages of two blocks are written: VMM from 0 on, pages and tables from the end of the faults on."""
    sim, _ = run(("BACK", {"a": 4096, "b": 1024}), until="3s")
    done = 1024 * FAULT
    frames = 1024 + DIRECTORIES + 2 * TABLES
    m = of(sim)
    assert m["held"] == (VMM + frames) / PAGES_GIB
    assert m["held_peak"] == m["held"]
    assert m["footprint"] == pytest.approx((VMM * 3 + frames * (3 - done / 1e9)) / PAGES_GIB / MINUTE, rel=1e-9)
    assert m["faults"] == m["exits"] == 1024
    assert m["exit_rate"] == pytest.approx(1024 / 3)
    assert m["guest_time"] == pytest.approx(done / 1e9)
    assert m["guest_seconds"] == 3
    assert m["thp_share"] == 0
    assert m["memory_returned"] == m["refaulted"] == m["reports"] == 0
    assert m["efficacy"] is m["lag_p50"] is m["reclaim_speed"] is m["host_cpu_per_gib"] is None
    times, held = steps(sim, "held")
    assert held.tolist() == [VMM * 4096, (VMM + frames) * 4096]
    assert times.tolist() == [0, pytest.approx(done, abs=1)]


def test_quantile_of_held_is_over_time():
    """R is high for the last 0.5 % of the time only: the 99th percentile is the low value, the peak the high one."""
    rows = [("SLEEP", {"a": 995_000_000}), ("BACK", {"a": 4096, "b": 512})]
    sim, _ = run(*rows, until="1s")
    m = of(sim)
    assert m["held_p99"] == VMM / PAGES_GIB
    assert m["held_peak"] == (VMM + 512 + DIRECTORIES + TABLES) / PAGES_GIB
    sim, _ = run(("SLEEP", {"a": 900_000_000}), *rows[1:], until="1s")
    assert of(sim)["held_p99"] == of(sim)["held_peak"]


def test_demand_is_what_is_not_free():
    """8 blocks of 4 MiB for the second half of 4 s."""
    reserved = h.Guest("512MiB").memory_map.pages - h.Guest("512MiB").free_pages()
    sim, _ = run(("SLEEP", {"a": 2_000_000_000}), ("ALLOC", {"proc": 1, "order": 10, "b": 8}), ("SLEEP", {"a": 10**9}),
                 ("FREE", {"proc": 1}), until="4s")  # fmt: skip
    m = of(sim)
    write = (1024 * (FAULT + COSTS["mem.clear_4k"]) + COSTS["guest.buddy_alloc_direct"]) / 1e9
    free = direct_free_ns(10) / 1e9
    blocks = 1024 * sum(1 + write * (8 - i) + free * i for i in range(8))
    assert m["demand"] * MINUTE * PAGES_GIB == pytest.approx(reserved * 4 + blocks, rel=1e-6)
    assert m["elasticity"] == pytest.approx(m["footprint"] / m["demand"])


def test_latency_of_an_allocation():
    """Pages from a per-CPU list: list, clearing, second-level fault; the first one of a batch also refills the list."""
    sim, _ = run(("ALLOC", {"proc": 1, "b": 1000}))
    plain = cost("guest.pcp_alloc_hit", "mem.clear_4k") + FAULT
    m = of(sim)
    assert m["allocation_latency_p50"] * 1e3 == pytest.approx(plain, rel=0.005)
    batch = cost("guest.pcp_refill_batch") * 31 / 63
    assert m["allocation_latency_p999"] * 1e3 == pytest.approx(plain + batch, rel=0.005)
    assert m["slow_allocations"] == 0
    assert m["slow_time"] == 0
    strict = sim.metrics(slow=int(plain * 1.2))
    assert strict["slow_allocations"][1].as_py() == pytest.approx(100 * 33 / 1000)
    assert strict["slow_time"][1].as_py() * 1e9 == pytest.approx(33 * (plain + batch), rel=0.01)


class TestOneReport:
    """Four blocks of 2 MiB are written and freed, each of them is reported at once; the reports queue at the VMM."""

    ROWS = (("ALLOC", {"proc": 1, "order": 9, "b": 4}), ("SLEEP", {"a": 10**9}), ("FREE", {"proc": 1}))

    @pytest.fixture
    def ran(self):
        return run(*self.ROWS, strategy=ReportAtOnce())

    def test_amounts(self, ran):
        sim, vm = ran
        m = of(sim)
        assert m["memory_returned"] == m["memory_returned_net"] == 4 * 512 / PAGES_GIB
        assert m["reports"] == m["discards"] == vm.counts()["reported_blocks"] == 4
        assert m["exits"] == 4 + 2048
        assert m["isolated_peak"] == 8
        assert m["never_reported"] == m["refaulted"] == 0
        assert m["efficacy"] == 100
        assert m["refault_share_1s"] == 0

    def test_lag_and_rates(self, ran):
        """The four frees take next to no time, the four discards one after the other."""
        sim, _ = ran
        times, returned = steps(sim, "discarded")
        assert np.diff(np.append(0, returned)).sum() == 4 * 512 * 4096
        m = of(sim)
        freed_at = 1e9 + 4 * (cost("guest.buddy_alloc_order9") + 512 * (cost("mem.clear_4k") + FAULT))
        assert len(times) == 4
        assert m["lag_p50"] == pytest.approx((times[1] - freed_at) / 1e9, abs=20e-6)
        assert m["lag_p99"] == pytest.approx((times[3] - freed_at) / 1e9, abs=20e-6)
        assert m["reclaim_rate_peak"] == 4 * 512 / PAGES_GIB
        assert m["freed"] == 0
        assert m["time_to_return_50"] is None

    def test_cpu(self, ran):
        sim, vm = ran
        m, accounts = of(sim), vm.accounts()
        gib = 4 * 512 / PAGES_GIB
        assert m["guest_cpu"] == (accounts["guest_report"] + accounts["guest_spin"]) / 1e9 > 0
        assert m["guest_cpu_per_gib"] == pytest.approx(m["guest_cpu"] / gib)
        assert m["host_cpu"] == (accounts["vmm"] + accounts["stolen"]) / 1e9
        assert m["host_cpu_cores"] == pytest.approx(m["host_cpu"] / 10)
        assert m["reclaim_speed"] == pytest.approx(gib / (m["guest_cpu"] + accounts["vmm"] / 1e9))

    def test_zone_lock(self, ran):
        """Held once to isolate each of the four blocks, and once to return it."""
        lock, isolate, put_back = cost("guest.zone_lock_uncontended"), cost("guest.isolate_page"), cost("guest.putback_page")
        m = of(ran[0])
        assert m["lock_hold_max"] == pytest.approx((lock + max(isolate, put_back)) / 1e3)
        assert m["lock_hold_sum"] == pytest.approx(4 * (2 * lock + isolate + put_back) / 1e3)


@pytest.mark.parametrize(("pause", "shares"), [(0.5, (100, 100, 100)), (5, (0, 100, 100)), (30, (0, 0, 100)), (90, (0, 0, 0))])
def test_refaults_by_their_age(pause, shares):
    """Blocks that were reported are written again after a pause."""
    again = [("SLEEP", {"a": int(pause * 1e9)}), ("ALLOC", {"proc": 2, "order": 9, "b": 4})]
    sim, _ = run(*TestOneReport.ROWS, *again, strategy=ReportAtOnce(), until="120s")
    m = of(sim)
    again_pages = m["refaulted"] * PAGES_GIB
    assert again_pages == 4 * 512
    assert (m["refault_share_1s"], m["refault_share_10s"], m["refault_share_60s"]) == shares
    assert m["memory_returned_net"] == 0
    assert m["refault_rate"] == pytest.approx(again_pages / 120)
    assert m["refault_cost"] == pytest.approx(again_pages * FAULT / 1e6 / 120)
    assert m["double_clearing"] == pytest.approx(again_pages * COSTS["mem.clear_4k"] / 1e6 / 120)


def test_time_to_return_after_an_exit():
    """A process of 64 MiB ends; what merges to 2 MiB is given back, what stays on the CPU's page lists is not."""
    rows = [("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 16384}), ("TOUCH", {"proc": 1, "b": 16384}), ("EXIT", {"proc": 1})]
    sim, _ = run(*rows, strategy=ReportAtOnce())
    m = of(sim)
    (one,) = sim.exits().to_pylist()
    own = 16384 // 512 + 8  # page tables, and what every process has: kernel stack and first tables
    assert one["freed_bytes"] == (16384 + own) * 4096
    assert m["freed"] == one["freed_bytes"] / GIB
    assert m["never_returned"] == (one["freed_bytes"] - one["returned_bytes"]) / GIB
    assert one["returned_bytes"] == m["memory_returned"] * GIB
    times, returned = steps(sim, "discarded")
    assert 0.9 < one["returned_bytes"] / one["freed_bytes"] < 0.99
    for percent in (50, 90):
        after = int(times[np.searchsorted(returned, one["freed_bytes"] * percent / 100)]) - one["end_ns"]
        assert one[f"return_{percent}_ns"] == after > 0
        assert m[f"time_to_return_{percent}"] * 1e9 == pytest.approx(after, rel=0.008)
    assert one["return_99_ns"] is m["time_to_return_99"] is None
    assert m["reclaim_rate"] == pytest.approx(m["memory_returned"] / ((one["last_ns"] - one["first_ns"]) / 1e9))


def test_huge_pages_of_the_host():
    """One of four huge pages loses a page: the other three are kept."""
    sim, vm = run(("BACK", {"a": 8192, "b": 4 * 512}), host_thp=True)
    assert of(sim)["thp_share"] == 100
    assert of(sim)["faults"] == 4
    vm.machine.backing.discard(8192 + 700, 1)
    m = of(sim)
    assert m["thp_splits"] == 1
    assert m["thp_share"] == 75


def test_stranded_memory_is_below_the_reporting_order():
    """Freed single pages between kept ones never merge: with isolate_min_order 9 they stay, and are stranded."""
    rows = []
    for slot in range(600):
        rows.append(("ALLOC", {"proc": 1 + slot % 2, "b": 1}))
    rows.append(("FREE", {"proc": 1}))
    sim, _ = run(*rows, strategy=h.strategies.V8(entries=16, isolate_min_order=9, wake_latency=0))
    m = of(sim)
    assert m["never_reported"] == m["stranded"] == 300 / PAGES_GIB
    assert m["efficacy"] == 0
    sim, _ = run(*rows)
    assert of(sim)["stranded"] == 0


def test_a_strategy_of_users_says_from_which_order_it_reports():
    class Large:
        """Report nothing below an order."""

        reports_from = "smallest"
        smallest: int = h.parameter(9, "smallest order", low=0, high=10)

        def on_merged(self, guest, cpu, pfns, orders):
            pass

    spec = h.strategy(numba=False)(Large)
    assert spec().reporting_order == 9
    assert spec(smallest=4).reporting_order == 4
    Large.reports_from = "nothing"
    with pytest.raises(h.HintingError, match="reports_from must name one of the parameters smallest, got 'nothing'"):
        _ = h.strategy(numba=False)(type("Larger", (Large,), {}))().reporting_order


def test_failures_and_losses():
    sim = h.Simulation(h.Host("2GiB"))
    for _ in range(2):
        sim.launch(h.Guest("1GiB"), workload=h.workloads.memhog("640MiB"))
    sim.run()
    host = of(sim, -1)
    assert host["oom_kills"] == sum(vm.is_lost for vm in sim.vms) == 1
    assert host["guests"] == 1
    assert host["packing"] == sim.vms[0].guest.memory_map.pages / sim.host.memory.frames_total
    lost = next(vm.number for vm in sim.vms if vm.is_lost)
    assert of(sim, lost)["held"] == of(sim, lost)["guests"] == 0
    small = h.Simulation(h.Host("1024MiB", base="1023MiB"))
    with pytest.raises(h.HintingError):
        small.launch(h.Guest("512MiB"))
    assert of(small, -1)["failed_launches"] == 1
    assert of(small, -1)["guests"] == 0


def test_integrals_of_the_series_are_the_scalars():
    """Of every guest and of the host, with and without a row for each change."""
    results = {}
    for resolution in (0, "1ms", "100ms"):
        sim = h.Simulation(h.Host("4GiB"), seed=3, resolution=resolution)
        for _ in range(2):
            vm = sim.launch(h.Guest("1GiB", vcpus=2, strategy=h.strategies.V8(entries=64), thp="never"))
            vm.submit(h.workloads.memhog("128MiB", repeat=2, gap="1s"), vcpu=1)
        sim.run()
        results[resolution] = {guest: of(sim, guest) for guest in (-1, 0, 1)}
        if resolution == 0:
            base = sim.used_bytes_at_start
            for guest in (-1, 0, 1):
                times, held = steps(sim, "held", guest)
                held = held - (base if guest == -1 else 0)
                m = results[0][guest]
                assert m["footprint"] == pytest.approx(integral(times, held, sim.engine.reached) / GIB / 60e9, rel=1e-9)
                assert m["held"] * GIB == held[-1]
                assert m["held_peak"] * GIB == held.max()
                assert m["memory_returned"] * GIB == steps(sim, "discarded", guest)[1][-1]
                assert m["refaulted"] * GIB == steps(sim, "refaulted", guest)[1][-1]
                assert m["isolated_peak"] * 2**20 == steps(sim, "isolated", guest)[1].max()
        assert steps(sim, "held", -1)[1][-1] == sim.host.used_bytes()
        assert sim.timeline()["host_used_bytes"][-1].as_py() == sim.host.used_bytes()
    for guest in (-1, 0, 1):
        for name, value in results[0][guest].items():
            if name not in ("held_peak", "held_p99", "isolated_peak", "reclaim_rate_peak"):
                assert results["1ms"][guest][name] == results["100ms"][guest][name] == value, name


def test_the_host_is_the_sum_of_its_guests():
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    for size in ("64MiB", "128MiB"):
        sim.launch(h.Guest("1GiB", strategy=h.strategies.V8(entries=32)), workload=h.workloads.memhog(size))
    sim.run()
    host, first, second = of(sim, -1), of(sim, 0), of(sim, 1)
    for name in ("memory_returned", "footprint", "demand", "freed", "never_returned", "never_reported", "refaulted", "reports",
                 "guest_cpu", "host_cpu", "lock_hold_sum", "faults", "exits", "discards", "thp_splits",
                 "guest_seconds"):  # fmt: skip
        assert host[name] == pytest.approx(first[name] + second[name]), name
    assert host["lock_hold_max"] == max(first["lock_hold_max"], second["lock_hold_max"])
    assert max(first["held_peak"], second["held_peak"]) <= host["held_peak"] <= first["held_peak"] + second["held_peak"]


def test_the_zone_lock_is_held_over_a_walk():
    """Page reporting puts blocks back, walks on and isolates the next ones under one hold."""
    capacity = 4
    sim, _ = run(("SLEEP", {"a": 10**9}), strategy=h.strategies.PageReporting(capacity=capacity))
    lock, isolate, put_back = cost("guest.zone_lock_uncontended"), cost("guest.isolate_page"), cost("guest.putback_page")
    entry = cost("guest.scan_free_list_entry")
    least = lock + capacity * (isolate + put_back + entry)
    assert least <= of(sim)["lock_hold_max"] * 1e3 <= least + 2 * entry
    assert of(sim)["reports"] > 10


def test_lazily_freed_memory_is_returned_when_the_host_takes_it():
    """With MADV_FREE the report gives nothing back; another guest's need does, and the lag ends there."""
    rows = (("ALLOC", {"proc": 1, "order": 9, "b": 64}), ("FREE", {"proc": 1}))
    strategy = h.strategies.V10(threshold=1)
    assert strategy.host_action == "free"
    sim, _ = run(*rows, strategy=strategy, host="300MiB", host_base="20MiB", until="5s")
    m = of(sim)
    assert m["reports"] > 0
    assert m["memory_returned"] == 0
    assert m["held"] >= 64 * 512 / PAGES_GIB
    second = sim.launch(h.Guest("512MiB", thp="never"), boot=False)
    second.submit(h.workloads.program(("BACK", {"a": 4096, "b": 20000})))
    sim.run(until="10s")
    sim.check()
    m = of(sim)
    assert 0 < m["memory_returned"] <= 64 * 512 / PAGES_GIB
    assert m["held"] < of(sim, -1)["held"]
    freed_at = 64 * 512 * (FAULT + COSTS["mem.clear_4k"]) / 1e9
    assert 5 - 1.1 * freed_at < m["lag_p50"] < 5
    assert steps(sim, "discarded")[1][-1] == m["memory_returned"] * GIB

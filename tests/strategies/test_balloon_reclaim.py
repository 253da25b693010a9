"""The balloon in a guest full of page cache: inflation reclaims it, statistics show it, the shrinker of 5.0 deflates for it."""

import pytest

import hinting as h
from hinting import strategies
from hinting._core.strategies.balloon import STATS, STATS_TICKET

MIB = 256  # pages


def cached(vm):
    counts = vm.counts()
    return counts["inactive_file_pages"] + counts["active_file_pages"]


def full_of_files(memory="1GiB", kernel="linux-6.1", **parameters):
    """(simulation, vm): files fill what the booted guest has left."""
    sim = h.Simulation(h.Host("4GiB", fragmentation=0.0), seed=1)
    guest = h.Guest(memory, vcpus=2, kernel=kernel, strategy=strategies.Balloon(**parameters))
    vm = sim.launch(guest, workload=h.workloads.file_scan(memory, files=4))
    sim.run()
    assert cached(vm) > 400 * MIB
    return sim, vm


@pytest.mark.parametrize("order", [0, 9])
def test_inflating_beyond_free_memory_evicts_page_cache(order):
    sim, vm = full_of_files(order=order)
    before, free, used = cached(vm), vm.guest.free_pages(), vm.machine.measured(0)["used"]
    reclaimed = vm.counts()["pgsteal_kswapd_pages"] + vm.counts()["pgsteal_direct_pages"]
    vm.resize("724MiB")
    sim.run()
    counts = vm.counts()
    assert vm.counters()["actual"] == 300 * MIB > free
    evicted = before - cached(vm)
    assert evicted == counts["pgsteal_kswapd_pages"] + counts["pgsteal_direct_pages"] - reclaimed
    assert vm.machine.measured(0)["used"] == used - evicted + 300 * MIB     # pages on per-CPU lists are not in use
    assert counts["kswapd_runs"] > 0
    assert counts["guest_oom_kills"] == 0
    sim.check()


def test_what_cannot_be_reclaimed_ends_the_inflation():
    sim, vm = full_of_files()
    vm.resize("128MiB")
    sim.run()
    counters = vm.counters()
    assert counters["actual"] < counters["num_pages"]
    assert vm.guest.strategy_core.statistics()["out_of_puff"] > 0
    assert cached(vm) == 0
    assert vm.counts()["guest_oom_kills"] == 0
    sim.check()


def test_statistics_by_hand():
    """Each tag that the driver fills, from what the guest shows elsewhere."""
    sim, vm = full_of_files()
    vm.submit(h.workloads.memhog("10MiB", thp=False, hold="1000s"), vcpu=1)
    sim.run(until=sim.now_ns + 5 * 10**9)
    vm.machine.poll(STATS_TICKET)
    sim.run(until=sim.now_ns + 10**9)
    core, allocator = vm.guest.strategy_core, vm.guest.allocator
    zones = [allocator.zone_state(zone) for zone in allocator.zones()]
    low = sum(zone["watermark"][1] for zone in zones)
    lists = sum(zone["counter"] for zone in zones)      # vCPUs that rest have folded their differences
    slab = 0
    available = sum(max(zone["counter"] - zone["watermark"][1], 0) for zone in zones)
    available += cached(vm) - min(cached(vm) // 2, low) + slab
    found = core.guest_statistics()
    assert list(found) == list(STATS)
    assert list(STATS.values()) == list(range(10))      # tags 0 to 9
    assert found["stat-free-memory"] == lists * 4096
    assert found["stat-total-memory"] == sum(zone["managed"] for zone in zones) * 4096
    assert found["stat-disk-caches"] == cached(vm) * 4096 > 400 << 20
    assert found["stat-available-memory"] == available * 4096
    assert found["stat-minor-faults"] == vm.counts()["minor_faults"] >= 10 * MIB
    assert {found[f"stat-{name}"] for name in ("swap-in", "swap-out", "major-faults", "htlb-pgalloc", "htlb-pgfail")} == {0}


def test_a_fault_of_each_kind_is_counted_once():
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("1GiB"), boot=False, workload=h.workloads.memhog("64MiB"))
    sim.run()
    assert vm.counts()["minor_faults"] == vm.counts()["thp_faults"] == 32
    vm.submit(h.workloads.memhog("1MiB", thp=False))
    sim.run()
    assert vm.counts()["minor_faults"] == 32 + MIB


def test_the_shrinker_of_5_0_deflates_under_page_cache_pressure_and_the_notifier_does_not():
    """A guest that only reads files: with the notifier its balloon stays, with the shrinker it goes."""
    left = {}
    for by in ("notifier", "shrinker"):
        sim, vm = full_of_files(kernel="linux-5.0", deflate_on_oom=True, deflate_by=by)
        vm.resize("724MiB")
        sim.run()
        vm.submit(h.workloads.file_scan("2GiB", files=8))
        sim.run()
        left[by] = vm.counters()["actual"]
        statistics = vm.guest.strategy_core.statistics()
        assert (statistics["shrunk_pages"] > 0) == (by == "shrinker")
        assert statistics["oom_notified"] == vm.counts()["guest_oom_kills"] == 0
        sim.check()
    assert left["notifier"] == 300 * MIB
    assert left["shrinker"] < 250 * MIB


def test_the_shrinker_saves_a_program_too():
    sim = h.Simulation(h.Host("4GiB", fragmentation=0.0), seed=1)
    balloon = strategies.Balloon(target="700MiB", deflate_on_oom=True, deflate_by="shrinker")
    vm = sim.launch(h.Guest("1GiB", vcpus=2, kernel="linux-5.0", strategy=balloon))
    sim.run()
    vm.submit(h.workloads.memhog("512MiB", thp=False), vcpu=1)
    sim.run()
    assert vm.counts()["guest_oom_kills"] == 0
    assert vm.guest.strategy_core.statistics()["shrunk_pages"] > 50 * MIB
    sim.check()


def test_a_call_of_the_shrinker_is_one_request():
    core = h.Guest("512MiB", strategy=strategies.Balloon(deflate_on_oom=True, deflate_by="shrinker")).strategy_core
    assert core.shrink(0) == core.shrink(1) == 0
    core.resize(300)
    while core.run_thread():
        core.host_done()
    assert core.shrink(0) == 300
    assert core.shrink(1) == 256
    assert core.shrink(0) == 44
    assert core.shrink(1) == 0                          # the device does not know of the others yet
    assert core.oom() == 256                            # who is out of memory waits for it
    assert core.complete_submitted() == 1
    assert core.shrink(1 << 20) == 44
    core.complete_submitted()
    assert core.shrink(0) == core.oom() == 0


def test_deflating_reads_pages_ahead_that_the_host_has_swapped_out():
    """Pieces of large backing pages were not discarded and can be in swap: MADV_WILLNEED starts reading them."""
    sim = h.Simulation(h.Host("1500MiB", swap="2GiB", swap_device="nvme", fragmentation=0.0), seed=1)
    vm = sim.launch(h.Guest("1GiB", strategy=strategies.Balloon(backing_page=1 << 21)), workload=h.workloads.memhog("580MiB"))
    sim.run(until="5s")
    vm.resize("624MiB")
    sim.run(until="10s")
    other = sim.launch(h.Guest("1GiB"), workload=h.workloads.memhog("600MiB", hold="20s"))
    sim.run(until="20s")
    backing = vm.machine.backing
    in_balloon = vm.guest.strategy_core.pages()
    swapped = [pfn for pfn in in_balloon if backing.is_swapped(pfn)]
    assert len(swapped) > 10 * MIB
    other.shut_down()
    read, waited = backing.counters["swapped_in"], backing.stalls["swap"]
    vm.resize("1GiB")
    sim.run(until=sim.now_ns + 2 * 10**9)
    assert all(backing.is_cached(pfn) for pfn in swapped)
    assert backing.counters["swapped_in"] - read >= len(swapped)
    assert backing.stalls["swap"] - waited < 1e9
    sim.check()

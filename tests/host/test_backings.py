"""What guest RAM is made of: shared memory, huge pages of the host's pool, RAM that is there at the start or locked."""

import random

import pytest

import hinting as h
from hinting import workloads
from hinting.errors import HostError, StrategyError

HUGE = 512
GIB = 262_144


class PoolModel:
    """Huge pages as sets of page numbers, counted anew at each question."""

    def __init__(self, page, total):
        self.page, self.total = page, total
        self.guests = []

    def launch(self, pages):
        guest = {"all": pages, "held": set(), "left": set(range(pages))}
        self.guests.append(guest)
        return guest

    def free(self):
        return self.total - sum(len(guest["held"]) for guest in self.guests)

    def reserved(self):
        return sum(len(guest["left"]) for guest in self.guests)

    def touch(self, guest, pfn, npages):
        for number in range(pfn // self.page, (pfn + npages - 1) // self.page + 1):
            if number in guest["held"]:
                continue
            if number not in guest["left"] and self.free() <= self.reserved():
                return False
            guest["left"].discard(number)
            guest["held"].add(number)
        return True

    def discard(self, guest, pfn, npages):
        if pfn % self.page == 0 and npages % self.page == 0:
            guest["held"] -= set(range(pfn // self.page, (pfn + npages) // self.page))


@pytest.mark.parametrize(("page", "pages", "seed"), [(HUGE, 12, 1), (HUGE, 7, 5), (GIB, 6, 3)])
def test_a_pool_against_a_model(make_host, page, pages, seed):
    rng = random.Random(seed)
    host = make_host(page * pages + 40_000, 1_000, hugepages=(page, pages), swap_frames=4_000)
    model = PoolModel(page, pages)
    guests = []
    refused = failed = ignored = 0
    for _ in range(300):
        chance = rng.random()
        if not guests or chance < 0.05:
            size = rng.randint(1, 5)
            if model.free() - model.reserved() >= size:
                guests.append((host.add_guest(size * page, 40, made_of="hugetlb"), model.launch(size)))
            else:
                refused += 1
                with pytest.raises(HostError, match=f"whole huge pages of {page} frames"):
                    host.add_guest(size * page, 40, made_of="hugetlb")
        elif chance < 0.08:
            backing, guest = guests.pop(rng.randrange(len(guests)))
            backing.remove()
            model.guests = [other for other in model.guests if other is not guest]
        else:
            backing, guest = rng.choice(guests)
            pfn = rng.randrange(guest["all"]) * page + rng.choice([0, 0, 0, 3, page // 2])
            npages = min(rng.choice([1, page // 2, page, page, 2 * page]), guest["all"] * page - pfn)
            if chance < 0.6:
                ok = model.touch(guest, pfn, npages)
                assert backing.touch(pfn, npages).ok == ok
                failed += not ok
            else:
                before = backing.counters["ignored_pages"]
                model.discard(guest, pfn, npages)
                backing.discard(pfn, npages)
                ignored += backing.counters["ignored_pages"] - before
        host.check()
        assert host.pool == (page, pages, model.free(), model.reserved())
        for backing, guest in guests:
            assert backing.rss_pages == len(guest["held"]) * page
        others = sum(backing.vmm_frames + sum(backing.table_frames) for backing, _ in guests)
        assert host.frames_free == 40_000 - 1_000 - others
    assert refused
    assert ignored
    assert failed


def test_a_page_of_the_pool_that_was_given_back_may_be_somebody_elses(make_host):
    host = make_host(10 * HUGE, hugepages=(HUGE, 4))
    first = host.add_guest(4 * HUGE, made_of="hugetlb")
    assert first.touch(0, 4 * HUGE).ok
    first.discard(HUGE, HUGE)
    second = host.add_guest(HUGE, made_of="hugetlb")
    assert not first.touch(HUGE).ok  # set aside for the other
    second.remove()
    assert first.touch(HUGE).ok
    first.discard(0, 100)
    first.discard(0, HUGE, 1)
    assert first.rss_pages == 4 * HUGE
    assert first.counters["ignored_pages"] == 100 + HUGE


def test_costs_of_the_pool(make_host, profile):
    host = make_host(4 * GIB, hugepages=(GIB, 1))
    guest = host.add_guest(GIB, made_of="hugetlb")
    fault = profile["virt.vm_exit_entry"] + profile["fault.gup_path_4k"] + profile["fault.tdp_map"]
    fault += 512 * profile["mem.clear_2m"]
    assert guest.touch(12_345).stall_ns == pytest.approx(fault)
    assert guest.touch(0, GIB).stall_ns == 0
    call = profile["host.madvise_call_empty"] + profile["host.mmu_notifier_range"] + profile["host.zap_2m_thp"]
    assert guest.discard(0, GIB).host_ns == pytest.approx(call)


def test_shared_memory_is_small_pages_and_two_calls(make_host, profile):
    host = make_host()
    plain, shared = host.add_guest(4 * HUGE), host.add_guest(4 * HUGE, made_of="memfd")
    for guest in (plain, shared):
        guest.touch(0, 2 * HUGE)
    assert (plain.huge_blocks, shared.huge_blocks) == (2, 0)
    assert host.shared_frames == 2 * HUGE
    small = make_host(thp=False).add_guest(4 * HUGE)
    small.touch(0, 2 * HUGE)
    more = profile["host.madvise_call_empty"] + profile["host.mmu_notifier_range"]
    assert shared.discard(0, HUGE).host_ns == pytest.approx(small.discard(0, HUGE).host_ns + more)
    assert host.shared_frames == HUGE
    with pytest.raises(HostError, match="MADV_FREE is for anonymous memory"):
        shared.free_lazily(0, 10)
    host.check()


def test_shared_memory_is_swapped(make_host):
    host = make_host(6_000, watermarks=(100, 200, 300), swap_frames=1 << 14, khugepaged=True)
    guest = host.add_guest(16 * HUGE, made_of="memfd")
    assert guest.touch(0, 12 * HUGE).ok
    assert guest.swapped_pages > 0
    host.khugepaged()
    assert guest.huge_blocks == 0
    host.check()


@pytest.mark.parametrize("thp", [True, False])
def test_populated_memory_needs_only_mappings(make_host, profile, thp):
    host = make_host(thp=thp)
    guest = host.add_guest(3 * HUGE)
    done = guest.populate(0, 3 * HUGE)
    assert guest.rss_pages == guest.held_frames == 3 * HUGE
    assert not any(guest.is_mapped(page) for page in range(3 * HUGE))
    per_fault = profile["virt.vm_exit_entry"] + profile["fault.tdp_map"]
    whole = make_host(thp=thp).add_guest(3 * HUGE).touch(0, 3 * HUGE).stall_ns
    faults = 3 if thp else 3 * HUGE
    assert done.stall_ns == pytest.approx(whole - faults * per_fault)
    assert guest.touch(0, 3 * HUGE).stall_ns == pytest.approx(faults * per_fault)
    host.check()


def test_locked_memory_stays(make_host):
    host = make_host(6_000, watermarks=(100, 200, 300), swap_frames=1 << 14)
    locked, other = host.add_guest(4 * HUGE, locked=True), host.add_guest(12 * HUGE)
    assert locked.populate(0, 4 * HUGE).ok
    assert other.touch(0, 12 * HUGE).ok
    assert other.swapped_pages > 0
    locked.discard(0, 2 * HUGE)
    locked.free_lazily(0, 2 * HUGE)
    assert locked.rss_pages == 4 * HUGE
    assert locked.swapped_pages == 0
    assert locked.counters["ignored_pages"] == 4 * HUGE
    assert locked.counters["discard_calls"] == 0
    host.check()


def run(backing, strategy="page-reporting-6.1", **options):
    sim = h.Simulation(h.Host("4GiB", base="256MiB", hugepages="1GiB" if backing == "hugetlb-2M" else 0), seed=1)
    guest = h.Guest("1GiB", strategy=strategy, kernel="linux-6.1")
    vm = sim.launch(guest, workload=workloads.memhog("512MiB"), backing=backing, **options)
    sim.run(until="60s")
    sim.check()
    return sim, vm


def test_reporting_gives_pages_back_to_the_pool():
    sim, vm = run("hugetlb-2M")
    info = sim.host.meminfo()
    assert info["HugePages_Total"] == 512
    assert info["HugePages_Free"] > 256
    assert info["HugePages_Free"] * info["Hugepagesize"] == (1 << 30) - vm.machine.backing.held_frames * 4096
    assert info["AnonPages"] == vm.machine.backing.vmm_frames * 4096
    used = sim.timeline()["host_used_bytes"].to_numpy()
    assert used[-1] == sim.host.used_bytes()
    assert min(used) > 1 << 30  # the pool is never anybody else's


def test_shared_guests_run_as_others_do():
    _, plain = run("anonymous")
    sim, shared = run("memfd")
    assert sim.host.meminfo()["Shmem"] == shared.machine.backing.held_frames * 4096
    assert shared.memory_counts()["faults_2m"] == 0
    assert shared.memory_counts()["discarded_pages"] > 0.9 * plain.memory_counts()["discarded_pages"]


def test_all_memory_is_there_from_the_start():
    sim, vm = run("anonymous", prealloc=True)
    assert sim.timeline()["guest_held_bytes"].to_numpy()[0] > 1 << 30
    assert vm.machine.backing.rss_pages < 0.6 * 262_144  # discards work
    sim, vm = run("anonymous", locked=True)
    assert vm.machine.backing.rss_pages >= 262_143
    assert vm.memory_counts()["discarded_pages"] == 0
    assert vm.counts()["reports"] > 0  # the device answers, and ignores what it was sent


def test_a_guest_dies_of_a_bus_error_when_its_pages_are_somebody_elses():
    sim = h.Simulation(h.Host("4GiB", base="256MiB", hugepages="1GiB"), seed=1)
    first = sim.launch(h.Guest("1GiB", strategy="page-reporting-6.1", kernel="linux-6.1"), backing="hugetlb-2M",
                       workload=workloads.memhog("700MiB", repeat=2, gap="60s"))
    sim.run(until="30s")
    second = sim.launch(h.Guest("512MiB"), backing="hugetlb-2M")
    sim.run(until="200s")
    sim.check()
    assert first.is_lost
    assert not second.is_lost
    assert sim.engine.oom_kills == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backing": "tmpfs"}, "backing must be one of anonymous, memfd, hugetlb-2M, hugetlb-1G, got 'tmpfs'"),
        ({"backing": "hugetlb-1G"}, "backing: hugetlb-1G needs a host with huge pages of that size"),
        ({"transport": "shared-bitmap"}, "shared-bitmap is how the strategy hyperalloc works by itself"),
    ],
)
def test_impossible_guests(options, message):
    sim = h.Simulation(h.Host("4GiB", hugepages="1GiB"), seed=1)
    with pytest.raises(HostError, match=message):
        sim.launch(h.Guest("1GiB"), **options)


@pytest.mark.parametrize(
    ("strategy", "options", "message"),
    [
        ("hyperalloc", {"backing": "memfd"}, "strategy hyperalloc: not modelled for memory of memfd, expected one of anonymous"),
        ("virtio-mem", {"locked": True}, "strategy virtio-mem: not modelled for locked memory"),
        (h.strategies.find("v8", {"host_action": "free"}), {"backing": "memfd"}, "host_action free .* needs anonymous memory"),
    ],
)
def test_impossible_strategies(strategy, options, message):
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    with pytest.raises(StrategyError, match=message):
        sim.launch(h.Guest("2GiB", strategy=strategy), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hugepages": "3MiB"}, "host hugepages must be whole pages of 2MiB, got '3MiB'"),
        ({"hugepages": "8GiB"}, "more than the host has beside its base"),
        ({"hugepage_size": "4MiB"}, "host hugepage_size must be one of 2MiB, 1GiB, got '4MiB'"),
        ({"thp_defrag": "always"}, "host thp_defrag must be madvise or defer, got 'always'"),
    ],
)
def test_impossible_hosts(options, message):
    with pytest.raises(HostError, match=message):
        h.Host("4GiB", **options)

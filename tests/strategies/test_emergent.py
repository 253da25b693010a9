"""What hinting v8 does without anybody having written it down: residue, halving, losses, false shortage, hot re-use."""

import numpy as np
import pytest

import hinting as h
from hinting import gfp, strategies
from hinting._core.engine.untimed import Untimed
from hinting._core.mm.allocator import Allocator
from tests.strategies.lineage import USER, held, outside
from tests.strategies.test_v8_vectors import free_in_lists, guest, singles

MIB = 256                               # pages
UNMOVABLE, MOVABLE = 0, 1


def run(core, cpu=0):
    blocks = core.run_thread(cpu)
    core.host_done(cpu)
    return blocks


def test_1_residue():
    """Below 1000 entries nothing is ever reported: 3996 MiB in 999 blocks."""
    allocator, core, blocks = guest(1024)
    for pfn in blocks[:999]:
        allocator.free(pfn, 10)
    assert len(core.captured()) == 999
    assert core.statistics()["scans"] == 0
    assert not core.is_woken()
    assert core.run_thread() == []


def test_2_exit_of_a_process_of_huge_pages_triggers_once():
    allocator, core, frames = guest(1024, take=9)
    wakes = []
    for number, pfn in enumerate(frames, start=1):
        allocator.free(pfn, 9)
        if core.is_woken():
            wakes.append(number)
            assert sum(1 << order for _, order in run(core)) >= 3990 * MIB
    assert wakes == [1998]


def test_2_a_few_percent_freed_elsewhere_keep_it_from_triggering():
    allocator = Allocator(h.kernels.load("linux-5.0"), [zone_of_two_cpus()], 2)
    user = gfp.value(USER, allocator.kernel)
    for block in range(1024):
        allocator.add_free(block << 10, 10)
    frames = sorted(allocator.alloc(9, user) for _ in range(2048))
    core = strategies.V8().core()
    core.attach(allocator)
    for number, pfn in enumerate(frames):
        allocator.free(pfn, 9, 1 if number < 64 else 0)
    assert not core.is_woken(0)
    assert not core.is_woken(1)
    assert core.statistics()["wakes"] == 0


def zone_of_two_cpus():
    return {"index": 2, "start": 0, "end": 1 << 20, "managed": 1 << 20, "watermark": (0, 0, 0), "lowmem_reserve": [0] * 5,
            "batch": 63, "high": 378, "threshold": 0}


def test_2_random_order_wakes_earlier_with_many_halves():
    wakes, halves = [], []
    for seed in range(3):
        allocator, core, frames = guest(1024, take=9)
        for pfn in np.random.default_rng(seed).permutation(frames).tolist():
            allocator.free(pfn, 9)
            if core.is_woken():
                break
        wakes.append(core.counters()["total_freed_memory"] / 2048)
        halves.append(sum(order == 9 for _, order in run(core)))
    assert 1650 < np.mean(wakes) < 1750
    assert min(halves) > 200


@pytest.mark.parametrize(("late", "reports", "heads", "non_buddy"), [(0, 2, 493, 316), (20, 2, 488, 0), (200, 1, None, None)])
def test_3_exit_of_a_process_of_small_pages(late, reports, heads, non_buddy):
    """Earlier and more often than with huge pages. late: lists freed between the wake-up and the thread."""
    allocator, core = singles(1025)     # page frame 0 is never free in a real guest
    seen, first, end, waiting = [], 1024, 1025 << 10, -1
    while first < end:
        for size in (8, *[510] * 19):
            allocator.free_list(range(first, min(end, first + size)))
            first = min(end, first + size)
            waiting = 0 if waiting < 0 and core.is_woken() else waiting + (waiting >= 0)
            if waiting == late or (first == end and waiting >= 0):
                in_no_block = sum(not allocator.page(pfn).startswith("free (a block") for pfn, _, _ in core.captured())
                refused = core.counters()["failed_isolation_memory"]
                blocks = run(core)
                found = len(blocks) + (core.counters()["failed_isolation_memory"] > refused)
                seen.append((found, sum(1 << order for _, order in blocks), in_no_block))
                waiting = -1
            if first == end:
                break
    counters = core.counters()
    lost = (counters["total_freed_memory"] - counters["captued_memory"]) / 1024
    assert len(seen) == reports
    if reports == 2:
        assert seen[0][0] == heads
        assert seen[0][2] == non_buddy
        assert all(0.98 < pages / (1950 * MIB) < 1.03 for _, pages, _ in seen)
    assert round(lost) == {0: 0, 20: 76, 200: 379}[late]


def test_4_fragmented_frees_carry_little():
    allocator, core = singles(8)
    for pfn in range(0, 8192, 2):
        allocator.free(pfn, 0)
        if core.is_woken():
            break
    assert core.statistics()["wakes"] == 1
    blocks = run(core)
    assert {order for _, order in blocks} == {0}
    assert len(blocks) < 1000 <= len(blocks) + 378 + 1


def test_5_what_is_freed_meanwhile_is_never_reported():
    allocator, core, blocks = held(strategies.V8(entries=4), 8)
    for pfn in blocks[:4]:
        allocator.free(pfn, 10)
    reported = core.run_thread()
    for pfn in blocks[4:]:              # the host works
        allocator.free(pfn, 10)
    core.host_done()
    assert sorted(reported) == [(pfn, 10) for pfn in blocks[:4]]
    assert core.captured() == []
    assert core.counters()["captued_memory"] == core.counters()["total_freed_memory"] / 2


def test_6_all_free_memory_is_in_flight_and_others_find_none():
    """Up to 1000 blocks, 3.9 GiB: a request of another CPU fails although the guest is all but empty."""
    allocator, core, frames = guest(1024, take=9)
    user = gfp.value(USER, allocator.kernel)
    for pfn in frames[:1998]:
        allocator.free(pfn, 9)
    assert len(core.run_thread()) == 998
    assert outside(allocator) == 3992 * MIB
    assert core.counters()["failed_isolation_memory"] > 0           # only the min watermark limits it
    assert allocator.alloc(10, user) >= 0
    assert allocator.alloc(0, user) == -1
    core.host_done()
    assert allocator.alloc(9, user) >= 0


def test_7_the_vcpu_spins_for_a_second_and_8_the_same_pages_come_first():
    sim = h.Simulation(h.Host("8GiB"), seed=1)
    vm = sim.launch(h.Guest("5GiB", strategy="v8"), workload=h.workloads.memhog("4GiB"))
    sim.run()
    counts = vm.counts()
    assert counts["max_isolated_pages"] > 3000 * MIB
    assert 0.2e9 < vm.accounts()["guest_spin"] / counts["reports"] < 2e9


def test_8_reported_blocks_are_the_first_to_be_used_again():
    allocator, core, blocks = held(strategies.V8(entries=4), 8)
    user = gfp.value(USER, allocator.kernel)
    for pfn in blocks[4:]:
        allocator.free(pfn, 10)
    for pfn in blocks[:4]:              # lost: freed while the array is full
        allocator.free(pfn, 10)
    reported = run(core)
    assert {allocator.alloc(10, user) for _ in range(4)} == {pfn for pfn, _ in reported}


def test_9_small_hints_split_huge_pages_of_the_host_without_freeing_them():
    host = h.Host("4GiB", thp=True, fragmentation=0.0)
    inside = h.Guest("512MiB", strategy=strategies.V8(entries=64))
    backing = host.memory.add_guest(inside.memory_map.npfn, ram_frames=inside.memory_map.pages)
    untimed = Untimed(inside.allocator, inside.strategy_core, backing)
    pages = np.sort(untimed.alloc(40_000, 0, gfp.value(USER, inside.allocator.kernel)))
    used = host.used_bytes()
    untimed.free(pages[::2], 0)
    assert untimed.outcome["reported_blocks"] > 5_000
    assert backing.counters["thp_splits"] > 50
    assert host.used_bytes() >= used
    host.check()


def test_10_isolation_turns_pageblocks_movable():
    allocator, core, blocks = held(strategies.V8(entries=3), 2, order=8)
    for pfn in (0, 512):
        allocator.set_block_type(pfn, UNMOVABLE)
    allocator.free(0, 8)
    allocator.split(512, 8)
    allocator.free(512, 0)
    allocator.free(1024, 8)
    run(core)
    assert blocks[:3] == [0, 256, 512]
    assert allocator.block_types()[:2] == [MOVABLE, UNMOVABLE]


@pytest.mark.parametrize("returned_before", [False, True])
def test_11_two_cpus_list_the_same_block(returned_before):
    """The second one finds it in flight (non-buddy), or reports it again after its return."""
    allocator, core, frames = held(strategies.V8(entries=2), 3, order=9, vcpus=2)
    for pfn in frames[2:4]:
        allocator.free(pfn, 9, 0)
    for pfn in (frames[0], frames[1]):
        allocator.free(pfn, 9, 1)
    core.load(1, [(frames[2], 9, 2), (frames[0], 9, 2)], None)
    first = core.run_thread(0)
    before = core.counters()["free_non_buddy_memory"]
    assert first == [(frames[2], 10)]
    if returned_before:
        core.host_done(0)
    second = core.run_thread(1)
    assert second == ([(frames[2], 10), (frames[0], 10)] if returned_before else [(frames[0], 10)])
    assert core.counters()["free_non_buddy_memory"] - before == (0 if returned_before else 2048)


def test_12_what_was_free_before_is_never_reported():
    """Nothing happens to memory that boot has left free, by any strategy of the lineage."""
    for name in (name for name in strategies.names() if name[:1] == "v" and name[1].isdigit()):
        sim = h.Simulation(h.Host("2GiB"), seed=1)
        vm = sim.launch(h.Guest("512MiB", strategy=name), boot=False)
        sim.run(until="10s")
        assert vm.counts()["reports"] == 0


def test_the_same_pages_are_isolated_again_and_again():
    sim = h.Simulation(h.Host("2GiB"), seed=1)
    vm = sim.launch(h.Guest("512MiB", strategy=strategies.V8(entries=100), thp="never"), boot=False)
    core = vm.guest.strategy_core
    core.start_trace(1 << 20)
    vm.submit(h.workloads.memhog("200MiB", repeat=30))
    sim.run()
    isolated = [(pfn, pages) for name, pfn, pages in core.trace() if name == "guest_isolated_pfn"]
    assert core.stop_trace() == 0
    distinct = {page for pfn, pages in isolated for page in range(pfn, pfn + pages)}
    assert len(distinct) < 0.3 * sum(pages for _, pages in isolated)


def test_a_scan_compares_up_to_a_million_entries():
    """Each entry inside a block that is not listed is held against all 1000."""
    allocator, core, frames = guest(1024, take=9)
    for head in frames[2:2002:2]:
        allocator.free(head, 9)
        allocator.free(head + 512, 9)
        core.load(0, [], None)
    last = frames[2002]
    core.load(0, [(head + 512, 9, 2) for head in frames[2:2000:2]], None)
    before = core.work["compares"]
    allocator.free(last, 9)
    assert core.is_woken()
    assert core.work["compares"] - before == 999 * 1000


def test_small_pages_trigger_earlier_and_more_often_than_huge_ones():
    reports = {}
    for thp in ("always", "never"):
        sim = h.Simulation(h.Host("8GiB"), seed=1)
        vm = sim.launch(h.Guest("3GiB", strategy="v8", thp=thp), boot=False)
        vm.submit(h.workloads.memhog("2200MiB"))
        sim.run()
        reports[thp] = vm.counts()["reports"]
    assert reports["never"] > reports["always"] == 0


def test_a_strict_scan_never_wakes():
    """Dropping what is not in the buddy lists, as the description says: the page that fills the array never is."""
    allocator, core = singles(64, scan_drop_non_buddy=True)
    free_in_lists(allocator, 0, 1 << 16)
    assert core.statistics()["scans"] > 50
    assert core.statistics()["wakes"] == 0

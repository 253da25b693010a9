"""Every transition of a block: which table, which folio, how many frames, at which cost."""

import pytest

from hinting import costs
from hinting._core.costs import Costs
from hinting._core.host.host import HostMemory

BLOCK = 512
HUGE_PARTS = ("virt.vm_exit_entry", "fault.gup_path_4k", "fault.thp_alloc", "mem.clear_2m", "fault.tdp_map")


@pytest.fixture
def guest(make_host):
    return make_host().add_guest(16 * BLOCK)


def state(guest, block=0):
    return tuple(guest.block_state(block))


def test_first_touch_takes_a_huge_frame(guest, profile):
    touch = guest.touch(17)
    assert touch == (True, sum(profile[part] for part in HUGE_PARTS))
    assert state(guest) == ("huge", "huge", True, False, 512, 512)
    assert guest.touch(0, 512) == (True, 0)
    assert guest.host.vmstat["thp_fault_alloc"] == guest.host.vmstat["pgfault"] == 1


@pytest.mark.parametrize("composite", ["fault.ept_4k_total", "fault.ept_2m_total"])
def test_a_fault_costs_what_the_table_sums_up(make_host, profile, composite):
    guest = make_host(thp=composite == "fault.ept_2m_total").add_guest(BLOCK)
    parts = sum(profile[part] for part in costs.default_table().costs[composite].composite_of)
    assert guest.touch(0).stall_ns == parts
    assert parts == pytest.approx(profile[composite], rel=0.02)


def test_without_thp_a_touch_takes_one_frame(make_host):
    guest = make_host(thp=False).add_guest(BLOCK)
    guest.touch(3)
    assert state(guest) == ("table", "small", False, True, 1, 1)
    assert guest.table_frames == (2, 2)  # a table and a directory on each side


def test_a_block_beyond_the_end_of_ram_stays_small(make_host):
    guest = make_host().add_guest(2 * BLOCK - 1)
    guest.touch(BLOCK)
    assert state(guest, 1) == ("table", "small", False, True, 1, 1)


def test_failed_huge_allocation_falls_back_and_pays_for_compaction(make_host, profile):
    for defrag, extra in ((True, profile.upper_values["fault.thp_alloc"]), (False, 0)):
        guest = make_host(fragmentation=1.0, thp_defrag=defrag).add_guest(BLOCK)
        small = make_host(thp=False).add_guest(BLOCK)
        assert guest.touch(0).stall_ns == small.touch(0).stall_ns + extra
        assert guest.host.vmstat["thp_fault_fallback"] == guest.counters["thp_fallbacks"] == 1
        assert guest.touch(1, 511).stall_ns == small.touch(1, 511).stall_ns


def test_one_call_over_a_huge_block_frees_it_whole(guest, profile):
    free = guest.host.frames_free
    guest.touch(0)
    discard = guest.discard(0, BLOCK)
    assert state(guest) == ("none", "small", False, False, 0, 0)
    assert guest.host.frames_free == free - 2  # the directories stay
    expected = ("host.madvise_call_empty", "host.mmu_notifier_range", "host.zap_2m_thp")
    assert discard == (sum(profile[part] for part in expected), 0)
    guest.touch(5)
    assert state(guest)[:2] == ("huge", "huge")
    assert guest.counters["refaulted_pages"] == BLOCK


def test_huge_blocks_of_one_call_are_gathered_and_flushed_once(make_host, profile):
    guest = make_host().add_guest(4 * BLOCK)
    for block in range(4):
        guest.touch(block * BLOCK)
    one = guest.discard(0, BLOCK).host_ns
    empty = guest.discard(0, BLOCK).host_ns
    gather = profile["host.madvise_zap_4k_single"] - profile["host.madvise_call_empty"] - profile["host.zap_4k_bulk"]
    assert guest.discard(BLOCK, 3 * BLOCK).host_ns == pytest.approx(empty + 3 * (one - empty) - 2 * gather)


@pytest.mark.parametrize("pt_reclaim", [False, True])
def test_single_zaps_leave_a_table_that_one_call_may_free(make_host, pt_reclaim):
    host = make_host(pt_reclaim=pt_reclaim)
    guest = host.add_guest(BLOCK)
    guest.touch(0)
    guest.discard(0, BLOCK, 1)
    assert state(guest) == ("table", "small", False, False, 0, 0)
    assert guest.held_frames == 0  # the last page of the folio freed it whole, without a split
    assert host.vmstat["thp_split_page"] == 0
    assert host.vmstat["thp_split_pmd"] == host.vmstat["thp_deferred_split_page"] == 1

    guest.touch(0, BLOCK)
    assert state(guest) == ("table", "small", False, True, 512, 512)
    assert guest.counters["faults_4k"] == 512
    assert guest.counters["refaulted_pages"] == 512

    guest.discard(0, BLOCK)  # one call over 512 small pages
    guest.touch(0)
    assert state(guest)[0] == ("huge" if pt_reclaim else "table")
    assert guest.rss_pages == (512 if pt_reclaim else 1)


def test_an_empty_table_is_freed_by_a_call_over_the_whole_block_only(make_host):
    guest = make_host(pt_reclaim=True, thp=False).add_guest(2 * BLOCK)
    guest.touch(0)
    guest.discard(0, BLOCK - 1)
    assert state(guest)[0] == "table"
    guest.discard(1, BLOCK - 1)
    assert state(guest)[0] == "table"
    guest.discard(0, BLOCK)
    assert state(guest)[0] == "none"


@pytest.mark.parametrize("ept_reclaim", [False, True])
def test_second_level_table_after_a_call_over_the_whole_block(make_host, ept_reclaim):
    guest = make_host(pt_reclaim=True, thp=False, ept_reclaim=ept_reclaim).add_guest(BLOCK)
    guest.touch(0)
    guest.discard(0, 1)
    assert state(guest)[3]
    guest.discard(0, BLOCK)
    assert state(guest)[3] is not ept_reclaim


def test_a_2m_entry_frees_the_second_level_table_in_its_place(make_host):
    guest = make_host(pt_reclaim=True, ept_reclaim=False).add_guest(BLOCK)
    guest.touch(0)
    guest.discard(0, BLOCK, 1)
    guest.touch(0)
    guest.discard(0, BLOCK)
    assert state(guest) == ("none", "small", False, True, 0, 0)
    assert guest.table_frames == (1, 2)
    guest.touch(0)
    assert state(guest) == ("huge", "huge", True, False, 512, 512)
    assert guest.table_frames == (1, 1)


def test_partial_discard_keeps_the_frames(guest, profile):
    guest.touch(0)
    free = guest.host.frames_free
    discard = guest.discard(100)
    assert state(guest) == ("table", "huge-partial", False, False, 511, 0)
    assert (guest.rss_pages, guest.held_frames, guest.deferred) == (511, 512, (1, 1))
    assert guest.host.frames_free == free - 1  # the new page table
    assert discard.host_ns == profile["host.thp_split_pmd"] + profile["host.mmu_notifier_range"]


def test_after_a_partial_discard_the_rest_is_mapped_again_page_by_page(guest, profile):
    guest.touch(0)
    guest.discard(100)
    again = guest.touch(0, 100)
    assert again.stall_ns == 100 * (profile["virt.vm_exit_entry"] + profile["fault.tdp_map"])
    assert state(guest) == ("table", "huge-partial", False, True, 511, 100)
    assert guest.counters["map_faults"] == 100
    assert guest.counters["refaulted_pages"] == 0


def test_a_refault_in_a_partial_folio_takes_a_frame_of_its_own(guest):
    guest.touch(0)
    guest.discard(0, 2)
    guest.touch(0)
    assert (guest.rss_pages, guest.held_frames, guest.deferred) == (511, 513, (1, 2))
    guest.discard(1, 511)  # the rest of the folio goes, the small page stays
    assert (guest.rss_pages, guest.held_frames, guest.deferred) == (1, 1, (0, 0))
    assert state(guest)[:2] == ("table", "small")


def test_the_shrinker_splits_the_oldest_folio_first(make_host, profile):
    host = make_host(4 * BLOCK, watermarks=(0, 1, 20))
    guest = host.add_guest(3 * BLOCK)
    guest.touch(0, 3 * BLOCK)
    guest.discard(BLOCK, 10)
    guest.discard(0, 10)
    host.base_frames += host.frames_free - 1
    assert host.wakes_kswapd
    assert host.kswapd() == 2 * profile["host.thp_split_folio"]
    assert host.frames_free == 21
    guest.discard(2 * BLOCK, 4)
    assert state(guest, 1)[1] == state(guest, 0)[1] == "small"
    assert state(guest, 2)[1] == "huge-partial"
    host.check()


def test_a_split_takes_the_block_out_of_the_second_level(make_host):
    host = make_host(2 * BLOCK, watermarks=(0, 0, 600))
    guest = host.add_guest(BLOCK)
    guest.touch(0)
    guest.discard(0, 10)
    guest.touch(0, BLOCK)
    host.kswapd()
    assert state(guest) == ("table", "small", False, True, 512, 0)
    assert guest.held_frames == 512


def test_a_split_without_a_free_frame_gives_its_table_a_frame(make_host):
    host = make_host(BLOCK + 2)
    guest = host.add_guest(BLOCK)
    guest.touch(0)
    assert host.frames_free == 0
    guest.discard(0, 3)
    assert host.frames_free == 2
    assert state(guest)[:2] == ("table", "small")
    host.check()


def test_a_fault_splits_queued_folios_before_it_fails(make_host, profile):
    host = make_host(BLOCK + 10)
    guest = host.add_guest(2 * BLOCK)
    guest.touch(0)
    guest.discard(0, 100)
    host.base_frames += host.frames_free
    before = guest.touch(BLOCK)
    assert before.ok
    assert before.stall_ns > profile["host.thp_split_folio"]
    assert host.vmstat["allocstall"] == 1
    assert host.vmstat["thp_split_page"] == 1


def test_a_touch_that_splits_its_own_block_maps_what_it_touches_afterwards(make_host):
    host = make_host(2 * BLOCK)
    guest = host.add_guest(BLOCK)
    guest.touch(0)
    guest.discard(0, 10)
    guest.touch(30)
    host.base_frames += host.frames_free - 1
    assert guest.touch(5, 59).ok  # page 5 takes the last frame, page 6 splits the folio
    assert host.vmstat["thp_split_page"] == 1
    assert [page for page in range(64) if guest.is_mapped(page)] == list(range(6, 64))
    host.check()


def test_running_vcpus_pay_for_the_flush(make_host, profile):
    guest = make_host().add_guest(BLOCK)
    guest.touch(0)
    alone = guest.discard(0, BLOCK)
    guest.touch(0)
    host_ns, stolen_ns = guest.discard(0, BLOCK, running_vcpus=4)
    round_ns = profile["host.tlb_shootdown_base"] + 4 * profile["host.tlb_shootdown_per_cpu"]
    assert host_ns == alone.host_ns + round_ns
    assert stolen_ns == 4 * (profile["virt.vm_exit_entry"] + profile["host.tlb_flush_local"])
    assert guest.discard(0, BLOCK, running_vcpus=4).stolen_ns == 0  # nothing left to flush


def test_single_page_calls_cost_their_number(make_host, profile):
    guest = make_host(thp=False).add_guest(1024)
    guest.touch(0, 1000)
    per_call = profile["host.madvise_zap_4k_single"] + profile["host.mmu_notifier_range"]
    empty = profile["host.madvise_call_empty"] + profile["host.mmu_notifier_range"]
    assert guest.discard(0, 1024, 1).host_ns == pytest.approx(1000 * per_call + 24 * empty)
    assert guest.counters["discard_calls"] == guest.counters["discard_pages"] == 1024
    assert guest.counters["discarded_pages"] == 1000


def test_published_balloon_speeds():
    """Balloon of 4K pages and of 2M blocks, touched and not, against the HyperAlloc measurements (15 %)."""
    profile = costs.load("xeon6252-hyperalloc")
    host = HostMemory(1 << 22, costs=Costs(profile), watermarks=(0, 0, 0), fragmentation=0.0, thp=False)
    guest = host.add_guest(BLOCK)
    empty = guest.discard(0, BLOCK, 1).host_ns / BLOCK
    guest.touch(0, BLOCK)
    touched = guest.discard(0, BLOCK, 1).host_ns / BLOCK
    bookkeeping = profile["host.balloon_pfn_overhead"] - profile["host.mmu_notifier_range"]
    assert empty + bookkeeping == pytest.approx(2540, rel=0.15)
    assert touched + bookkeeping == pytest.approx(4450, rel=0.15)

    huge_host = HostMemory(1 << 22, costs=Costs(profile), watermarks=(0, 0, 0), fragmentation=0.0)
    huge = huge_host.add_guest(BLOCK)
    empty = huge.discard(0, BLOCK).host_ns
    fault = huge.touch(0).stall_ns
    assert huge.discard(0, BLOCK).host_ns - empty == pytest.approx(15_700 - 7_500, rel=0.15)
    assert fault == pytest.approx(455_000 - 114_000, rel=0.15)

"""Vectors T1 to T8 of guest free page hinting v8, on an allocator of one zone without watermarks."""

import pytest

from hinting import gfp, strategies
from hinting._core.mm.allocator import Allocator
from tests.strategies.v8_harness import KERNEL, USER, free_in_lists, guest, run, singles, zone


def test_t1_capture():
    allocator, core = singles(1)
    for pfn in range(999):
        allocator.free(pfn, 0)
    assert core.statistics()["scans"] == 0
    assert len(core.captured()) == 999
    allocator.free(999, 0)
    assert core.statistics()["scans"] == 1
    assert sum(map(len, allocator.pcp_lists().values())) == 1


def test_t2_dedup():
    allocator, core = singles(1)
    for pfn in range(1000):
        allocator.free(pfn, 0)
    heads = [(0, 9), (512, 8), (768, 7), (896, 6), (960, 5), (992, 2), (996, 1), (998, 0)]
    assert [pfn for pfn, _, _ in core.captured()] == [*(pfn for pfn, _ in heads), 999]
    assert [allocator.page(pfn) for pfn, _ in heads] == [f"free (a block of order {order})" for _, order in heads]
    assert allocator.page(999) == "free (on a per-CPU list)"
    assert not core.is_woken()


def test_t3_list_freeing():
    allocator, core = singles(1)
    allocator.free_list(range(510))
    allocator.free_list(range(510, 1000))
    captured = [pfn for pfn, _, _ in core.captured()]
    assert captured == [0, 256, 384, 448, 480, 496, 504, 508, *range(510, 1000)]
    assert not core.is_woken()


def test_t4_thp():
    allocator, core, held = guest(1024, take=9)
    scans = []
    for number, pfn in enumerate(held[:1998], start=1):
        allocator.free(pfn, 9)
        if core.statistics()["scans"] > len(scans):
            scans.append((number, len(core.captured())))
        assert core.is_woken() == (number == 1998)
    frees = (1000, 1499, 1749, 1874, 1936, 1967, 1983, 1991, 1995, 1997, 1998)
    left = (501, 750, 875, 938, 969, 984, 992, 996, 998, 999, 1000)
    assert scans == list(zip(frees, left, strict=True))


def test_t4b_list_freeing_of_4_kib_pages():
    allocator, core = singles(1024)
    end = free_in_lists(allocator, 0, 1 << 20, stop=core.is_woken)
    assert core.is_woken()
    assert core.statistics()["scans"] == 979
    assert core.counters()["captued_memory"] == 499191 * 4
    assert end - 510 < 499191 <= end


def test_t4b_the_thread_served_at_once():
    allocator, core = singles(1024)
    free_in_lists(allocator, 0, 1 << 20, stop=core.is_woken)
    pages = [allocator.page(pfn) for pfn, _, _ in core.captured()]
    assert pages.count("free (on a per-CPU list)") == 316
    assert sum(page.startswith("free (a block") for page in pages) == 684
    isolated = len(run(core))
    counters = core.counters()
    assert isolated + counters["failed_isolation_memory"] // 4 == 493  # the zone's very last free page is refused
    assert counters["free_non_buddy_memory"] == (1000 - 493) * 4  # the other 191 lie in blocks isolated before
    allocator.check()


def test_t4c_single_frees_of_4_kib_pages():
    allocator, core = singles(1024)
    for pfn in range(1013700):
        allocator.free(pfn, 0)
    left, scans = [], core.statistics()["scans"]
    while not core.is_woken():
        pfn += 1
        allocator.free(pfn, 0)
        if core.statistics()["scans"] > scans:
            scans += 1
            left.append(len(core.captured()))
    assert pfn + 1 == 1013760
    assert left[-3:] == [998, 999, 1000]


def test_t5_loss():
    allocator, core, held = guest(1024, take=9)
    for pfn in held[:1998]:
        allocator.free(pfn, 9)
    before = core.counters()
    for pfn in held[1998:2008]:
        allocator.free(pfn, 9)
    after = core.counters()
    assert after["captued_memory"] == before["captued_memory"]
    assert after["total_freed_memory"] == before["total_freed_memory"] + 10 * 2048
    reported = {pfn + page for pfn, order in run(core) for page in range(0, 1 << order, 512)}
    assert core.counters()["guest_returned_memory"] == core.counters()["total_isolated_memory"]
    assert reported.isdisjoint(held[2000:2008])
    assert core.captured() == []
    assert run(core) == []


def test_t6_tail():
    allocator, core = singles(2, entries=2)
    allocator.free(1024 + 5, 0)
    core.load(0, [(7, 0, 2), (9, 0, 2)], None)
    for pfn in range(1024):
        allocator.free(pfn, 0)
    allocator.drain()
    assert run(core) == [(0, 10)]
    counters = core.counters()
    assert counters["tail_isolated_memory"] == 4096
    assert counters["free_non_buddy_memory"] == 4
    allocator.check()


def test_t7_split():
    allocator, core, held = guest(3, entries=16)
    allocator.free(held[2], 10)
    allocator.free(held[0], 10)
    allocator.split(held[1], 10)
    assert allocator.alloc(0, USER) == 0
    allocator.drain()
    core.load(0, [(0, 10, 2), *((held[1] + page, 0, 2) for page in range(15))], None)
    blocks = run(core)
    assert blocks == [(1 << order, order) for order in range(10)]
    counters = core.counters()
    assert counters["total_isolated_memory"] == 4092
    assert counters["reallocated_memory"] == 4 + 15 * 4
    assert counters["guest_returned_memory"] == counters["total_isolated_memory"]
    allocator.check()


def test_a_compound_page_is_left_behind_as_a_whole_and_counted_for_each_entry():
    """2.5 a: the next page is the one after the compound page, also from within it."""
    allocator, core = singles(2, entries=2)
    allocator.free_list(range(64))
    allocator.drain()
    head = allocator.alloc(3, gfp.value(gfp.KERNEL, KERNEL) | KERNEL.gfp["COMP"])
    core.load(0, [(head + 2, 1, 2), (head + 5, 0, 2)], None)
    before = core.counters()
    core.run_thread()
    after = core.counters()
    assert after["reallocated_memory"] - before["reallocated_memory"] == 2 * 32
    assert after["scanned_memory"] - before["scanned_memory"] == 2 * 32


@pytest.mark.parametrize(("spare", "refused"), [(0, True), (1, False)])
def test_t8_watermark(spare, refused):
    allocator = Allocator(KERNEL, [zone(2048, (100, 100, 100))])
    allocator.add_free(0, 9)
    allocator.add_free(1024, 6)
    for pfn in range(1088, 1088 + 36 + spare):
        allocator.add_free(pfn, 0)
    assert allocator.isolate(0, 9) is not refused
    allocator.check()


def test_identities():
    allocator, core = singles(8)
    end = 0
    while end < 8192:
        end = free_in_lists(allocator, end, 8192, stop=core.is_woken)
        if core.is_woken():
            run(core)
    c = core.counters()
    assert c["captued_memory"] <= c["total_freed_memory"] == 8192 * 4
    assert c["scanned_memory"] == sum(
        c[f"{name}_memory"] for name in ("reallocated", "total_isolated", "failed_isolation", "free_non_buddy")
    )
    assert c["tail_isolated_memory"] <= c["total_isolated_memory"] == c["guest_returned_memory"]
    allocator.check()


def test_dropping_what_is_not_in_the_buddy_lists_never_wakes():
    allocator, core = singles(1024, scan_drop_non_buddy=True)
    free_in_lists(allocator, 0, 1 << 20)
    assert core.statistics()["scans"] > 979
    assert core.statistics()["wakes"] == 0


def test_posted_build_has_no_counters_and_decides_the_same():
    logs = []
    for spec in (strategies.V8Posted(), strategies.V8Stats()):
        allocator = Allocator(KERNEL, [zone(1 << 20)])
        for block in range(1024):
            allocator.add_free(block << 10, 10)
        held = sorted(allocator.alloc(9, USER) for _ in range(2048))
        core = spec.core()
        core.attach(allocator)
        for pfn in held[:1998]:
            allocator.free(pfn, 9)
        logs.append((core.captured(), run(core), allocator.free_lists()))
        assert bool(core.counters()) == (spec.name == "v8-stats")
    assert logs[0] == logs[1]

"""The captured array at its edges: one entry less than full, full, one more; and who is lost while the thread is busy."""

import pytest

from hinting import strategies
from hinting._core.mm.allocator import Allocator
from tests.strategies.v8_harness import KERNEL, USER, guest, run, singles, zone


@pytest.mark.parametrize(
    ("frees", "scans", "captured", "woken"), [(999, 0, 999, False), (1000, 1, 1000, True), (1001, 1, 1000, True)]
)
def test_a_thousand_scattered_pages(frees, scans, captured, woken):
    """Every second page: nothing merges, so that the scan keeps all entries."""
    allocator, core = singles(2)
    for page in range(frees):
        allocator.free(2 * page, 0)
    assert core.statistics()["scans"] == scans
    assert len(core.captured()) == captured
    assert core.is_woken() == woken
    assert core.counters()["total_freed_memory"] == 4 * frees
    assert core.counters()["captued_memory"] == 4 * captured
    allocator.check()


@pytest.mark.parametrize("entries", [2, 3, 64, 65, 1024])
def test_any_number_of_entries(entries):
    allocator, core = singles(4, entries=entries)
    for page in range(entries - 1):
        allocator.free(2 * page, 0)
    assert core.statistics()["scans"] == 0
    allocator.free(2 * (entries - 1), 0)
    statistics = core.statistics() | {"runs": 0}
    assert {name for name, value in statistics.items() if value} == {"scans", "wakes"}
    assert (statistics["scans"], statistics["wakes"]) == (1, 1)
    allocator.drain()
    run(core)
    assert core.captured() == []
    assert core.statistics()["runs"] == 1


def test_single_frees_leave_less_in_the_array_than_one_list():
    captured = []
    for as_list in (False, True):
        allocator, core = singles(1)
        if as_list:
            allocator.free_list(range(1000))
        else:
            for pfn in range(1000):
                allocator.free(pfn, 0)
        captured.append(len(core.captured()))
        assert core.is_woken() == as_list
    assert captured == [9, 1000]


def test_each_cpu_has_its_own_array():
    allocator = Allocator(KERNEL, [zone(4096)], 2)
    for block in range(4):
        allocator.add_free(block << 10, 10)
    core = strategies.V8(entries=4).core()
    core.attach(allocator)
    pages = sorted(allocator.alloc(0, USER) for _ in range(64))[::2]
    for pfn in pages[:3]:
        allocator.free(pfn, 0, 0)
    for pfn in pages[3:7]:
        allocator.free(pfn, 0, 1)
    assert [len(core.captured(cpu)) for cpu in (0, 1)] == [3, 4]
    assert [core.is_woken(cpu) for cpu in (0, 1)] == [False, True]
    run(core, 1)
    assert [len(core.captured(cpu)) for cpu in (0, 1)] == [3, 0]
    allocator.check()


def test_no_page_is_lost():
    """All memory is in the free lists again after many runs, and none is reported twice at once."""
    allocator, core, held = guest(16, take=6, entries=8)
    for pfn in held:
        allocator.free(pfn, 6)
        if core.is_woken():
            blocks = core.run_thread()
            covered = [pfn + page for pfn, order in blocks for page in range(1 << order)]
            assert len(covered) == len(set(covered))
            assert {allocator.page(pfn)[:8] for pfn, _ in blocks} == {"isolated"}
            core.host_done()
            allocator.check()
    allocator.drain()
    assert allocator.zone_state(2)["free"] == 16 << 10
    assert core.statistics()["runs"] > 3
    allocator.check()


def test_what_was_free_before_is_never_reported():
    allocator, core, held = guest(2, entries=2)
    early, late = held
    assert core.captured() == []
    allocator.free(late, 10)
    assert core.captured() == [(late, 10, 2)]
    assert not core.is_woken()
    allocator.free(early, 10)
    assert run(core) == [(late, 10)]  # the other one is the zone's last free block: refused
    assert core.counters()["failed_isolation_memory"] == 4096

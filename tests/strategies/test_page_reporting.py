"""Mainline page reporting: vectors T9 and T10, invariant I6, and what its versions and parameters change."""

import random

import numpy as np
import pytest

import hinting as h
from hinting import gfp, kernels, strategies
from hinting._core.mm.allocator import Allocator
from hinting._core.mm.steps import mark_reported
from hinting.errors import StrategyError

KERNEL = kernels.load("linux-6.1")
USER = gfp.value(gfp.HIGHUSER_MOVABLE, KERNEL)
UNMOVABLE, MOVABLE = 0, 1


def zone(pages, watermark=(0, 0, 0), high=0, batch=1):
    """A zone without reserves; high 0: single pages and huge pages go straight to the free lists."""
    return {
        "index": 2, "start": 0, "end": pages, "managed": pages, "watermark": watermark, "lowmem_reserve": [0] * 5,
        "batch": batch, "high": high, "threshold": 0,
    }  # fmt: skip


def guest(blocks, *, kernel=KERNEL, free=True, watermark=(0, 0, 0), name="page-reporting", **parameters):
    """An allocator of so many 4 MiB blocks, free and in ascending order, and page reporting registered on it."""
    allocator = Allocator(kernel, [zone(blocks << 10, watermark)])
    for block in range(blocks):
        allocator.add_free(block << 10, 10, True)
    if not free:
        for _ in range(blocks):
            allocator.alloc(10, USER)
    core = strategies.find(name, parameters).core()
    core.attach(allocator)
    return allocator, core


def run_pass(core, on_report=lambda blocks: None):
    """One pass; returns its reports, each [(pfn, order), ...] in the order in which the device gets the blocks."""
    assert core.is_woken()
    reports = []
    while blocks := core.run_thread():
        assert sorted(blocks) == sorted(core.out())
        on_report(blocks)
        reports.append(blocks)
        core.host_done()
    return reports


def reported(allocator, order, mt=MOVABLE):
    """{pfn: mark} of one list, head first."""
    pfns = allocator.free_lists().get((2, order, mt), [])
    return dict(zip(pfns, allocator.reported_array(np.array(pfns, np.uint32), order).tolist(), strict=True))


def test_t9_idle_zone():
    allocator, core = guest(8192)
    passes = []
    while core.is_woken():
        passes.append(run_pass(core))
        assert core.state_word == ("requested" if core.is_woken() else "idle")
    assert len(passes) == 16
    assert [len(reports) for reports in passes] == [17] * 15 + [1]
    assert {len(blocks) for reports in passes for blocks in reports} == {32}
    assert len(passes[0]) * 32 == 544
    assert all(reported(allocator, 10).values())
    assert core.statistics()["budget_stops"] == 15
    allocator.check()


def pairs(blocks, **parameters):
    """Of each 4 MiB block the upper half is free, block 0's first in the list, and the lower half in use."""
    allocator, core = guest(blocks + 1, free=False, low_watermark_rule=False, **parameters)
    for block in range(blocks, -1, -1):
        allocator.split(block << 10, 10)
        allocator.free_list(range((block << 10) + 512, (block << 10) + (1024 if block < blocks else 513)))
    return allocator, core


def free_lower(allocator, block):
    allocator.free_list(range(block << 10, (block << 10) + 512))


@pytest.mark.parametrize("blocks", [4, 33])
def test_t10_merge(blocks):
    """The buddy of block 0's upper half is freed while that one is at the host.

    With 33 blocks the report is made in the middle of the order-9 list, so that the order-10 list is still to be walked
    in this pass; with 4 it is the last act of the pass.
    """
    allocator, core = pairs(blocks)
    merged = []

    def free_the_buddy(report):
        if not merged and (512, 9) in report:
            merged.append(core.statistics()["reports"])
            free_lower(allocator, 0)
            assert reported(allocator, 9)[0] is False

    first = run_pass(core, free_the_buddy)
    assert core.statistics()["merged"] == 1
    assert core.is_woken()
    if blocks > 32:
        assert (0, 10) in first[-1]
        assert reported(allocator, 10) == {0: True}
    else:
        assert reported(allocator, 10) == {0: False}
        assert run_pass(core) == [[(0, 10)]]
        assert reported(allocator, 10) == {0: True}
    assert all(reported(allocator, 9).values())
    allocator.check()


def test_t10_the_merged_block_is_at_the_tail():
    allocator, core = guest(64, free=False)
    for block in range(20):
        allocator.free(block << 10, 10)
    while core.is_woken():
        run_pass(core)
    allocator.split(63 << 10, 10)
    allocator.free_list(range((63 << 10) + 512, 64 << 10))
    run_pass(core, lambda report: free_lower(allocator, 63))
    marks = reported(allocator, 10)
    assert list(marks)[-1] == 63 << 10
    assert marks.pop(63 << 10) is False
    assert all(marks.values())


@pytest.mark.parametrize("kernel", ["linux-6.1", "linux-6.12"])
@pytest.mark.parametrize("seed", range(4))
def test_i6_bounds_and_completeness(kernel, seed):
    """At most 32 blocks are out; a mark is on a free block; an idle system reports all it may within 16 passes.

    What an allocation leaves of a split block asks for no pass by itself: the last free does.
    """
    chance = random.Random(seed)
    profile = kernels.load(kernel)
    order = chance.choice([5, 9])
    allocator, core = guest(96, kernel=profile, watermark=(200, 250, 300), order=order)
    held = []
    for _ in range(3000):
        if chance.random() < 0.05 and core.is_woken():
            core.run_thread()
        elif core.in_pass and chance.random() < 0.2:
            core.host_done()
            core.run_thread()
        elif held and chance.random() < 0.48:
            allocator.free(*held.pop(chance.randrange(len(held))))
        else:
            size = chance.choice([0, 0, 1, 3, 5, 8, 9, 10])
            pfn = allocator.alloc(size, gfp.value(chance.choice([gfp.HIGHUSER_MOVABLE, gfp.KERNEL]), profile))
            if pfn is not None and pfn >= 0:
                held.append((pfn, size))
        assert len(core.out()) <= 32
    allocator.check()
    assert core.statistics()["merged"] > 0
    while core.in_pass:
        core.host_done()
        core.run_thread()
    while allocator.buddyinfo()[2] @ (1 << np.arange(11)) < 34 << 10:
        allocator.free(*held.pop())
    allocator.drain()
    allocator.free(allocator.alloc(9, USER), 9)
    passes = 0
    while core.is_woken():
        run_pass(core)
        passes += 1
    assert passes <= 16
    assert core.statistics()["most_out"] <= 32
    for o in range(11):
        for mt in range(3):
            assert all(mark == (o >= order) for mark in reported(allocator, o, mt).values())
    allocator.check()


def test_a_zone_with_little_free_memory_is_left_alone():
    low = (40 << 10) - (32 << 9)
    for extra, passes in ((0, 0), (-1, 1)):
        allocator, core = guest(40, watermark=(0, low + extra, low + extra))
        assert len(run_pass(core)) == 2 * passes
        assert any(reported(allocator, 10).values()) == bool(passes)


def test_a_refused_block_becomes_the_first_of_its_list():
    allocator, core = guest(8, watermark=(4 << 10, 0, 0), low_watermark_rule=False)
    assert run_pass(core) == [[(block << 10, 10) for block in (2, 1, 0)]]
    assert core.statistics()["refused"] == 1
    assert list(reported(allocator, 10).values()) == [False] * 5 + [True] * 3


def test_behind_a_reported_block_the_list_is_rotated():
    """Where the slots are full or a block is refused, the next unreported block becomes the first."""
    allocator, core = guest(6, low_watermark_rule=False, capacity=2)
    mark_reported(allocator, 0, 10)
    lists = []
    run_pass(core, lambda blocks: lists.append([pfn >> 10 for pfn in reported(allocator, 10)]))
    assert lists == [[3, 4, 5, 0], [5, 0, 2, 1]]
    assert core.statistics()["rotations"] == 1

    allocator, core = guest(8, watermark=(4 << 10, 0, 0), low_watermark_rule=False)
    mark_reported(allocator, 0, 10)
    assert run_pass(core) == [[(block << 10, 10) for block in (3, 2, 1)]]
    assert [pfn >> 10 for pfn in reported(allocator, 10)] == [4, 5, 6, 7, 0, 3, 2, 1]


def test_a_budget_stop_rotates_the_list():
    allocator, core = guest(100, capacity=4, budget_divisor=16)
    free = [block << 10 for block in range(100)]
    assert len(run_pass(core)) == 3
    assert list(reported(allocator, 10)) == free[12:] + free[3::-1] + free[7:3:-1] + free[11:7:-1]
    assert core.statistics()["rotations"] == 0
    for block in range(12, 14):
        assert allocator.alloc(10, USER) == block << 10
    assert core.is_woken()


def test_others_may_take_blocks_between_the_answer_and_the_next_step():
    """The worker stood at an unreported block when the host's answer came; it is gone when the worker goes on."""
    allocator, core = guest(8, capacity=4)
    assert core.run_thread() == [(block << 10, 10) for block in (3, 2, 1, 0)]
    core.host_done()
    assert [allocator.alloc(10, USER) for _ in range(3)] == [4 << 10, 5 << 10, 6 << 10]
    assert core.run_thread() == [(7 << 10, 10)]
    core.host_done()
    assert core.run_thread() == []
    assert reported(allocator, 10) == {block << 10: True for block in (3, 2, 1, 0, 7)}
    allocator.check()


def test_a_split_drops_the_mark_unless_told_otherwise():
    for keep in (False, True):
        allocator, core = guest(40, keep_mark_on_split=keep)
        run_pass(core)
        assert allocator.alloc(8, USER) >= 0
        assert list(reported(allocator, 8).values()) == [keep]
        assert list(reported(allocator, 9).values()) == [keep]


def test_a_refill_keeps_marks_as_single_takes_do():
    marks = []
    for batch in (1, 31):
        allocator = Allocator(KERNEL, [zone(40 << 10, high=10 * batch, batch=batch)])
        for block in range(40):
            allocator.add_free(block << 10, 10, True)
        core = strategies.PageReporting(keep_mark_on_split=True).core()
        core.attach(allocator)
        run_pass(core)
        for _ in range(31):
            allocator.alloc(0, USER)
        marks.append([reported(allocator, order) for order in range(11)])
    assert marks[0] == marks[1]
    assert all(marks[0][5].values())


@pytest.mark.parametrize(("name", "kernel", "tail"), [
    ("page-reporting-5.7", "linux-5.0", False), ("page-reporting-6.1", "linux-6.1", True),
    ("page-reporting-6.12", "linux-6.12", True),
])  # fmt: skip
def test_versions_return_to_their_end_of_the_list(name, kernel, tail):
    allocator, core = guest(40, kernel=kernels.load(kernel), name=name)
    before = [block << 10 for block in range(40)]
    run_pass(core)
    after = list(reported(allocator, 10))
    if tail:
        assert after != before
        assert after[-8:] == [(39 - i) << 10 for i in range(8)]
    else:
        assert after[0] == 32 << 10
    assert sorted(after) == before
    assert all(reported(allocator, 10).values())


def test_illegal_parameters():
    with pytest.raises(StrategyError, match="order must be a whole number between 9 and 9"):
        strategies.PageReporting57(order=8)
    with pytest.raises(StrategyError, match="return_position must be one of 'tail', 'head'"):
        strategies.find("page-reporting", {"return_position": "middle"})


def test_a_guest_that_poisons_free_pages_reports_in_vain():
    """The VMM ignores each report, and completes it: the guest's side is the same, to the same marks."""
    found = {}
    for poison in (False, True):
        sim = h.Simulation(h.Host("4GiB"), seed=1)
        vm = sim.launch(h.Guest("1GiB", strategy=strategies.PageReporting(page_poison=poison)),
                        workload=h.workloads.memhog("500MiB"))
        sim.run()
        counts = vm.counts()
        found[poison] = counts["reports"], counts["reported_pages"], vm.guest.strategy_core.statistics()
        assert (counts["returned_frames"] == 0) == poison
        sim.check()
    assert found[False][0] > 10
    assert found[True][1] == pytest.approx(found[False][1], rel=0.05)

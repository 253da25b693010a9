"""Rows that a recording may have but few do, one by one: made up, on a small zone."""

import numpy as np
import pytest

from hinting import gfp, kernels, strategies
from hinting._core.engine.replay import Events, effect_order
from hinting._core.engine.replay_reporting import ReportingReplay
from hinting._core.engine.replay_request import RequestReplay
from hinting._core.engine.replay_state import StateReplay
from hinting._core.mm.allocator import Allocator
from hinting._core.mm.check import check
from hinting.recordings import Recording, allocator_of
from hinting.recordings.explain import explain
from tests.conftest import DATA

TYPES = (
    "", "ALLOC", "FREE", "RMQ", "ALLOC_FAIL", "ISOLATE", "PUTBACK", "LEAVE", "INSERT", "SETPB", "STEAL", "EXTFRAG", "DRAIN",
    "DRAINED", "COMPACT_BEGIN", "COMPACT_END", "REFILL", "REPORT", "REPORT_WORK",
)  # fmt: skip
COLUMNS = {
    "type": np.uint8, "cpu": np.uint8, "zone": np.int8, "pfn": np.int64, "order": np.int8, "mt": np.int8, "aux": np.int16,
    "gfp": np.uint32, "aflags": np.int32, "a": np.int64, "b": np.int64, "c": np.int64, "d": np.int64, "e": np.int64,
    "f": np.int64,
}  # fmt: skip
DEFAULTS = {"zone": 1, "order": 0, "mt": 1, "aflags": 0x801, "a": 0x13, "e": -1, "f": -1}
KERNEL = kernels.load("linux-6.1")
USER = gfp.value(gfp.HIGHUSER_MOVABLE, KERNEL)
ATOMIC = gfp.value(gfp.ATOMIC, KERNEL)
CONTENT = ((1024, 10), (2048, 10), (3072, 10))


def guest(kernel=KERNEL, *, batch=4, high=64, low=0, content=CONTENT, ncpus=1):
    zone = {
        "index": 1, "start": 0, "end": 4096, "managed": 4096, "watermark": (0, low, low), "lowmem_reserve": [0] * 5,
        "batch": batch, "high": high, "high_min": high, "high_max": high, "threshold": 0,
    }  # fmt: skip
    allocator = Allocator(kernel, [zone], ncpus)
    for pfn, order in content:
        allocator.add_free(pfn, order, True)
    used = np.ones(4096, np.uint8)
    used[0] = 0
    allocator.load_used(used)
    return allocator


def events(*rows, order=None):
    """Rows as (type name, {column: value}), the other columns as in DEFAULTS or 0."""
    full = [{"type": TYPES.index(name), **DEFAULTS, "gfp": USER, **values} for name, values in rows]
    return Events({name: np.array([row.get(name, 0) for row in full], kind) for name, kind in COLUMNS.items()}, TYPES, order)


def replayed(allocator, *rows, level=RequestReplay, **options):
    run = level(allocator, events(*rows), **options)
    run.advance()
    check(allocator)
    return run.result()


def test_a_request_that_could_not_get_the_lists_lock_passes_by_them():
    allocator = guest()
    assert allocator.alloc(0, USER) == 1024
    before = allocator.pcp_lists(), allocator.pcp_state(1, 0)
    result = replayed(allocator, ("RMQ", {"pfn": 1028, "aux": 0}), ("ALLOC", {"pfn": 1028, "aux": 1}))
    assert result["identical"] == result["allocations"] == 1
    assert (allocator.pcp_lists(), allocator.pcp_state(1, 0)) == before


def test_a_free_that_could_not_get_the_lists_lock_is_direct():
    allocator = guest()
    result = replayed(allocator, ("FREE", {"pfn": 64, "aux": 2}))
    assert result["refused"] == 0
    assert allocator.free_lists()[1, 0, 1] == [64]


def test_a_failed_request_fails_here_too():
    fail = {"order": 10, "mt": 0, "gfp": ATOMIC, "pfn": -1}
    rows = [("ALLOC_FAIL", {**fail, "aux": 0}), ("ALLOC_FAIL", {**fail, "aux": 1, "zone": -1})]
    assert replayed(guest(content=((1024, 9),)), *rows)["refused"] == 0
    assert replayed(guest(), *rows)["refused"] == 1


def test_a_refused_charge_is_no_failed_request():
    rows = [("ALLOC_FAIL", {"order": 10, "aux": 1, "zone": -1, "pfn": -1})]
    allocator = guest()
    before = allocator.free_lists()
    assert replayed(allocator, *rows)["refused"] == 0
    assert allocator.free_lists() == before


@pytest.mark.parametrize("level", [RequestReplay, StateReplay])
def test_blocks_that_leave_and_enter_the_lists_in_other_ways(level):
    allocator = guest()
    rows = [("LEAVE", {"pfn": 2048, "order": -1, "mt": -1}), ("ISOLATE", {"pfn": 3072, "order": 10, "aux": 1, "a": 3})]
    assert replayed(allocator, *rows, level=level)["refused"] == 0
    assert allocator.free_lists() == {(1, 10, 1): [1024]}
    rows = [("INSERT", {"pfn": 2048, "order": 9}), ("PUTBACK", {"pfn": 3072, "order": 10})]
    assert replayed(allocator, *rows, level=level)["refused"] == 0
    assert allocator.free_lists() == {(1, 9, 1): [2048], (1, 10, 1): [1024, 3072]}
    assert not allocator.reported_array(np.array([1024, 3072], np.uint32), 10).any()


@pytest.mark.parametrize("level", [RequestReplay, StateReplay])
@pytest.mark.parametrize("name", ["LEAVE", "INSERT", "ISOLATE", "PUTBACK", "FREE"])
def test_what_cannot_be_is_refused_and_nothing_breaks(level, name):
    for pfn, order in ((1025, 0), (1536, 9), (64, 6) if name == "LEAVE" else (1024, 9)):
        allocator = guest()
        row = (name, {"pfn": pfn, "order": order, "aux": 1 if name == "ISOLATE" else 0, "a": 1})
        result = replayed(allocator, row, level=level)
        assert result["refused"] == 1
        assert allocator.free_lists() == guest().free_lists()


def test_a_captured_block_is_the_one_that_the_frees_have_formed():
    allocator = guest()
    rows = [("FREE", {"pfn": pfn, "aux": 2}) for pfn in range(64, 80)]
    rows.append(("ALLOC", {"pfn": 64, "order": 4, "aux": 3}))
    result = replayed(allocator, *rows, pressure=True)
    assert result["identical"] == 1
    assert result["effects"]["blocks"] == 1
    assert allocator.free_lists() == guest().free_lists()
    allocator = guest()
    assert replayed(allocator, *rows, level=StateReplay)["refused"] == 0
    assert allocator.free_lists() == guest().free_lists()


def test_a_zone_is_as_the_request_saw_it():
    allocator = guest()
    replayed(allocator, ("ALLOC", {"pfn": 1024, "f": 700 + (2 << 16)}), pressure=True)
    assert allocator.zone_state(1)["boost"] == 700
    assert allocator.zone_state(1)["flags"] == 2


def test_only_what_lay_on_a_list_when_compaction_acted_is_reordered():
    take = ("RMQ", {"pfn": 2048, "order": 10, "aux": 0}), ("ALLOC", {"pfn": 2048, "order": 10, "aux": 1})
    assert replayed(guest(), *take, pressure=True)["identical"] == 0
    allocator = guest()
    result = replayed(allocator, ("COMPACT_BEGIN", {}), ("COMPACT_END", {}), *take, pressure=True)
    assert result["identical"] == result["effects"]["rotations"] == 1
    assert allocator.free_lists() == {(1, 10, 1): [3072, 1024]}


@pytest.mark.parametrize("name", ["linux-6.1", "linux-6.12"])
def test_a_recorded_claim_overrules_the_rule(name):
    """Of the only free pageblock nothing movable is known, so by the rule a kernel request claims it."""
    for claimed in (1, 0):
        allocator = guest(kernels.load(name), content=((512, 5), (576, 5)))
        rows = [
            ("STEAL", {"pfn": 512, "order": -1}), ("EXTFRAG", {"mt": 0, "a": 5, "b": 1, "aux": claimed}),
            ("ALLOC", {"pfn": 512, "mt": 0, "gfp": gfp.value(gfp.KERNEL, allocator.kernel), "a": 0x12}),
        ]  # fmt: skip
        result = replayed(allocator, *rows, pressure=True)
        assert result["effects"]["claims"] == 1 - claimed
        assert allocator.block_types()[1] == (0 if claimed else 1)


def test_two_cpus_a_free_its_overflow_and_its_drain_take_effect_together():
    rows = [
        ("FREE", {"pfn": 64, "cpu": 0}), ("DRAIN", {"aux": 0, "cpu": 0, "order": 0, "a": 4}), ("FREE", {"pfn": 80, "cpu": 1}),
        ("DRAINED", {"pfn": 64, "cpu": 0}),
    ]  # fmt: skip
    assert effect_order(events(*rows), 2).tolist() == [2, 0, 1, 3]


def in_order_of_effect(allocator, *rows):
    events_ = events(*rows)
    run = RequestReplay(allocator, events(*rows, order=effect_order(events_, 1)))
    run.advance()
    check(allocator)
    return run.result()


def test_an_interrupt_between_a_refill_and_its_request():
    """The list is locked, so the page freed meanwhile goes to the free lists: too late for the refill."""
    refill = [("REFILL", {"pfn": -1, "a": 4}), *(("RMQ", {"pfn": pfn, "aux": 1}) for pfn in range(1024, 1028))]
    rows = [
        *refill, ("FREE", {"pfn": 64, "aux": 2}), ("RMQ", {"pfn": 64, "aux": 0}), ("ALLOC", {"pfn": 64, "aux": 1}),
        ("ALLOC", {"pfn": 1024, "aux": 0}),
    ]  # fmt: skip
    allocator = guest()
    result = in_order_of_effect(allocator, *rows)
    assert result["identical"] == result["allocations"] == 2
    assert allocator.pcp_lists() == {(1, 0, 1): [1025, 1026, 1027]}


@pytest.mark.parametrize("nested", [True, False])
def test_an_interrupt_between_a_free_and_its_overflow(nested):
    """What it takes is not one of the pages that overflow, and they overflow once."""
    frees = [("FREE", {"pfn": pfn, "aux": 0}) for pfn in range(64, 72)]
    interrupt = [("RMQ", {"pfn": 1024, "aux": 0}), ("ALLOC", {"pfn": 1024, "aux": 1})] if nested else []
    drain = [("DRAIN", {"aux": 0, "a": 4, "b": 1, "order": 0}), *(("DRAINED", {"pfn": pfn}) for pfn in range(64, 68))]
    allocator = guest(batch=4, high=8)
    result = in_order_of_effect(allocator, *frees, *interrupt, *drain)
    assert result["identical"] == result["allocations"] == len(interrupt) // 2
    assert allocator.pcp_lists() == {(1, 0, 1): [71, 70, 69, 68]}
    assert allocator.free_lists()[1, 2, 1][0] == 64


@pytest.mark.parametrize("ncpus", [1, 2])
def test_a_list_that_reporting_has_left_when_another_cpu_frees_into_it(ncpus):
    """The kernel saw no unmovable block when it passed that list; with one CPU nobody can have come between."""
    allocator = guest(content=((2048, 10), (3072, 9)), ncpus=ncpus)
    allocator.set_block_type(1024, 0)
    core = strategies.find("page-reporting-6.1", {"order": 9, "low_watermark_rule": False}).core()
    core.attach(allocator)
    rows = [
        ("REPORT_WORK", {"pfn": -1}), ("FREE", {"pfn": 1024, "order": 9, "aux": 2, "cpu": ncpus - 1}),
        *(("ISOLATE", {"pfn": pfn, "order": order, "aux": 1, "a": 1}) for pfn, order in ((3072, 9), (2048, 10))),
        ("FREE", {"pfn": 1536, "order": 9, "aux": 2, "cpu": ncpus - 1}),
        ("REPORT", {"pfn": 2048, "a": 2, "b": 4096 << 10}),
        *(("PUTBACK", {"pfn": pfn, "order": order}) for pfn, order in ((2048, 10), (3072, 9))),
    ]  # fmt: skip
    run = ReportingReplay(allocator, core, events(*rows), step_by_step=True)
    run.advance()
    check(allocator)
    answers = run.answers()
    assert (answers["same"] == answers["seen"]) == (ncpus == 2)
    assert ncpus == 1 or run.result()["assisted"] == 1


def test_a_row_that_is_not_possible_is_explained():
    recording = Recording.open(DATA / "hackbench-768m-1cpu")
    row = next(i for i, kind in enumerate(recording.events["type"]) if recording.types[kind] == "FREE")
    why, details = explain(recording, allocator_of(recording), row, -1)
    assert f"FREE of pfn {recording.events['pfn'][row]}" in why
    assert f"row {row}: " in details
    assert "free list order 10" in details

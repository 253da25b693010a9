"""Single steps of the core: the highatomic reserve comes back, marks, rotation, and requests that must be refused."""

import numpy as np
import pytest

from allocator.harness import KERNELS, atomic, block_types, lists, make_core, one_zone, user_page
from hinting._core.mm import steps
from hinting.errors import HintingError

HIGHATOMIC = 3


@pytest.fixture(params=KERNELS)
def core(request):
    """Three pageblocks, of which the second is reserved, with order-3 blocks of the reserve free."""
    kernel = request.param
    allocator = make_core(kernel, one_zone(kernel, 1536, nr_reserved_highatomic=1024))
    allocator.set_block_type(512, HIGHATOMIC)
    for pfn in (0, 544, 528, 512):
        allocator.insert_free(pfn, 3, HIGHATOMIC if pfn else 1)
    return allocator


def test_a_reserved_pageblock_comes_back(core):
    assert lists(core) == {"3/H": [544, 528, 512], "3/M": [0]}
    assert steps.unreserve_highatomic(core, 1, 1)
    assert lists(core) == {"3/M": [0, 512, 528, 544]}
    assert block_types(core) == "MMM"
    state = core.zone_state(1)
    assert (state["nr_reserved_highatomic"], state["free"]) == (512, 32)
    assert core.kernel.name != "linux-6.12" or state["nr_free_highatomic"] == 0
    core.check()


def test_the_last_reserved_pageblock_comes_back_by_force_only(core):
    assert steps.unreserve_highatomic(core, 1, 0)
    core.set_block_type(0, HIGHATOMIC)
    assert not steps.unreserve_highatomic(core, 1, 0)
    assert block_types(core) == "HUM"


def test_5_10_a_block_of_two_reserved_pageblocks_comes_back_whole():
    """6.12: a free block of order 10 takes 1024 pages off the reserve, not the 512 of one pageblock."""
    kernel = "linux-6.12"
    allocator = make_core(kernel, one_zone(kernel, 65536, watermark=(0, 600, 700)))
    allocator.add_free(0, 10)
    allocator.free(allocator.alloc(10, atomic(kernel)), 10)
    assert lists(allocator) == {"10/H": [0]}
    assert allocator.zone_state(1)["nr_reserved_highatomic"] == 1024
    assert steps.unreserve_highatomic(allocator, 1, 0)
    assert lists(allocator) == {"10/U": [0]}
    state = allocator.zone_state(1)
    assert (state["nr_reserved_highatomic"], state["nr_free_highatomic"]) == (0, 0)
    allocator.check()


@pytest.mark.parametrize("order", [9, 10])
def test_5_10_the_reserve_never_falls_below_nothing(order):
    """What comes back is at most what the zone counts as reserved."""
    for kernel in KERNELS:
        allocator = make_core(kernel, one_zone(kernel, 1024, nr_reserved_highatomic=100))
        for pfn in range(0, 1 << order, 512):
            allocator.set_block_type(pfn, HIGHATOMIC)
        allocator.insert_free(0, order, HIGHATOMIC)
        assert steps.unreserve_highatomic(allocator, 1, 1, True)
        assert allocator.zone_state(1)["nr_reserved_highatomic"] == 0
        allocator.check()


def test_marks_and_rotation(core):
    steps.mark_reported(core, 528, 3)
    steps.mark_reported(core, 512, 2)  # it is no block of order 2
    steps.rotate_to_front(core, 528, 3)
    assert lists(core)["3/H"] == [528, 512, 544]
    assert core.reported_array(np.array([528, 512, 544], np.uint32), 3).tolist() == [True, False, False]
    core.check()


def test_a_remote_drain_counts_for_the_cpu_that_does_it():
    kernel = "linux-6.1"
    allocator = make_core(kernel, one_zone(kernel, 1024, batch=4, high=24, threshold=125), 2)
    allocator.add_free(0, 9)
    pfn = allocator.alloc(0, user_page(kernel), 0)
    allocator.fold(0)
    held = allocator.pcp_state(1, 0)["count"]
    steps.drain_remote(allocator, 0, 1)
    assert [allocator.pcp_state(1, cpu)["diff"] for cpu in (0, 1)] == [0, held]
    allocator.free(pfn, 0)
    allocator.check()


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        (steps.mark_reported, (512, 11), "order must be between 0 and 10, got 11"),
        (steps.mark_reported, (1536, 0), "pfn"),
        (steps.rotate_to_front, (513, 3), "aligned"),
        (steps.rotate_to_front, (512, 2), "pfn 512 is not the first page of a free block of order 2"),
        (steps.rotate_to_front, (512, -1), "order must be between"),
        (steps.unreserve_highatomic, (2, 0), "there is no zone 2"),
        (steps.unreserve_highatomic, (4, 0), "zone must be between 0 and 3, got 4"),
        (steps.unreserve_highatomic, (1, 3), "migratetype must be between 0 and 2, got 3"),
        (steps.unreserve_highatomic, (1, 0, True, 1), "cpu must be between 0 and 0, got 1"),
        (steps.drain_remote, (0, 1), "by must be between 0 and 0, got 1"),
    ],
)
def test_what_is_refused(core, step, arguments, message):
    before = lists(core)
    with pytest.raises(HintingError, match=message):
        step(core, *arguments)
    assert lists(core) == before
    core.check()

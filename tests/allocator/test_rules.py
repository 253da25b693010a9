"""Single rules that the worked examples do not show, and requests that must be refused."""

import pytest

from allocator.harness import KERNELS, atomic, block_types, kernel_page, lists, one_zone, pcp_lists, user_page

LATE = ("linux-6.1", "linux-6.12")
ISOLATE = 4


@pytest.fixture(params=KERNELS)
def kernel(request):
    return request.param


@pytest.fixture
def allocator(make, kernel):
    """2048 pages in two free blocks."""
    a = make(kernel, one_zone(kernel, 2048))
    a.add_free(0, 10, tail=True)
    a.add_free(1024, 10, tail=True)
    return a


def take_all(allocator, kernel: str, n: int) -> None:
    """Allocate n blocks of 256 pages, all there are, as single pages."""
    for pfn in range(0, 256 * n, 256):
        assert allocator.alloc(8, user_page(kernel)) == pfn
        allocator.split(pfn, 8)
    assert lists(allocator) == {}


def test_insert_free_keeps_the_order_given(make, kernel):
    a = make(kernel, one_zone(kernel, 1024))
    for pfn in (48, 16, 80):
        a.insert_free(pfn, 4, 1)
    assert lists(a) == {"4/M": [48, 16, 80]}
    assert a.zone_state(1)["free"] == 48
    assert a.zone_state(1)["counter"] == 48
    assert [a.alloc(4, user_page(kernel)) for _ in range(4)] == [48, 16, 80, -1]
    a.check()


@pytest.mark.parametrize("kernel", LATE)
@pytest.mark.parametrize("order", [9, 10])
def test_highatomic_reserve_of_a_large_block(make, kernel, order):
    """6.1 reserves the first pageblock of the allocation, 6.12 all of them."""
    a = make(kernel, one_zone(kernel, 65536, watermark=(0, 600, 700)))
    a.add_free(0, 10)
    assert a.alloc(order, atomic(kernel)) == 0
    both = kernel == "linux-6.12" and order == 10
    assert block_types(a)[:3] == ("HHM" if both else "HUM")
    assert a.zone_state(1)["nr_reserved_highatomic"] == (1024 if both else 512)
    a.check()


@pytest.mark.parametrize("kernel", ["linux-5.0", "linux-6.1"])
def test_a_list_free_reads_block_types_first(make, kernel):
    """Pages of ISOLATE blocks go straight to the buddy lists, before the others are put."""
    a = make(kernel, one_zone(kernel, 1024, batch=4, high=24))
    a.add_free(0, 10)
    take_all(a, kernel, 4)
    a.set_block_type(512, ISOLATE)
    a.free_list([3, 513, 5, 512])
    assert pcp_lists(a) == {"l1": [5, 3]}
    assert lists(a) == {"1/I": [512]}
    assert a.zone_state(1)["free"] == 0
    a.check()


def test_when_a_list_free_frees_pages_of_isolated_blocks(make, kernel):
    """5.0 and 6.1 free them before the first put, 6.12 when their turn comes."""
    a = make(kernel, one_zone(kernel, 1024, batch=1, high=2))
    a.add_free(0, 10)
    take_all(a, kernel, 4)
    a.free(520, 0)
    a.set_block_type(512, ISOLATE)
    a.free_list([3, 513])  # putting 3 drains 520
    assert pcp_lists(a) == {"l1": [3]}
    assert lists(a) == {"0/I": [513, 520] if kernel == "linux-6.12" else [520, 513]}
    a.check()


def test_a_drain_looks_at_block_types_while_a_block_is_isolated(make, kernel):
    a = make(kernel, one_zone(kernel, 1024, batch=4, high=24))
    a.add_free(0, 9)
    take_all(a, kernel, 2)
    for pfn in range(3):
        a.free(pfn, 0)
    assert pcp_lists(a) == {"l1": [2, 1, 0]}
    a.set_block_type(0, ISOLATE)
    a.drain(0)
    assert lists(a) == {"0/I": [2], "1/I": [0]}
    assert a.zone_state(1)["free"] == 0
    a.check()


def test_isolating_half_a_pageblock_moves_the_rest(make):
    """6.12 keeps list type and block type the same."""
    kernel = "linux-6.12"
    a = make(kernel, one_zone(kernel, 1024))
    a.set_block_type(512, 0)
    a.add_free(512, 9)
    assert a.alloc(7, kernel_page(kernel)) == 512
    assert lists(a) == {"7/U": [640], "8/U": [768]}
    assert a.isolate(768, 8)
    assert lists(a) == {"7/M": [640]}
    assert block_types(a) == "MM"
    a.check()


def test_isolating_half_a_pageblock_at_the_edge_of_a_zone(make):
    """6.12 refuses to move blocks of a pageblock that leaves the zone, so its type stays as well."""
    kernel = "linux-6.12"
    a = make(kernel, one_zone(kernel, 1000))
    a.set_block_type(512, 0)
    a.add_free(512, 8)
    a.add_free(768, 7)
    assert a.isolate(512, 8)
    assert lists(a) == {"7/U": [768]}
    assert block_types(a) == "MU"
    a.check()


def test_an_isolated_block_is_not_free(allocator, kernel):
    assert allocator.isolate(0, 10)
    with pytest.raises(ValueError, match="0"):
        allocator.isolate(0, 10)
    assert allocator.alloc(10, user_page(kernel)) == 1024
    assert allocator.alloc(0, user_page(kernel)) == -1
    allocator.putback(0, 10)
    assert lists(allocator) == {"10/M": [0]}
    with pytest.raises(ValueError, match="0"):
        allocator.putback(0, 10)
    allocator.check()


def test_the_min_watermark_keeps_a_block_from_being_isolated(make, kernel):
    a = make(kernel, one_zone(kernel, 1024, watermark=(512, 600, 700)))
    a.add_free(0, 10)
    assert a.isolate(0, 10) is False
    assert lists(a) == {"10/M": [0]}
    a.check()


def test_split_pages_are_freed_one_by_one(allocator, kernel):
    pfn = allocator.alloc(4, user_page(kernel))
    allocator.split(pfn, 4)
    with pytest.raises(ValueError, match=str(pfn)):
        allocator.free(pfn, 4)
    allocator.free_list(range(pfn, pfn + 16))
    assert sorted(lists(allocator)["10/M"]) == [0, 1024]
    allocator.check()


@pytest.mark.parametrize(
    ("pfn", "order"),
    [(16, 4), (8, 4), (1, 4), (5, 0), (0, 3), (0, 5), (0, 0), (2048, 0), (-1, 0), (0, 11), (0, -1)],
)
def test_free_refuses_what_is_not_an_allocated_block(allocator, kernel, pfn, order):
    assert allocator.alloc(4, user_page(kernel)) == 0
    before = lists(allocator)
    with pytest.raises(ValueError, match=r"\d"):
        allocator.free(pfn, order)
    assert lists(allocator) == before
    allocator.free(0, 4)
    with pytest.raises(ValueError, match=r"\d"):
        allocator.free(0, 4)
    allocator.check()


def test_a_list_free_refuses_as_a_whole(allocator, kernel):
    pages = [allocator.alloc(0, user_page(kernel)) for _ in range(3)]
    for bad in ([*pages, 100], [*pages, pages[0]]):
        with pytest.raises(ValueError, match=r"\w"):
            allocator.free_list(bad)
    allocator.free_list(pages)
    allocator.check()


def test_add_free_refuses_pages_that_are_known(allocator):
    for pfn, order in ((0, 10), (5, 0), (1024, 9), (2048, 0), (1, 1)):
        with pytest.raises(ValueError, match=r"\d"):
            allocator.add_free(pfn, order)
    allocator.check()


def test_what_a_kernel_does_not_have(allocator, kernel):
    if kernel == "linux-5.0":
        with pytest.raises(ValueError, match="bulk"):
            allocator.bulk(user_page(kernel), 4)
    if kernel != "linux-6.12":
        with pytest.raises(ValueError, match="decay"):
            allocator.decay(0)
    for bad in (-1, 11):
        with pytest.raises(ValueError, match="order"):
            allocator.alloc(bad, user_page(kernel))
    with pytest.raises(ValueError, match="cpu"):
        allocator.alloc(0, user_page(kernel), 1)


def test_drains_grow_to_32_batches_and_no_further(make):
    """6.3, 6.1: free_factor has the limit 5, however high the list may grow."""
    kernel = "linux-6.1"
    a = make(kernel, one_zone(kernel, 2048, batch=2, high=200))
    for pfn in (0, 1024):
        a.add_free(pfn, 10, tail=True)
    drains, count = [], 0
    for pfn in [a.alloc(0, user_page(kernel)) for _ in range(400)]:
        a.free(pfn, 0)
        if a.pcp_state(1, 0)["count"] <= count:
            drains.append(count + 1 - a.pcp_state(1, 0)["count"])
        count = a.pcp_state(1, 0)["count"]
    assert drains == [2, 4, 8, 16, 32, 64, 64, 64]
    a.check()

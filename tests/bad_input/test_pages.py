"""Pages that a guest refuses to take back or to give out: PageError, and the guest is exactly as before."""

import numpy as np
import pytest

import hinting as h
from hinting.errors import KernelError, PageError
from tests.bad_input.harness import state_of

KERNELS = h.kernels.names()


@pytest.fixture(params=KERNELS)
def guest(request):
    return h.Guest("640MiB", vcpus=2, kernel=request.param, strategy=h.strategies.V8(entries=8))


def refused(guest, call, words):
    before = state_of(guest)
    with pytest.raises(PageError, match=words):
        call()
    assert state_of(guest) == before
    guest.check()


def test_double_free(guest):
    for order in (0, 1, 3, 4, 9, 10):
        pfn = guest.alloc(order)
        guest.free(pfn, order)
        refused(guest, lambda pfn=pfn, order=order: guest.free(pfn, order), "it is free|order")


@pytest.mark.parametrize("order", [0, 1, 2, 4, 10])
def test_another_order_than_allocated(guest, order):
    pfn = guest.alloc(3)
    refused(guest, lambda: guest.free(pfn, order), "order 3|aligned")
    guest.free(pfn, 3)
    guest.check()


def test_the_middle_of_a_block(guest):
    pfn = guest.alloc(3)
    refused(guest, lambda: guest.free(pfn + 4, 2), f"begins at {pfn}")
    refused(guest, lambda: guest.free(pfn + 1, 0), f"begins at {pfn}")


@pytest.mark.parametrize("order", [-1, 11, 2**40])
def test_orders_that_do_not_exist(guest, order):
    pfn = guest.alloc(0)
    refused(guest, lambda: guest.free(pfn, order), "order must be between 0 and 10")
    refused(guest, lambda: guest.alloc(order), "order must be between 0 and 10")
    refused(guest, lambda: guest.split(pfn, order), "order must be between 0 and 10")


def test_foreign_pages(guest):
    end = guest.allocator.npfn
    last = guest.allocator.zone_state(guest.allocator.zones()[-1])["end"]
    assert last == end
    for pfn in (-1, end, end + 1, 2**32, 2**40):
        refused(guest, lambda pfn=pfn: guest.free(pfn), "pfn must be between")
    refused(guest, lambda: guest.free(0), "not inside a zone")
    refused(guest, lambda: guest.free(end - 1), "not memory|free|allocated")
    refused(guest, lambda: guest.free(20480), "free|not memory")
    for pfn in (None, "x", 1.5, b"1"):
        refused(guest, lambda pfn=pfn: guest.free(pfn), "pfn must be an integer")


@pytest.mark.parametrize("order", [1, 4, 10])
def test_unaligned_pages(guest, order):
    refused(guest, lambda: guest.free((1 << order) + (1 << order) // 2, order), f"not aligned to order {order}")


def test_lists_of_pages(guest):
    pages = [guest.alloc(0, h.gfp.HIGHUSER_MOVABLE) for _ in range(5)]
    block = guest.alloc(2)
    refused(guest, lambda: guest.free_list([*pages, pages[2]]), "twice")
    refused(guest, lambda: guest.free_list([*pages, block]), "order 0 cannot be freed")
    refused(guest, lambda: guest.free_list([*pages, 10**9]), "pfn must be between")
    refused(guest, lambda: guest.free_list([*pages, "x"]), "pfn must be an integer")
    guest.free_list(pages[:2])
    refused(guest, lambda: guest.free_list(pages), "cannot be freed")
    guest.free_list([])
    guest.free_list(np.array(pages[2:]))
    guest.check()


@pytest.mark.parametrize("cpu", [-1, 2, 256, "0", None])
def test_cpus_that_do_not_exist(guest, cpu):
    pfn = guest.alloc(0)
    refused(guest, lambda: guest.alloc(0, cpu=cpu), "cpu must be")
    refused(guest, lambda: guest.free(pfn, 0, cpu=cpu), "cpu must be")
    refused(guest, lambda: guest.free_list([pfn], cpu=cpu), "cpu must be")
    if cpu is not None:
        refused(guest, lambda: guest.drain(cpu), "cpu must be")


@pytest.mark.parametrize("gfp", [-1, 1 << 32, "KERNEL", None, 1.0, True])
def test_requests_that_do_not_exist(guest, gfp):
    refused(guest, lambda: guest.alloc(0, gfp), "gfp must be")


def test_split_of_what_is_not_allocated(guest):
    pfn = guest.alloc(4)
    guest.free(pfn, 4)
    refused(guest, lambda: guest.split(pfn, 4), "cannot be freed|it is free")


def test_isolation(guest):
    allocator = guest.allocator
    pfn = allocator.free_list_array(1, 10, 1)[0]
    refused(guest, lambda: allocator.isolate(pfn, 9), "cannot be isolated")
    refused(guest, lambda: allocator.isolate(pfn + 1, 0), "cannot be isolated")
    refused(guest, lambda: allocator.putback(pfn, 10), "cannot be put back")
    refused(guest, lambda: allocator.add_free(pfn, 10), "in the allocator already")
    assert allocator.isolate(pfn, 10)
    refused(guest, lambda: allocator.isolate(pfn, 10), "it is isolated")
    refused(guest, lambda: allocator.putback(pfn, 9), "cannot be put back")
    refused(guest, lambda: guest.free(pfn, 10), "it is isolated")
    allocator.putback(pfn, 10)
    guest.check()


def test_bulk_of_a_kernel_without_it():
    guest = h.Guest("640MiB", kernel="linux-5.0")
    with pytest.raises(KernelError, match="no bulk"):
        guest.alloc_bulk(4)
    with pytest.raises(KernelError, match="no decay"):
        guest.allocator.decay(0)
    newer = h.Guest("640MiB", kernel="linux-6.12")
    refused(newer, lambda: newer.alloc_bulk(-1), "n must be between")
    assert newer.alloc_bulk(0) == []
    assert len(newer.alloc_bulk(4)) == 4


def test_a_guest_without_memory_says_so():
    """Running out is no error: -1, and all is as before but for the counted stalls."""
    guest = h.Guest("640MiB", kernel="linux-5.0")
    held = []
    while (pfn := guest.alloc(10)) >= 0:
        held.append(pfn)
    assert guest.alloc(10) == -1
    guest.check()
    for pfn in held:
        guest.free(pfn, 10)
    guest.check()


def looks_and_loads(allocator):
    """Calls that name a zone, an order, a CPU, a list or a page, one argument after the other out of range."""
    pfns, bytes_ = np.zeros(1, np.uint32), np.zeros(1, np.uint8)
    for zone in (-1, 4, 2**40, "Normal", None):
        yield "zone", lambda zone=zone: allocator.zone_state(zone)
        yield "zone", lambda zone=zone: allocator.free_list_array(zone, 0, 0)
        yield "zone", lambda zone=zone: allocator.pcp_list_array(zone, 0, 0)
        yield "zone", lambda zone=zone: allocator.pcp_state(zone, 0)
        yield "zone", lambda zone=zone: allocator.load_free(zone, 0, 0, pfns, bytes_)
        yield "zone", lambda zone=zone: allocator.load_pcp(zone, 0, 0, pfns, bytes_)
        yield "zone", lambda zone=zone: allocator.load_pcp_state(zone, 0, {"high": 1})
        yield "zone", lambda zone=zone: allocator.load_zone_state(zone, 1)
    for order in (-1, 11, "big"):
        yield "order", lambda order=order: allocator.free_list_array(1, order, 0)
        yield "order", lambda order=order: allocator.reported_array(pfns, order)
        yield "order", lambda order=order: allocator.load_free(1, order, 0, pfns, bytes_)
    for number in (-1, 99, "x"):
        yield "migratetype", lambda number=number: allocator.free_list_array(1, 0, number)
        yield "cpu", lambda number=number: allocator.pcp_list_array(1, number, 0)
        yield "per-CPU list", lambda number=number: allocator.pcp_list_array(1, 0, number)
        yield "pfn", lambda number=number: allocator.page(number if number == "x" else number * 10**9)
    end = np.full(1, allocator.npfn, np.uint32)
    yield "pfn must be between", lambda: allocator.reported_array(end, 0)
    yield "pfn must be between", lambda: allocator.load_free(1, 0, 0, end, bytes_)
    yield "not inside zone 2", lambda: allocator.load_free(2, 0, 0, np.full(1, 4096, np.uint32), bytes_)
    yield "reported must have 1 entries", lambda: allocator.load_free(1, 0, 0, pfns, bytes_[:0])
    yield "migratetypes must have 1 entries", lambda: allocator.load_pcp(1, 0, 0, pfns, bytes_[:0])
    yield "memory must have", lambda: allocator.load_used(bytes_)
    yield "migratetype must be between", lambda: allocator.load_pageblocks(np.full(1, 5, np.uint8))
    yield "no field 'size'", lambda: allocator.load_pcp_state(1, 0, {"size": 1})


def test_looking_at_and_loading_what_is_not_there(guest):
    for words, call in looks_and_loads(guest.allocator):
        refused(guest, call, words)

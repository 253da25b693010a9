"""A batch with one wrong entry is refused as a whole, by an error that names the entry; nothing changes."""

import numpy as np
import pytest

from allocator_batches.harness import KERNELS, state, twins
from hinting import gfp
from hinting.errors import PageError


@pytest.fixture(params=KERNELS)
def guest(request):
    return twins(request.param, strategy="v8")[0]


def refuse(guest, pfns, order, message):
    before = state(guest)
    with pytest.raises(PageError, match=message):
        guest.free_many(pfns, order)
    assert state(guest) == before
    guest.check()


@pytest.mark.parametrize("at", [0, 500, 999])
def test_wrong_entries(guest, at):
    pfns = guest.alloc_many(1000, 1)
    free = guest.alloc(1)
    guest.free(free, 1)
    for wrong, message in (
        (free, "expected an allocated block"),
        (int(pfns[(at + 1) % 1000]), "occurs twice"),
        (int(pfns[at]) + 1, "not aligned"),
        (guest.memory_map.npfn, "must be between"),
        (-1, "must be between"),
        (1 << 40, "must be between"),
    ):
        batch = pfns.astype(np.int64)
        batch[at] = wrong
        refuse(guest, batch, 1, message)
    guest.free_many(pfns, 1)
    guest.check()


def test_wrong_order(guest):
    pfns = guest.alloc_many(10, 3)
    refuse(guest, pfns, 2, "expected an allocated block of this order")
    refuse(guest, pfns, 0, "expected an allocated block of this order")
    refuse(guest, pfns, 11, "order must be between 0 and 10")
    refuse(guest, guest.alloc_many(2, 10), 9, "expected an allocated block of this order")


def test_largest_blocks(guest):
    pfns = guest.alloc_many(4, 10, gfp.HIGHUSER_MOVABLE)
    refuse(guest, [*pfns.tolist(), int(pfns[0])], 10, "occurs twice")
    guest.free_many(pfns, 10)
    guest.check()


@pytest.mark.parametrize("pfns", [[1.5], ["5"], [[1, 2]], [None], 7, [True]])
def test_not_a_sequence_of_pages(guest, pfns):
    refuse(guest, pfns, 0, "pfns must be a sequence of integers|sequence")


def test_nothing(guest):
    before = state(guest)
    guest.free_many([])
    guest.free_many(np.zeros(0, np.uint32), 9)
    assert guest.alloc_many(0).size == 0
    assert state(guest) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1,), "n must be between"),
        (("many",), "n must be an integer"),
        ((1, 11), "order must be between 0 and 10"),
        ((1, 0, gfp.KERNEL, 1), "cpu must be between 0 and 0"),
        ((1, 0, -1), "gfp must be between"),
    ],
)
def test_alloc_refuses(guest, arguments, message):
    with pytest.raises(PageError, match=message):
        guest.alloc_many(*arguments)

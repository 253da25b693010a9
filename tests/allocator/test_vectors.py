"""Worked examples: what each step returns and what every list holds afterwards, in order."""

import pytest

from allocator.harness import (
    KERNELS,
    atomic,
    block_types,
    kernel_page,
    lists,
    one_zone,
    pcp_count,
    pcp_lists,
    user_page,
)
from reference.boot import boot_free

LATE = ("linux-6.1", "linux-6.12")


@pytest.fixture(params=KERNELS)
def kernel(request):
    return request.param


def up_to(first: int, last: int, mt: str) -> dict:
    """One block at 2^order on the list of each order."""
    return {f"{order}/{mt}": [1 << order] for order in range(first, last + 1)}


def load(allocator, start: list) -> None:
    """Put free blocks (pfn, order) onto the lists of their pageblocks' types."""
    for pfn, order in start:
        allocator.add_free(pfn, order, tail=True)


def fill(allocator, order: int, gfp: int, n: int) -> list:
    """Allocate until nothing is left and expect n blocks."""
    taken = [allocator.alloc(order, gfp) for _ in range(n)]
    assert sorted(taken) == [i << order for i in range(n)]
    assert allocator.free_lists() == {}
    return taken


def free_all(allocator, pfns: list, order: int) -> None:
    for pfn in pfns:
        allocator.free(pfn, order)
    allocator.check()


def test_a_split_and_merge(make, kernel):
    a = make(kernel, one_zone(kernel, 2048))
    load(a, [(0, 10), (1024, 10)])
    assert lists(a) == {"10/M": [0, 1024]}

    assert a.alloc(4, user_page(kernel)) == 0
    assert lists(a) == up_to(4, 9, "M") | {"10/M": [1024]}
    assert a.alloc(4, user_page(kernel)) == 16
    assert lists(a) == up_to(5, 9, "M") | {"10/M": [1024]}
    a.free(0, 4)
    assert lists(a) == {"4/M": [0]} | up_to(5, 9, "M") | {"10/M": [1024]}
    a.free(16, 4)
    assert lists(a) == {"10/M": [0, 1024]}
    a.check()


def test_b_head_or_tail(make, kernel):
    a = make(kernel, one_zone(kernel, 128))
    load(a, [(0, 7)])
    assert [a.alloc(4, user_page(kernel)) for _ in range(8)] == list(range(0, 128, 16))

    a.free(32, 4)
    assert lists(a) == {"4/M": [32]}
    a.free(96, 4)
    assert lists(a) == {"4/M": [96, 32]}
    a.free(112, 4)
    assert lists(a) == {"4/M": [32], "5/M": [96]}
    a.free(64, 4)
    assert lists(a) == {"4/M": [32, 64], "5/M": [96]}
    a.check()


def test_c_pcp_refill_and_drain(make, kernel):
    a = make(kernel, one_zone(kernel, 2048, batch=4, high=16))
    load(a, [(0, 10)])
    user, kern = user_page(kernel), kernel_page(kernel)

    assert [a.alloc(0, user) for _ in range(10)] == list(range(10))
    assert pcp_lists(a) == {"l1": [10, 11]}
    assert pcp_count(a) == 2
    after = {"2/M": [12]} | up_to(4, 9, "M")
    assert lists(a) == after

    free_all(a, range(6), 0)
    assert pcp_lists(a) == {"l1": [5, 4, 3, 2, 1, 0, 10, 11]}
    assert pcp_count(a) == 8
    assert lists(a) == after

    assert a.alloc(0, user) == 5
    free_all(a, [5, 6, 7, 8, 9], 0)
    assert pcp_lists(a) == {"l1": [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 10, 11]}
    assert pcp_count(a) == 12
    assert lists(a) == after

    assert a.alloc(0, kern) == 512
    assert pcp_lists(a) == {"l0": [513, 514, 515], "l1": [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 10, 11]}
    assert pcp_count(a) == 15
    claimed = {f"{order}/U": [512 + (1 << order)] for order in range(2, 9)}
    after = {"2/M": [12]} | up_to(4, 8, "M") | claimed
    assert lists(a) == after
    assert block_types(a) == "MUMM"

    taken = [a.alloc(0, user) for _ in range(12)]
    assert taken == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 10, 11]
    assert pcp_lists(a) == {"l0": [513, 514, 515]}
    assert pcp_count(a) == 3
    assert lists(a) == after

    free_all(a, taken, 0)
    assert pcp_lists(a) == {"l0": [513, 514, 515], "l1": [11, 10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}
    assert pcp_count(a) == 15
    assert lists(a) == after

    a.drain()
    assert pcp_lists(a) == {}
    assert pcp_count(a) == 0
    assert lists(a) == {"0/U": [513], "1/U": [514], "9/M": [0]} | claimed
    a.check()


@pytest.mark.parametrize("kernel", LATE)
def test_d_high_orders_on_pcp(make, kernel):
    a = make(kernel, one_zone(kernel, 2048, batch=8, high=64))
    load(a, [(0, 10), (1024, 10)])
    user = user_page(kernel)

    assert a.alloc(1, user) == 0
    assert pcp_lists(a) == {"l4": [2, 4, 6]}
    assert pcp_count(a) == 6
    assert lists(a) == up_to(3, 9, "M") | {"10/M": [1024]}

    assert a.alloc(3, user) == 8
    assert pcp_lists(a) == {"l4": [2, 4, 6], "l10": [16]}
    assert pcp_count(a) == 14
    assert lists(a) == {"3/M": [24]} | up_to(5, 9, "M") | {"10/M": [1024]}

    assert a.alloc(9, user) == 512
    assert pcp_lists(a) == {"l4": [2, 4, 6], "l10": [16], "l13": [1024]}
    assert pcp_count(a) == 526
    assert lists(a) == {"3/M": [24]} | up_to(5, 8, "M") | {"9/M": [1536]}
    a.check()


def test_e_unmovable_only_whole_blocks_free(make, kernel):
    a = make(kernel, one_zone(kernel, 2048))
    load(a, [(0, 10), (1024, 10)])
    assert a.alloc(4, kernel_page(kernel)) == 0
    assert lists(a) == up_to(4, 9, "U") | {"10/M": [1024]}
    assert block_types(a) == "UUMM"
    a.check()


def test_f_unmovable_movable_block_half_free(make, kernel):
    a = make(kernel, one_zone(kernel, 1024))
    load(a, [(0, 9)])
    fill(a, 4, user_page(kernel), 32)
    free_all(a, range(0, 512, 32), 4)
    assert lists(a) == {"4/M": list(range(480, -1, -32))}

    assert a.alloc(4, kernel_page(kernel)) == 0
    assert lists(a) == {"4/U": list(range(32, 512, 32))}
    assert block_types(a) == "UM"
    a.check()


def test_g_unmovable_little_free(make, kernel):
    a = make(kernel, one_zone(kernel, 1024))
    load(a, [(0, 10)])
    fill(a, 4, user_page(kernel), 64)
    free_all(a, [48, 160, 320, 640, 656], 4)
    assert lists(a) == {"4/M": [320, 160, 48], "5/M": [640]}

    pfn = a.alloc(4, kernel_page(kernel))
    if kernel == "linux-6.12":
        assert pfn == 320
        assert lists(a) == {"4/M": [160, 48], "5/M": [640]}
    else:
        assert pfn == 640
        assert lists(a) == {"4/U": [656], "4/M": [320, 160, 48]}
    assert block_types(a) == "MM"
    a.check()


def test_h_movable_unmovable_blocks_with_a_large_hole(make, kernel):
    a = make(kernel, one_zone(kernel, 1024))
    a.set_block_type(0, 0)
    a.set_block_type(512, 0)
    load(a, [(0, 10)])
    fill(a, 4, kernel_page(kernel), 64)
    free_all(a, [48, 160, 176, 320], 4)
    assert lists(a) == {"4/U": [320, 48], "5/U": [160]}

    pfn = a.alloc(4, user_page(kernel))
    if kernel == "linux-6.12":
        assert pfn == 320
        assert lists(a) == {"4/U": [48], "5/U": [160]}
    else:
        assert pfn == 48
        assert lists(a) == {"4/M": [320], "5/M": [160]}
    assert block_types(a) == "UU"
    a.check()


def test_i_movable_only_small_holes(make, kernel):
    a = make(kernel, one_zone(kernel, 1024))
    a.set_block_type(0, 0)
    a.set_block_type(512, 0)
    load(a, [(0, 9)])
    fill(a, 3, kernel_page(kernel), 64)
    free_all(a, [8, 136, 264], 3)
    assert lists(a) == {"3/U": [264, 136, 8]}

    assert a.alloc(2, user_page(kernel)) == 264
    rest = "2/U" if kernel == "linux-6.12" else "2/M"
    assert lists(a) == {rest: [268], "3/U": [136, 8]}
    assert block_types(a) == "UU"
    a.check()


def test_j_boot_order(make, kernel):
    a = make(kernel, one_zone(kernel, 4096))
    boot_free(a, kernel, [(1, 159), (256, 4096)])
    expected = {
        "0/M": [1, 158],
        "1/M": [2, 156],
        "2/M": [4, 152],
        "3/M": [8, 144],
        "4/M": [16, 128],
        "5/M": [32],
        "6/M": [64],
        "8/M": [256],
        "9/M": [512],
        "10/M": [1024, 2048, 3072],
    }
    if kernel == "linux-5.0":
        expected |= {"4/M": [128, 16], "10/M": [3072, 2048, 1024]}
    assert lists(a) == expected
    a.check()


def test_k_isolate_and_put_back(make, kernel):
    a = make(kernel, one_zone(kernel, 2048))
    a.set_block_type(0, 0)
    load(a, [(512, 8), (0, 9), (1024, 10)])
    assert lists(a) == {"8/M": [512], "9/U": [0], "10/M": [1024]}

    assert a.isolate(512, 8)
    assert a.isolate(0, 9)
    assert lists(a) == {"10/M": [1024]}
    assert block_types(a) == "MMMM"
    assert a.zone_state(1)["free"] == 1024
    a.putback(512, 8)
    a.putback(0, 9)
    assert lists(a) == {"8/M": [512], "9/M": [0], "10/M": [1024]}
    assert a.zone_state(1)["free"] == 1024 + 256 + 512
    a.check()


def test_l_free_factor(make):
    kernel = "linux-6.1"
    a = make(kernel, one_zone(kernel, 2048, batch=4, high=32))
    load(a, [(0, 10), (1024, 10)])
    pages = [a.alloc(0, user_page(kernel)) for _ in range(120)]
    assert pages == list(range(120))
    assert pcp_count(a) == 0

    drains = []
    for number, pfn in enumerate(pages):
        before = pcp_count(a) + 1
        a.free(pfn, 0)
        after = pcp_count(a)
        if after != before:
            drains.append((number, before, before - after, after, a.pcp_state(1, 0)["free_factor"]))
    growing = [(31, 32, 4, 28, 1), (35, 32, 8, 24, 2), (43, 32, 16, 16, 3)]
    assert drains == growing + [(number, 32, 28, 4, 3) for number in (59, 87, 115)]
    a.check()


def test_m_alloc_factor_and_free_count(make):
    kernel = "linux-6.12"
    a = make(kernel, one_zone(kernel, 2048, batch=4, high=32, high_max=64))
    load(a, [(0, 10), (1024, 10)])
    refills, pages = [], []
    for number in range(120):
        before = pcp_count(a)
        pages.append(a.alloc(0, user_page(kernel)))
        if before == 0:
            refills.append((number, pcp_count(a) + 1))
    assert pages == list(range(120))
    assert refills == [(0, 4), (4, 8), (12, 16), (28, 32), (60, 60)]
    assert not a.zone_state(1)["below_high"]

    drains = []
    for number, pfn in enumerate(pages):
        before = pcp_count(a) + 1
        a.free(pfn, 0)
        if pcp_count(a) != before:
            drains.append((number, before, before - pcp_count(a)))
    assert drains == [(63, 64, 60)]
    a.check()


@pytest.mark.parametrize("kernel", LATE)
def test_n_highatomic(make, kernel):
    a = make(kernel, one_zone(kernel, 65536, watermark=(500, 600, 700)))
    load(a, [(0, 10)])
    assert [a.alloc(order, kernel_page(kernel)) for order in (4, 8, 7, 6)] == [0, 256, 128, 64]
    assert lists(a) == {"4/U": [16], "5/U": [32], "9/U": [512]}
    assert a.zone_state(1)["free"] == 560

    assert a.alloc(4, atomic(kernel)) == 16
    assert lists(a) == {"5/H": [32], "9/U": [512]}
    assert block_types(a) == "HU" + "M" * 126
    state = a.zone_state(1)
    assert state["nr_reserved_highatomic"] == 512
    if kernel == "linux-6.12":
        assert state["nr_free_highatomic"] == 32
    a.check()

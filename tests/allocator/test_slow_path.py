"""The slow path of a request: reclaim, what is tried after it, and the last looks before it fails."""

import pytest

from allocator.harness import KERNELS, MAKERS, lists, one_zone, user_page
from hinting._core.mm import steps
from reference.constants import gfp as bits

LATE = ("linux-6.1", "linux-6.12")
HIGHATOMIC = 3
COSTLY = 4
RECLAIM = ("DIRECT_RECLAIM", "KSWAPD_RECLAIM")


@pytest.fixture(params=KERNELS)
def kernel(request):
    return request.param


@pytest.fixture(params=MAKERS)
def low(request, kernel):
    """A function that makes a guest of 4096 pages of which only the first `free` are free, with these watermarks."""

    def guest(free, watermark, **more):
        a = MAKERS[request.param](kernel, one_zone(kernel, 4096, **({"watermark": watermark} | more)))
        for pfn in range(0, 4096, 512):
            a.add_free(pfn, 9, tail=True)
        while a.alloc(5, user_page(kernel) | bits(kernel, "MEMALLOC")) != -1:
            pass
        for pfn in range(0, 4096, 32):
            a.split(pfn, 5)
        a.free_list(range(free))
        return a

    return guest


def reclaiming(allocator, order, gfp, pages, others=()):
    """What the request gets, how many of the pages reclaim freed, and its rounds in vain."""
    if hasattr(allocator, "alloc_reclaiming_from"):
        return allocator.alloc_reclaiming_from(order, gfp, pages, 0, others)
    return steps.alloc_reclaiming_from(allocator, order, gfp, pages, 0, others)


def names(kernel, *words):
    return bits(kernel, *words)


def test_5_11_a_request_that_may_not_fail_scans_once_more(low, kernel):
    """With NOFAIL the last scan looks at MIN_RESERVE only: half of the mark, in 5.0 three quarters of it (HARDER)."""
    for free, served in ((151, LATE), (226, KERNELS), (150, ())):
        for reclaim in ((), ("DIRECT_RECLAIM",)):
            a = low(free, (300, 400, 500))
            assert a.alloc(0, names(kernel, *reclaim)) == -1
            assert (a.alloc(0, names(kernel, "NOFAIL", *reclaim)) != -1) == (kernel in served)
            a.check()


def test_5_11_the_last_scan_comes_after_reclaim(low, kernel):
    a = low(226, (300, 400, 500))
    pfn, freed, in_vain = reclaiming(a, 0, names(kernel, "NOFAIL", "DIRECT_RECLAIM"), range(1024, 1034))
    assert pfn != -1
    assert (freed, in_vain) == (10, 17)
    a = low(226, (300, 400, 500))
    assert reclaiming(a, 0, names(kernel, "DIRECT_RECLAIM"), range(1024, 1034)) == (-1, 10, 17)


@pytest.mark.parametrize(("freed", "found"), [(200, False), (275, True)])
def test_9_3_one_more_scan_with_the_high_watermark_before_oom(low, kernel, freed, found):
    """What another CPU frees during the last round of reclaim helps if the zone is then above its high watermark."""
    a = low(226, (300, 400, 500))
    late = [[]] * 17 + [range(1024, 1024 + freed)]  # the 18th round: the lists of all CPUs were emptied after the 17th
    pfn, _, in_vain = reclaiming(a, 0, names(kernel, *RECLAIM), [], late)
    assert in_vain == 18
    assert (pfn != -1) == found
    a.check()


def test_9_3_a_free_before_the_last_round_is_seen_at_the_min_watermark(low, kernel):
    a = low(226, (300, 400, 500))
    pfn, _, in_vain = reclaiming(a, 0, names(kernel, *RECLAIM), [], [[]] * 3 + [range(1024, 1100)])
    assert pfn != -1
    assert in_vain == 4


def test_5_11_reclaim_goes_on_while_it_makes_progress(low, kernel):
    a = low(0, (100, 200, 300))
    pfn, freed, in_vain = reclaiming(a, 0, names(kernel, *RECLAIM), range(1024, 2048))
    assert pfn != -1
    assert (freed, in_vain) == (128, 0)


@pytest.mark.parametrize("order", [0, COSTLY])
def test_5_11_noretry_takes_one_round(low, kernel, order):
    a = low(0, (100, 200, 300))
    assert reclaiming(a, order, names(kernel, "NORETRY", *RECLAIM), range(1024, 2048)) == (-1, 32, 0)


def test_5_11_a_costly_order_takes_one_round_and_with_retry_mayfail_seventeen(low, kernel):
    a = low(0, (900, 1000, 1100))
    assert reclaiming(a, COSTLY, names(kernel, *RECLAIM), range(1024, 2048)) == (-1, 32, 0)
    a = low(0, (900, 1000, 1100))
    assert reclaiming(a, COSTLY, names(kernel, "RETRY_MAYFAIL", *RECLAIM), range(1024, 2048)) == (-1, 17 * 32, 0)


def test_5_11_after_reclaim_the_lists_of_all_cpus_are_emptied_once(low, kernel):
    """Pages on per-CPU lists are not free: they serve a request only once reclaim has drained them."""
    sizes = {"high_min": 40, "high_max": 40} if kernel == "linux-6.12" else {"high": 40}
    a = low(4, (20, 24, 28), batch=4, **sizes)
    assert a.zone_state(1)["free"] == 0
    pfn, freed, _ = reclaiming(a, 0, names(kernel, "NORETRY", *RECLAIM), range(1024, 1056))
    assert pfn != -1
    assert freed == 32
    a.check()


@pytest.mark.parametrize(("reserve", "left"), [(512, 0), (562, 50)])
def test_5_10_the_reserve_comes_back_before_oom(low, kernel, reserve, left):
    """After reclaim in vain not the last pageblock; that one by force, before the OOM killer."""
    a = low(0, (40, 50, 60), nr_reserved_highatomic=reserve)
    for block in range(2 if left else 1):
        a.set_block_type(512 * block, HIGHATOMIC)
        a.free_list(range(512 * block, 512 * block + 64))
    pfn, freed, in_vain = reclaiming(a, 1, names(kernel, *RECLAIM), range(2048, 2052))
    assert pfn != -1
    assert (freed, in_vain) == (4, 0 if left else 17)
    assert "".join(map(str, a.block_types())).count("3") == bool(left)
    assert a.zone_state(1)["nr_reserved_highatomic"] == left
    a.check()


def test_5_7_a_failing_request_takes_the_boosted_mark_too(low, kernel):
    """In 6.12 only a request that may wake kswapd does."""
    a = low(0, (0, 0, 0))
    for names_of, wakes in (((), kernel != "linux-6.12"), (("KSWAPD_RECLAIM",), True)):
        a.load_zone_state(1, None, None, 1)
        before = a.kswapd_wakeups
        a.load_zone_state(1, 100)  # the counter lags: the zone is tried, and has nothing
        assert a.alloc(0, names(kernel, *names_of)) == -1
        assert a.zone_state(1)["boosted"] is not wakes
        assert a.kswapd_wakeups - before == wakes + 2 * bool(names_of)
    assert lists(a) == {}


def test_what_a_gfp_may_not_ask_for(low, kernel):
    a = low(64, (0, 0, 0))
    for words in (("MOVABLE", "RECLAIMABLE"), ("DMA", "DMA32"), ("DMA", "HIGHMEM"), ("DMA32", "HIGHMEM")):
        with pytest.raises(ValueError, match="gfp"):
            a.alloc(0, names(kernel, *words))
    a.check()

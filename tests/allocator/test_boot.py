"""The memory of a guest at boot: the limits are computed before the last memory is given back."""

import pytest

import hinting as h
from allocator.harness import KERNELS, lists
from hinting import kernels
from hinting._core.mm.allocator import Allocator
from hinting._core.mm.boot import free_memory, zones_of

RAM = [(1, 65_500)]
EARLY = [(1, 3841), (4096, 4096 + 49_521)]
LATE = [(60_000, 62_547)]


def test_3_6_two_managed_values():
    """A recorded guest of 256 MiB: 55908 pages at the end, and limits of the 53361 that there were before."""
    dma, dma32 = zones_of(kernels.load("linux-6.1"), RAM, EARLY, 1, False, LATE)
    assert (dma["managed"], dma32["managed"]) == (3840, 52_068)
    assert dma["watermark"] == (33, 41, 49)
    assert dma32["watermark"] == (428, 535, 642)
    assert dma["lowmem_reserve"] == [0, 193, 193, 193, 193]
    assert (dma["high"], dma32["high"]) == (41, 535)
    # with one value the same guest has other limits
    assert zones_of(kernels.load("linux-6.1"), RAM, [*EARLY, *LATE], 1, False)[1]["watermark"] != dma32["watermark"]


@pytest.mark.parametrize("kernel", KERNELS)
def test_3_4_what_boot_needed_comes_back_page_by_page(kernel):
    """In ascending order by the ordinary path of single pages: the last ones wait on CPU 0's list."""
    loaded = kernels.load(kernel)
    zones = zones_of(loaded, [(4096, 36_864)], [(4096, 36_352)], 1, False, [(36_352, 36_864)])
    a = Allocator(loaded, zones)
    free_memory(a, [(4096, 36_352)], None, [(36_352, 36_864)])
    a.check()
    waiting = a.pcp_list_array(1, 0, 1).tolist()
    assert waiting == list(range(36_863, 36_863 - len(waiting), -1))
    assert 0 < len(waiting) < 512
    assert a.zone_state(1)["free"] + len(waiting) == a.zone_state(1)["managed"] == 32_768
    a.drain()
    assert lists(a)["10/M"].count(35_840) == 1


def test_3_6_a_guest_below_512_mib_has_no_huge_pages():
    """Its kernel switches them off below 512 MiB, and so does not raise min_free_kbytes for them."""
    for memory, thp, low in (("432MiB", "never", True), ("512MiB", "never", True), ("640MiB", "always", False)):
        guest = h.Guest(memory, kernel="linux-6.1", thp="always")
        assert guest.thp == thp
        assert (guest.allocator.zone_state(1)["watermark"][0] < 1000) == low


def test_what_boot_gives_back_is_in_the_map():
    guest = h.Guest("1GiB", kernel="linux-6.1")
    memory = guest.memory_map
    assert sum(end - first for first, end in memory.late) == 2560
    assert sum(zone["managed"] for zone in guest.zoneinfo().values()) == memory.managed_at_boot + 2560

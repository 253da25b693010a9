"""The texts of /proc against layouts whose every number is known, for each kernel's format."""

import numpy as np
import pytest

from hinting import Guest, kernels
from hinting._core.mm.allocator import Allocator
from hinting.guests import MemoryMap
from hinting.snapshots import Snapshot

NPFN = 4096 + 40960


def guest_of(kernel="linux-6.1"):
    """Zones DMA and DMA32 of 160 MiB, one CPU; RAM ends in the middle of the second 128 MiB section."""
    limits = {"batch": 7} | ({"high_min": 42, "high_max": 84} if kernel == "linux-6.12" else {"high": 42})
    zones = [
        {"index": 0, "start": 1, "end": 4096, "managed": 3840, "present": 3998, "watermark": (33, 41, 49),
         "lowmem_reserve": [0, 193, 193, 193, 193], "threshold": 2, **limits, "batch": 1},
        {"index": 1, "start": 4096, "end": NPFN, "managed": 40000, "present": 40960, "watermark": (428, 535, 642),
         "lowmem_reserve": [0] * 5, "threshold": 10, "boost": 100, **limits},
    ]
    allocator = Allocator(kernels.load(kernel), zones, 1)
    for block in (8, 9, 20):
        allocator.set_block_type(block * 512, 0)
    allocator.set_block_type(30 * 512, 2)
    for pfn, order, migratetype in (
        (1024, 10, 1), (2048, 10, 1), (4608, 9, 0), (5120, 10, 1), (30 * 512, 3, 2), (30 * 512 + 16, 0, 2),
        (10240, 4, 0), (9 * 1024 * 4, 10, 1),
    ):
        allocator.insert_free(pfn, order, migratetype)
    memory = MemoryMap(ram=[(1, NPFN)], free=[(1, NPFN)], reserved=[], deferred=NPFN)
    base = Guest("1GiB", kernel=kernel).snapshot()
    return Guest.from_snapshot(Snapshot(kernel, memory, "never", base.costs, None, allocator, None))


def test_buddyinfo():
    assert guest_of().buddyinfo_text() == (
        "Node 0, zone      DMA      0      0      0      0      0      0      0      0      0      0      2 \n"
        "Node 0, zone    DMA32      1      0      0      1      1      0      0      0      0      1      2 \n")


def test_pagetypeinfo():
    assert guest_of().pagetypeinfo_text() == """\
Page block order: 9
Pages per block:  512

Free pages count per migrate type at order       0      1      2      3      4      5      6      7      8      9     10 $
Node    0, zone      DMA, type    Unmovable      0      0      0      0      0      0      0      0      0      0      0 $
Node    0, zone      DMA, type      Movable      0      0      0      0      0      0      0      0      0      0      2 $
Node    0, zone      DMA, type  Reclaimable      0      0      0      0      0      0      0      0      0      0      0 $
Node    0, zone      DMA, type   HighAtomic      0      0      0      0      0      0      0      0      0      0      0 $
Node    0, zone      DMA, type      Isolate      0      0      0      0      0      0      0      0      0      0      0 $
Node    0, zone    DMA32, type    Unmovable      0      0      0      0      1      0      0      0      0      1      0 $
Node    0, zone    DMA32, type      Movable      0      0      0      0      0      0      0      0      0      0      2 $
Node    0, zone    DMA32, type  Reclaimable      1      0      0      1      0      0      0      0      0      0      0 $
Node    0, zone    DMA32, type   HighAtomic      0      0      0      0      0      0      0      0      0      0      0 $
Node    0, zone    DMA32, type      Isolate      0      0      0      0      0      0      0      0      0      0      0 $

Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic      Isolate $
Node 0, zone      DMA            0            8            0            0            0 $
Node 0, zone    DMA32            3           76            1            0            0 $
""".replace("$", "")


def test_pagetypeinfo_array():
    guest = guest_of()
    counts = guest.pagetypeinfo()
    assert (counts.shape, counts.dtype) == ((4, 5, 11), np.int64)
    assert np.array_equal(counts.sum(axis=1), guest.buddyinfo())
    assert counts[1, 2].tolist() == [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]


DMA32_61 = """\
Node 0, zone    DMA32
  pages free     2585
        boost    100
        min      528
        low      635
        high     742
        spanned  40960
        present  40960
        managed  40000
        cma      0
        protection: (0, 0, 0, 0, 0)
      nr_free_pages 2585
  pagesets
    cpu: 0
              count: 0
              high:  42
              batch: 7
  vm stats threshold: 10
  node_unreclaimable:  0
  start_pfn:           4096
"""
EMPTY_61 = """\
  pages free     0
        boost    0
        min      0
        low      0
        high     0
        spanned  0
        present  0
        managed  0
        cma      0
        protection: (0, 0, 0, 0, 0)
"""


def test_zoneinfo_of_6_1():
    guest = guest_of()
    guest.allocator.fold(0)
    text = guest.zoneinfo_text()
    assert text.startswith("Node 0, zone      DMA\n  pages free     2048\n        boost    0\n        min      33\n")
    assert "        protection: (0, 193, 193, 193, 193)\n" in text
    assert DMA32_61 in text
    assert text.endswith("".join(f"Node 0, zone {name:>8}\n{EMPTY_61}" for name in ("Normal", "Movable", "Device")))


@pytest.mark.parametrize(
    ("kernel", "absent", "present"),
    [
        ("linux-5.0", ("boost", "cma", "promo"), ("        low      635\n        high     742\n        spanned",)),
        ("linux-6.1", ("promo",), ("        boost    100\n", "        cma      0\n")),
        ("linux-6.12", (), ("        high     742\n        promo    849\n        spanned",)),
    ],
)
def test_zoneinfo_formats(kernel, absent, present):
    text = guest_of(kernel).zoneinfo_text()
    assert not any(word in text for word in absent)
    assert all(words in text for words in present)


def test_zoneinfo_dict():
    zone = guest_of("linux-6.12").zoneinfo()["DMA32"]
    assert (zone["boost"], zone["min"], zone["promo"], zone["start_pfn"]) == (100, 528, 849, 4096)
    assert zone["pagesets"] == [{"cpu": 0, "count": 0, "high": 0, "batch": 7, "threshold": 10}]


def test_a_list_of_100000_blocks_is_not_counted_on():
    """6.x stops at 100000; 5.0 counts them all."""
    for kernel, shown in (("linux-5.0", "100010 "), ("linux-6.1", ">100000 ")):
        allocator = Allocator(kernels.load(kernel), [
            {"index": 1, "start": 4096, "end": 4096 + (1 << 18), "managed": 1 << 18, "watermark": (0, 0, 0),
             "lowmem_reserve": [0] * 5, "threshold": 2, "batch": 1, "high": 1}])
        for pfn in range(4096, 4096 + 200_020, 2):
            allocator.insert_free(pfn, 0, 1)
        end = 4096 + (1 << 18)
        memory = MemoryMap(ram=[(4096, end)], free=[(4096, end)], reserved=[], deferred=end)
        costs = Guest("1GiB").costs
        guest = Guest.from_snapshot(Snapshot(kernel, memory, "never", costs, None, allocator, None))
        assert f"type      Movable {shown}" in guest.pagetypeinfo_text()


def test_sections_without_memory_have_no_pageblocks():
    """DMA32 of a guest above the hole spans 4 GiB; only sections with RAM count."""
    guest = Guest("5GiB", kernel="linux-6.1")
    low = next(end for first, end in guest.memory_map.ram if first == 1)
    line = next(line for line in guest.pagetypeinfo_text().splitlines()[-3:] if "DMA32" in line)
    assert sum(int(n) for n in line.split()[4:]) == (low - 4096) // 512

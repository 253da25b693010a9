"""Sizes that Linux computes at boot: min_free_kbytes, watermarks, reserves, per-CPU list sizes, counter threshold.

`managed` is a list of pages per zone, indexed DMA, DMA32, Normal, Movable; a missing zone has 0.
"""

from math import isqrt

from reference.constants import MOVABLE_ZONE, NORMAL, PAGEBLOCK_PAGES

RESERVE_RATIO = (256, 256, 32)
MIN_FREE_KBYTES_MAX = {"linux-5.0": 65536, "linux-6.1": 262144, "linux-6.12": 262144}


def buffer_pages(managed: list, high: list, boost: list) -> int:
    """Pages above the high watermarks in the zones up to Normal (nr_free_buffer_pages)."""
    return sum(max(0, managed[i] - high[i] - boost[i]) for i in range(min(len(managed), NORMAL + 1)))


def min_free_kbytes(kernel: str, managed: list, high: list | None = None, boost: list | None = None) -> int:
    """init_per_zone_wmark_min; the watermarks are 0 the first time."""
    zeros = [0] * len(managed)
    lowmem_kb = 4 * buffer_pages(managed, high or zeros, boost or zeros)
    return max(128, min(isqrt(16 * lowmem_kb), MIN_FREE_KBYTES_MAX[kernel]))


def min_free_kbytes_with_thp(kbytes: int, managed: list, high: list) -> int:
    """set_recommended_min_free_kbytes of the huge page daemon."""
    populated = sum(1 for pages in managed[: NORMAL + 1] if pages > 0)
    recommended = PAGEBLOCK_PAGES * populated * 2 + PAGEBLOCK_PAGES * populated * 9
    recommended = min(recommended, buffer_pages(managed, high, [0] * len(managed)) // 20)
    return max(kbytes, 4 * recommended)


def watermarks(kernel: str, kbytes: int, managed: list, scale_factor: int = 10) -> list[tuple[int, int, int]]:
    """(min, low, high) of each zone (__setup_per_zone_wmarks)."""
    pages_min = kbytes // 4
    lowmem = sum(pages for i, pages in enumerate(managed) if not (kernel == "linux-6.12" and i == MOVABLE_ZONE))
    marks = []
    for i, pages in enumerate(managed):
        share = pages_min * pages // lowmem
        distance = max(share // 4, pages * scale_factor // 10000)
        low_end = share
        if kernel == "linux-6.12" and i == MOVABLE_ZONE:
            low_end = max(32, min(pages // 1024, 128))
        marks.append((low_end, low_end + distance, low_end + 2 * distance))
    return marks


def lowmem_reserves(kernel: str, managed: list) -> list[list[int]]:
    """lowmem_reserve[0..4] of each zone (setup_per_zone_lowmem_reserve)."""
    padded = list(managed) + [0] * (5 - len(managed))
    rows = []
    for i in range(len(managed)):
        row = [0] * 5
        for j in range(i + 1, 5):
            ratio = RESERVE_RATIO[i] if i < len(RESERVE_RATIO) else 0
            if ratio and (padded[i] or kernel == "linux-5.0"):
                row[j] = sum(padded[i + 1 : j + 1]) // ratio
        rows.append(row)
    return rows


def round_down_to_power_of_two(n: int) -> int:
    return 1 << (n.bit_length() - 1)


def pcp_base(managed: int) -> int:
    """2^k - 1 from which batch and the high of 5.0 come; 0 for a small zone."""
    b = max(1, min(managed // 1024, 256) // 4)
    return round_down_to_power_of_two(b + b // 2) - 1


def pcp_batch(managed: int) -> int:
    """zone_batchsize."""
    return max(1, pcp_base(managed))


def pcp_high(kernel: str, managed: int, low: int = 0, ncpus: int = 1) -> tuple[int, int]:
    """(smallest, largest) number of pages a per-CPU list may hold before it drains; equal except in 6.12."""
    if kernel == "linux-5.0":
        high = 6 * pcp_base(managed)
        return high, high
    smallest = max(low // ncpus, 4 * pcp_batch(managed))
    if kernel == "linux-6.1":
        return smallest, smallest
    return smallest, max(managed // 8 // ncpus, 4 * pcp_batch(managed))


def counter_threshold(managed: int, ncpus: int) -> int:
    """calculate_normal_threshold."""
    return min(125, 2 * ncpus.bit_length() * (1 + (managed >> 15).bit_length()))

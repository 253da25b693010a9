from collections.abc import Iterable
from typing import Any

from hinting._core.kernel import Kernel
from hinting._core.mm.allocator import Allocator

_Ranges = Iterable[tuple[int, int]]

ZONE_STARTS: tuple[int, ...]
LOWMEM_RESERVE_RATIO: tuple[int, ...]
SECTION_PAGES: int

def counter_threshold(managed: int, ncpus: int) -> int:
    """Largest difference that a CPU keeps back from a zone's free-page counter."""

def pcp_batch(managed: int) -> int:
    """Batch of a zone's per-CPU lists."""

def pcp_limits(kernel: Kernel, managed: int, low_watermark: int, ncpus: int) -> dict[str, int]:
    """batch and high (5.0, 6.1) or high_min and high_max (6.12) of a zone's per-CPU lists."""

def lowmem_reserve(managed: Iterable[int]) -> list[list[int]]:
    """lowmem_reserve of each zone, 5 columns of pages."""

def subtract(ranges: _Ranges, holes: _Ranges) -> list[tuple[int, int]]:
    """The parts of sorted page ranges [(first, end), ...] that no hole covers."""

def zones_of(
    kernel: Kernel, ram: _Ranges, free: _Ranges, ncpus: int, thp: bool, late: _Ranges = ()
) -> list[dict[str, Any]]:
    """Zone mappings for an Allocator from RAM ranges and the ranges that boot frees, all of them [(first pfn, end), ...].

    late: what boot gives back when it is over. It counts as managed then, but every limit was computed before that.
    """

def deferred_start(ram: _Ranges) -> int:
    """First page frame whose initialisation boot defers, or the end of memory if it defers nothing."""

def free_memory(
    allocator: Allocator, free: _Ranges, deferred_from: int | None = None, late: _Ranges = ()
) -> None:
    """Hand the ranges [(first pfn, end), ...] to an empty allocator in the order of boot.

    deferred_from: what lies at or above it is freed later, in the units of deferred initialisation (None: nothing).
    late: ranges that CPU 0 frees at the very end, page by page as any page is freed.
    """

from collections.abc import Sequence

from hinting._core.mm.allocator import Allocator

def mark_reported(allocator: Allocator, pfn: int, order: int) -> None:
    """Note that a free block was reported to the host; nothing happens if it is no longer one of exactly this order."""

def rotate_to_front(allocator: Allocator, pfn: int, order: int) -> None:
    """Make a free block the first of its list; what was before it follows the end, in order."""

def unreserve_highatomic(
    allocator: Allocator, zone: int, migratetype: int, force: bool = False, cpu: int = 0
) -> bool:
    """Give a pageblock of the highatomic reserve back, to a type from 0 to 2; whether free pages moved.

    The kernel does it before direct reclaim gives up (not the last pageblock) and before its OOM killer (force).
    """

def drain_remote(allocator: Allocator, cpu: int, by: int) -> None:
    """Empty the per-CPU lists of one CPU; another one does it and keeps back what it counts."""

def alloc_reclaiming_from(
    allocator: Allocator, order: int, gfp: int, pages: Sequence[int], cpu: int = 0, others: Sequence[Sequence[int]] = ()
) -> tuple[int, int, int]:
    """As Allocator.alloc, where direct reclaim finds `pages`: allocated single pages, freed 32 a round in this order.

    others: lists of further such pages; somebody else frees the next list during each round that finds nothing.
    Returns the pfn (-1 if the request fails or would call the OOM killer), how many of `pages` were freed, and the
    rounds that found nothing.
    """

"""From free memory ranges to free lists at boot (Linux memblock_free_all)."""

from collections.abc import Iterator

from reference.constants import MAX_ORDER


def boot_blocks(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut [start, end) into aligned blocks (pfn, order) as boot does: from the low end, each as large as fits."""
    pfn = start
    while pfn < end:
        order = MAX_ORDER
        while pfn % (1 << order) or pfn + (1 << order) > end:
            order -= 1
        yield pfn, order
        pfn += 1 << order


def boot_free(allocator, kernel: str, ranges: list[tuple[int, int]]) -> None:
    """Give free ranges to an allocator in ascending order: 6.1 and 6.12 to the tails, 5.0 by the ordinary rule.

    In 5.0 single pages go through per-CPU lists that hold nothing yet, which is the same as going straight on.
    """
    for start, end in sorted(ranges):
        for pfn, order in boot_blocks(start, end):
            allocator.add_free(pfn, order, tail=kernel != "linux-5.0")

"""The RAM of an x86-64 guest as the kernel finds it at boot, and what it never hands to its allocator."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from hinting._core.mm.boot import ZONE_STARTS, deferred_start, subtract
from hinting.costs import CostProfile
from hinting.errors import GuestError
from hinting.units import PAGE_BYTES

__all__ = ["MIB_PAGES", "THP_LEAST_PAGES", "MemoryMap", "boot_table", "memory_map"]

#: Pages of a MiB.
MIB_PAGES = (1 << 20) // PAGE_BYTES

#: Linux switches huge pages off at boot if it manages less than this.
THP_LEAST_PAGES = 512 * MIB_PAGES

#: End of the last zone.
MAX_PFN = ZONE_STARTS[3]
#: The smallest guest that can boot, pages, beside its footprint.
_SLACK_PAGES = 16 * MIB_PAGES

Ranges = list[tuple[int, int]]


@cache
def boot_table() -> dict[str, Any]:
    """The parsed boot.toml."""
    return tomllib.loads(files("hinting.guests").joinpath("boot.toml").read_text())


@dataclass(frozen=True)
class MemoryMap:
    """Page ranges [(first pfn, end), ...] of a guest.

    ram: all RAM. free: what boot hands to the allocator. reserved: what it keeps, written at boot (kernel image and
    struct pages). deferred: first page frame whose initialisation is deferred. late: what boot itself needs and gives
    back at its end, page by page: the kernel's init sections and the initrd.
    """

    ram: Ranges
    free: Ranges
    reserved: Ranges
    deferred: int
    late: Ranges = field(default_factory=list)

    @property
    def pages(self) -> int:
        """Pages of RAM."""
        return sum(end - first for first, end in self.ram)

    @property
    def managed_at_boot(self) -> int:
        """Pages that the allocator has when the kernel computes its limits."""
        return sum(end - first for first, end in self.free)

    @property
    def npfn(self) -> int:
        """One past the last page frame."""
        return max(end for _, end in self.ram)


def memory_map(pages: int, costs: CostProfile) -> MemoryMap:
    """The memory map of a guest with this many pages of RAM.

    Struct pages lie at the top of RAM, the kernel image at 16 MiB, what only boot needs behind it. Raises GuestError if
    the guest is too small.
    """
    table = boot_table()
    layout = table["map"]
    low_max, low = layout["low_memory_max_mib"] * MIB_PAGES, layout["low_memory_mib"] * MIB_PAGES
    ram = [(1, pages)]
    if pages > low_max:
        start = layout["high_memory_start_mib"] * MIB_PAGES
        ram = [(1, low), (start, start + pages - low)]
    if ram[-1][1] > MAX_PFN:
        raise GuestError(f"guest memory: {pages // MIB_PAGES} MiB is too much, at most {MAX_PFN // MIB_PAGES - 1024} MiB")
    image = int(costs["size.guest_base_mib"] * table["shares"]["kernel_image"] * MIB_PAGES)
    struct_pages = int(costs["size.struct_page_ratio"] * pages)
    least = int(costs["size.guest_base_mib"] * MIB_PAGES) + struct_pages + _SLACK_PAGES
    if pages < least:
        raise GuestError(
            f"guest memory: {pages // MIB_PAGES} MiB is too small, a guest needs {least // MIB_PAGES + 1} MiB to boot"
        )
    kernel_start = layout["kernel_start_mib"] * MIB_PAGES
    top = ram[-1][1]
    reserved = [(kernel_start, kernel_start + image), (top - struct_pages, top)]
    late = [(kernel_start + image, kernel_start + image + layout["late_mib"] * MIB_PAGES)]
    holes = [(0, layout["firmware_mib"] * MIB_PAGES), *reserved, *late]
    return MemoryMap(ram=ram, free=subtract(ram, holes), reserved=reserved, deferred=deferred_start(ram), late=late)

"""Allocation requests by the names that the kernel gives them, for any of the emulated kernels.

The same request has other numbers in other kernels; `value` translates. All functions that take `gfp` also accept a
plain integer, which is taken as it is, in the numbering of the guest's kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from hinting._core.kernel import Kernel
from hinting.errors import PageError

__all__ = [
    "ATOMIC",
    "BALLOON",
    "DMA",
    "DMA32",
    "HIGHUSER_MOVABLE",
    "HINT",
    "KERNEL",
    "NOWAIT",
    "PAGE_CACHE_READ",
    "PAGE_CACHE_WRITE",
    "PGTABLE_USER",
    "RECLAIMABLE",
    "TRANSHUGE",
    "TRANSHUGE_LIGHT",
    "Gfp",
    "value",
]


@dataclass(frozen=True)
class Gfp:
    """A request as a set of gfp bits, by name (`"HIGH"`, `"DIRECT_RECLAIM"`, ...)."""

    name: str
    bits: frozenset[str]

    def __or__(self, other: Gfp) -> Gfp:
        return Gfp(f"{self.name}|{other.name}", self.bits | other.bits)


def _gfp(name: str, *bits: str) -> Gfp:
    return Gfp(name, frozenset(bits))


_RECLAIM = ("DIRECT_RECLAIM", "KSWAPD_RECLAIM")
_KERNEL = (*_RECLAIM, "IO", "FS")
_USER = (*_KERNEL, "HARDWALL")

#: Ordinary kernel memory: unmovable.
KERNEL = _gfp("KERNEL", *_KERNEL)
#: Kernel caches that can be shrunk.
RECLAIMABLE = _gfp("RECLAIMABLE", *_KERNEL, "RECLAIMABLE")
#: Kernel memory from a context that cannot sleep; may use part of the reserve.
ATOMIC = _gfp("ATOMIC", "HIGH", "ATOMIC", "KSWAPD_RECLAIM")
#: Kernel memory from a context that cannot sleep and has no claim to the reserve.
NOWAIT = _gfp("NOWAIT", "KSWAPD_RECLAIM")
#: Kernel memory below 16 MiB.
DMA = _gfp("DMA", *_KERNEL, "DMA")
#: Kernel memory below 4 GiB.
DMA32 = _gfp("DMA32", *_KERNEL, "DMA32")
#: Pages of processes and of the page cache: movable.
HIGHUSER_MOVABLE = _gfp("HIGHUSER_MOVABLE", *_USER, "HIGHMEM", "MOVABLE")
#: Pages that a balloon driver takes: movable, no retry, no warning, nothing from the emergency reserve.
BALLOON = _gfp("BALLOON", *_USER, "HIGHMEM", "MOVABLE", "NOMEMALLOC", "NORETRY", "NOWARN")
#: Blocks that are hinted for migration: no retry, no warning, nothing from the emergency reserve.
HINT = _gfp("HINT", "NORETRY", "NOWARN", "NOMEMALLOC")
#: A page of a file by readahead, as ext4 asks for it (recordings of 6.1).
PAGE_CACHE_READ = _gfp("PAGE_CACHE_READ", *_RECLAIM, "IO", "HARDWALL", "HIGHMEM", "MOVABLE", "COMP", "NORETRY", "NOWARN")
#: A page of a file that is written, as ext4 asks for it (recordings of 6.1).
PAGE_CACHE_WRITE = _gfp("PAGE_CACHE_WRITE", *_USER, "HIGHMEM", "MOVABLE", "COMP", "WRITE")
#: Table pages of a process's address space.
PGTABLE_USER = _gfp("PGTABLE_USER", *_KERNEL, "ZERO", "ACCOUNT")
#: A huge page that may be reclaimed for.
TRANSHUGE = _gfp("TRANSHUGE", "HARDWALL", "IO", "FS", "HIGHMEM", "MOVABLE", "COMP", "NOMEMALLOC", "NOWARN", "DIRECT_RECLAIM")
#: A huge page at a fault of memory without MADV_HUGEPAGE (defrag=madvise, the default): no reclaim.
TRANSHUGE_LIGHT = _gfp("TRANSHUGE_LIGHT", "HARDWALL", "IO", "FS", "HIGHMEM", "MOVABLE", "COMP", "NOMEMALLOC", "NOWARN")


def value(gfp: Gfp | int, kernel: Kernel) -> int:
    """The number of a request in the numbering of a kernel.

    gfp: one of this module, or such a number, which is returned as it is. Raises PageError for anything else, and for
    a name with a bit that the kernel has not.
    """
    if isinstance(gfp, Gfp):
        unknown = gfp.bits - kernel.gfp.keys()
        if unknown:
            raise PageError(f"gfp {gfp.name}: {kernel.name} has no bit {', '.join(sorted(unknown))}")
        return sum(kernel.gfp[bit] for bit in gfp.bits)
    if isinstance(gfp, bool) or not isinstance(gfp, int):
        raise PageError(f"gfp must be one of hinting.gfp or an integer, got {gfp!r}")
    return gfp

"""Single steps inside the allocator that strategies, reclaim and compaction take, for study by hand and for tests."""

from hinting.errors import PageError

from hinting._core.common cimport MAX_ORDER, MT_PCPTYPES, NR_ZONES, pfn_t
from hinting._core.mm.alloc cimport drain_cpu
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.buddy cimport mark_reported as mark
from hinting._core.mm.buddy cimport rotate_to_front as rotate
from hinting._core.mm.fallback cimport unreserve_highatomic as unreserve
from hinting._core.mm.pages cimport TAG_ORDER, tag_get, tag_is_buddy, zone_of


cdef int _checked(str name, value, int high) except -1:
    if not 0 <= value <= high:
        raise PageError(f"{name} must be between 0 and {high}, got {value}")
    return value


def mark_reported(Allocator allocator not None, pfn, order):
    """Note that a free block was reported to the host; nothing happens if it is no longer one of exactly this order."""
    cdef int o = _checked("order", order, MAX_ORDER)
    mark(&allocator.m, allocator._block(pfn, o), o)


def rotate_to_front(Allocator allocator not None, pfn, order):
    """Make a free block the first of its list; what was before it follows the end, in order."""
    cdef int o = _checked("order", order, MAX_ORDER)
    cdef pfn_t first = allocator._block(pfn, o)
    cdef int tag = tag_get(&allocator.m, first, o)
    if not tag_is_buddy(tag) or (tag & TAG_ORDER) != o:
        raise PageError(f"pfn {first} is not the first page of a free block of order {o}: nothing can be rotated to it")
    rotate(&allocator.m, zone_of(&allocator.m, first), first, o)


def unreserve_highatomic(Allocator allocator not None, zone, migratetype, force=False, cpu=0):
    """Give a pageblock of the highatomic reserve back, to a type from 0 to 2; whether free pages moved.

    The kernel does it before direct reclaim gives up (not the last pageblock) and before its OOM killer (force).
    """
    cdef int index = _checked("zone", zone, NR_ZONES - 1)
    cdef int mt = _checked("migratetype", migratetype, MT_PCPTYPES - 1)
    if not allocator.m.zone[index].populated:
        raise PageError(f"there is no zone {index}")
    return bool(unreserve(&allocator.m, &allocator.m.zone[index], _checked("cpu", cpu, allocator.m.ncpus - 1), mt,
                          bool(force)))


def drain_remote(Allocator allocator not None, cpu, by):
    """Empty the per-CPU lists of one CPU; another one does it and keeps back what it counts."""
    drain_cpu(&allocator.m, _checked("cpu", cpu, allocator.m.ncpus - 1), _checked("by", by, allocator.m.ncpus - 1))
    allocator._no_error()

"""Single steps inside the allocator that strategies, reclaim and compaction take, for study by hand and for tests."""

from itertools import chain

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

import numpy as np

from hinting.errors import PageError

from hinting._core.common cimport MT_PCPTYPES, NO_PFN, pfn_t
from hinting._core.mm.alloc cimport alloc_reclaiming, free_list
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.arguments cimport block_of, cpu_of, gfp_of, integer, order_of, zone_index_of
from hinting._core.mm.buddy cimport mark_reported as mark
from hinting._core.mm.buddy cimport rotate_to_front as rotate
from hinting._core.mm.fallback cimport unreserve_highatomic as unreserve
from hinting._core.mm.drive cimport fit_for_free
from hinting._core.mm.pages cimport TAG_ORDER, tag_get, tag_is_buddy
from hinting._core.mm.pcp cimport drain_cpu
from hinting._core.mm.slowpath cimport reclaimer_t
from hinting._core.mm.state cimport mm_t


cdef enum:
    CLUSTER = 32                        # pages that are freed at once

ctypedef struct stock_t:                # what rounds of reclaim find, and what others free meanwhile
    mm_t *m
    const pfn_t *pfns
    int64_t n
    int64_t freed
    const pfn_t *others                 # the lists of the rounds that find nothing, one after the other
    const int64_t *ends                 # of each of these lists
    int64_t nr_lists
    int64_t in_vain


cdef void _free_some(mm_t *m, int cpu, const pfn_t *pfns, int64_t n) noexcept nogil:
    cdef uint8_t types[CLUSTER]
    cdef int64_t lot
    while n > 0:
        lot = n if n < CLUSTER else CLUSTER
        free_list(m, cpu, pfns, lot, types)
        pfns += lot
        n -= lot


cdef bint _reclaim_stock(void *self, int cpu) noexcept nogil:
    """Free the next pages of the stock as one list; without any left, others free their next list."""
    cdef stock_t *s = <stock_t *>self
    cdef int64_t n = s.n - s.freed if s.n - s.freed < CLUSTER else CLUSTER
    cdef int64_t first
    if n:
        _free_some(s.m, cpu, s.pfns + s.freed, n)
        s.freed += n
        return True
    if s.in_vain < s.nr_lists:
        first = s.ends[s.in_vain - 1] if s.in_vain else 0
        _free_some(s.m, cpu, s.others + first, s.ends[s.in_vain] - first)
    s.in_vain += 1
    return False


def mark_reported(Allocator allocator not None, pfn, order):
    """Note that a free block was reported to the host; nothing happens if it is no longer one of exactly this order."""
    cdef int o = order_of(order)
    mark(&allocator.m, block_of(&allocator.m, pfn, o), o)


def rotate_to_front(Allocator allocator not None, pfn, order):
    """Make a free block the first of its list; what was before it follows the end, in order."""
    cdef int o = order_of(order)
    cdef pfn_t first = block_of(&allocator.m, pfn, o)
    cdef int tag = tag_get(&allocator.m, first, o)
    if not tag_is_buddy(tag) or (tag & TAG_ORDER) != o:
        raise PageError(f"pfn {first} is not the first page of a free block of order {o}: nothing can be rotated to it")
    rotate(&allocator.m, first, o)


def unreserve_highatomic(Allocator allocator not None, zone, migratetype, force=False, cpu=0):
    """Give a pageblock of the highatomic reserve back, to a type from 0 to 2; whether free pages moved.

    The kernel does it before direct reclaim gives up (not the last pageblock) and before its OOM killer (force).
    """
    cdef int index = zone_index_of(zone)
    cdef int mt = integer("migratetype", migratetype, 0, MT_PCPTYPES - 1)
    if not allocator.m.zone[index].populated:
        raise PageError(f"there is no zone {index}")
    return bool(unreserve(&allocator.m, &allocator.m.zone[index], cpu_of(&allocator.m, cpu), mt,
                          bool(force)))


def drain_remote(Allocator allocator not None, cpu, by):
    """Empty the per-CPU lists of one CPU; another one does it and keeps back what it counts."""
    drain_cpu(&allocator.m, cpu_of(&allocator.m, cpu), integer("by", by, 0, allocator.m.ncpus - 1))
    allocator.raise_errors()


def alloc_reclaiming_from(Allocator allocator not None, order, gfp, pages, cpu=0, others=()):
    """As Allocator.alloc, where direct reclaim finds `pages`: allocated single pages, freed 32 a round in this order.

    others: lists of further such pages; somebody else frees the next list during each round that finds nothing.
    Returns the pfn (-1 if the request fails or would call the OOM killer), how many of `pages` were freed, and the
    rounds that found nothing.
    """
    cdef int o = order_of(order)
    cdef int c = cpu_of(&allocator.m, cpu)
    cdef uint32_t bits = gfp_of(&allocator.m, gfp)
    cdef const pfn_t[::1] pfns
    cdef int64_t[::1] ends = np.cumsum([len(one) for one in others], dtype=np.int64)
    cdef stock_t stock
    cdef reclaimer_t by
    cdef pfn_t pfn
    array = fit_for_free(allocator, [*pages, *chain.from_iterable(others)], 0)
    pfns = array
    memset(&stock, 0, sizeof(stock))
    stock.m = &allocator.m
    stock.n = len(pages)
    stock.nr_lists = ends.shape[0]
    if pfns.shape[0]:
        stock.pfns = &pfns[0]
        stock.others = stock.pfns + stock.n
    if stock.nr_lists:
        stock.ends = &ends[0]
    by.reclaim = _reclaim_stock
    by.self = &stock
    with nogil:
        pfn = alloc_reclaiming(&allocator.m, c, o, bits, &by)
    allocator.raise_errors()
    return -1 if pfn == NO_PFN else pfn, stock.freed, stock.in_vain

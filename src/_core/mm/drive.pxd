"""Batches on one allocator in C: requests, the check of a batch of frees, frees."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hinting._core.common cimport pfn_t
from hinting._core.mm.alloc cimport alloc_several, free_pages
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.pages cimport TAG_KIND, TAG_ORDER, TAG_PREPARED, tag_get, tag_is_used, tag_set, zone_of
from hinting._core.mm.state cimport mm_t, zone_t

cdef extern from *:
    void __builtin_prefetch(const void *) nogil

cdef enum:
    AHEAD = 8                           # entries of a batch to prefetch before they are looked at

cdef inline bint is_used_block(mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """(pfn, order) is an allocated block."""
    cdef zone_t *z
    cdef uint8_t tag
    if pfn >= m.npfn or pfn & ((<pfn_t>1 << order) - 1):
        return False
    z = zone_of(m, pfn)
    if z == NULL or pfn + (<pfn_t>1 << order) > z.end:
        return False
    tag = tag_get(m, pfn, order)
    return tag_is_used(tag) and (tag & TAG_ORDER) == order

cdef inline int64_t first_unfit(mm_t *m, const pfn_t *pfns, int64_t n, int order, uint8_t *tags) noexcept nogil:
    """Index of the first entry that cannot be freed with those before it, n if all can. tags: room for n entries.

    Every entry is marked on the way, so that a page that occurs twice is found; the marks are taken off again.
    """
    cdef int64_t i, fit = n
    for i in range(n):
        if i + AHEAD < n:
            __builtin_prefetch(&m.tag[pfns[i + AHEAD] if pfns[i + AHEAD] < m.npfn else 0])
        if not is_used_block(m, pfns[i], order):
            fit = i
            break
        tags[i] = tag_get(m, pfns[i], order)
        tag_set(m, pfns[i], order, TAG_PREPARED)
    for i in range(fit):
        tag_set(m, pfns[i], order, tags[i] & TAG_KIND)
    return fit

cdef inline void free_batch(mm_t *m, int cpu, const pfn_t *pfns, int64_t n, int order) noexcept nogil:
    """Free blocks one after the other. The caller has checked them."""
    cdef int64_t i
    for i in range(n):
        if i + AHEAD < n:
            __builtin_prefetch(&m.tag[pfns[i + AHEAD]])
        free_pages(m, cpu, pfns[i], order)

cdef inline int64_t cycle_batch(
    mm_t *m, int cpu, int order, uint32_t gfp, int64_t n, int64_t burst, pfn_t *held,
) noexcept nogil:
    """Allocate `burst` blocks and free them in that order, n times; returns the cycles done before a request fails."""
    cdef int64_t i, got
    for i in range(n):
        got = alloc_several(m, cpu, order, gfp, NULL, burst, held)
        free_batch(m, cpu, held, got, order)
        if got < burst:
            return i
    return n

cdef object fit_for_free(Allocator allocator, pfns, int order)

"""Entry points of the allocator: requests by order and gfp, frees of blocks and of lists."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hinting._core.common cimport (
    MAX_ORDER,
    MT_ISOLATE,
    MT_MOVABLE,
    NO_PFN,
    pfn_t,
)
from hinting._core.kernel cimport PCP_AUTO_TUNED, PCP_FREE_FACTOR
from hinting._core.mm.buddy cimport FPI_NONE, free_block, unlocked
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.pages cimport (
    TAG_COMPOUND,
    TAG_KIND,
    TAG_MOVABLE,
    TAG_ORDER,
    TAG_PREPARED,
    TAG_USED,
    block_type,
    covering,
    tag_clear,
    tag_get,
    tag_is_used,
    tag_set,
    zone_of,
)
from hinting._core.mm.pcp cimport lowest, pcp_put, pcp_take, pindex, ring_pop_head
from hinting._core.mm.scan cimport fast_flags, request, request_t, scan_zones, zone_admits
from hinting._core.mm.slowpath cimport alloc_slow, reclaimer_t
from hinting._core.mm.state cimport WM_LOW, ZONE_BOOSTED, mm_t, pcp_t, ring_t, zone_t
from hinting._core.mm.times cimport note_freed, note_used
from hinting._core.mm.watermark cimport wm_fast, wmark

cdef extern from *:
    bint unlikely(bint) nogil

cdef inline void mark_used(mm_t *m, pfn_t pfn, const request_t *r) noexcept nogil:
    cdef uint8_t kind = TAG_USED
    if r.mt == MT_MOVABLE:
        kind |= TAG_MOVABLE
    if r.order > 0 and r.gfp & m.k.gfp_comp:
        kind |= TAG_COMPOUND
    tag_set(m, pfn, r.order, kind)

cdef inline pfn_t alloc_request(
    mm_t *m, int cpu, const request_t *r, uint32_t flags, const reclaimer_t *by,
) noexcept nogil:
    """First page of an allocated block that serves the request, or NO_PFN. flags: its fast_flags. by: who reclaims."""
    cdef pfn_t pfn = scan_zones(m, cpu, r, flags)
    if unlikely(pfn == NO_PFN):
        pfn = alloc_slow(m, cpu, r, by)
        if pfn == NO_PFN:
            return NO_PFN
    mark_used(m, pfn, r)
    if unlikely(m.times != NULL):
        note_used(m.times, <int64_t>1 << r.order)
    if m.on_alloc != NULL:
        m.on_alloc(m.hook_self, m, cpu, pfn, r.order)
    return pfn

cdef inline pfn_t alloc_pages(mm_t *m, int cpu, int order, uint32_t gfp) noexcept nogil:
    """First page of an allocated block of 2^order pages, or NO_PFN."""
    cdef request_t r = request(m, order, gfp)
    return alloc_request(m, cpu, &r, fast_flags(m, &r), NULL)

cdef inline pfn_t alloc_reclaiming(mm_t *m, int cpu, int order, uint32_t gfp, const reclaimer_t *by) noexcept nogil:
    """The same where somebody reclaims for the request."""
    cdef request_t r = request(m, order, gfp)
    return alloc_request(m, cpu, &r, fast_flags(m, &r), by)

cdef inline int64_t alloc_listed(
    mm_t *m, int cpu, const request_t *r, uint32_t flags, int64_t most, pfn_t *out,
) noexcept nogil:
    """What up to `most` calls of alloc_request give while the per-CPU list of the preferred zone lasts; how many.

    A page taken from the list changes nothing that the watermark test looks at, so one test serves all of them.
    """
    cdef zone_t *z = &m.zone[r.preferred_zone]
    cdef pcp_t *p = pcp_of(m, z, cpu)
    cdef ring_t *list
    cdef int64_t i, n
    if not m.k.pcp_orders >> r.order & 1 or m.on_alloc != NULL or not z.populated or z.flags & ZONE_BOOSTED:
        return 0
    list = &p.list[pindex(r.mt, r.order)]
    n = lowest(list.len, most)
    if n == 0 or not zone_admits(m, z, r, flags):
        return 0
    if m.k.pcp_tuning == PCP_FREE_FACTOR:
        p.free_factor >>= lowest(n, 31)
    elif m.k.pcp_tuning == PCP_AUTO_TUNED:
        p.free_count >>= lowest(n, 31)
    p.count -= n << r.order
    for i in range(n):
        out[i] = ring_pop_head(list)
        mark_used(m, out[i], r)
    if unlikely(m.times != NULL):
        note_used(m.times, n << r.order)
    return n

cdef inline int64_t alloc_several(
    mm_t *m, int cpu, int order, uint32_t gfp, const reclaimer_t *by, int64_t n, pfn_t *out,
) noexcept nogil:
    """n calls of alloc_reclaiming, up to the first that fails; returns how many blocks there are. by: NULL for alloc_pages."""
    cdef request_t r = request(m, order, gfp)
    cdef uint32_t flags = fast_flags(m, &r)
    cdef int64_t got = 0
    while got < n:
        out[got] = alloc_request(m, cpu, &r, flags, by)
        if out[got] == NO_PFN:
            break
        got += 1
        got += alloc_listed(m, cpu, &r, flags, n - got, out + got)
    return got

cdef inline zone_t *bulk_zone(mm_t *m, const request_t *r, int64_t n) noexcept nogil:
    """The zone that serves a bulk request of n pages, or NULL: one ordinary request then."""
    cdef int i
    for i in range(r.preferred_zone, -1, -1):
        if m.zone[i].populated and wm_fast(
                m, &m.zone[i], 0, wmark(&m.zone[i], WM_LOW) + n, r.preferred_zone, WM_LOW, r.gfp):
            return &m.zone[i]
    return NULL

cdef inline pfn_t bulk_one(mm_t *m, zone_t *z, int cpu, const request_t *r) noexcept nogil:
    """One page of a bulk request: as an ordinary one, but free_factor and free_count stay."""
    cdef pfn_t pfn = pcp_take(m, z, pcp_of(m, z, cpu), cpu, 0, r.mt, WM_LOW)
    if pfn != NO_PFN:
        mark_used(m, pfn, r)
        if unlikely(m.times != NULL):
            note_used(m.times, 1)
        if m.on_alloc != NULL:
            m.on_alloc(m.hook_self, m, cpu, pfn, 0)
    return pfn

cdef inline int64_t alloc_bulk(mm_t *m, int cpu, uint32_t gfp, int64_t n, pfn_t *out) noexcept nogil:
    """Fill out with up to n single pages; returns how many (6.x)."""
    cdef request_t r = request(m, 0, gfp)
    cdef zone_t *z = NULL
    cdef int64_t got = 0
    if n > 1 and not gfp & m.k.gfp_account:
        z = bulk_zone(m, &r, n)
    while z != NULL and got < n:
        out[got] = bulk_one(m, z, cpu, &r)
        if out[got] == NO_PFN:
            break
        got += 1
    if got == 0 and n > 0:
        out[0] = alloc_pages(m, cpu, 0, gfp)
        got = 1 if out[0] != NO_PFN else 0
    return got

cdef inline void free_direct(mm_t *m, zone_t *z, int cpu, pfn_t pfn, int order, int fpi) noexcept nogil:
    """Straight to the buddy lists, by the type of the pageblock."""
    if order == MAX_ORDER and m.k.free_max_order_as_pageblocks:
        tag_clear(m, pfn, order)
        free_block(m, z, cpu, pfn, order - 1, block_type(m, pfn), fpi)
        pfn += <pfn_t>1 << (order - 1)
        order -= 1
    free_block(m, z, cpu, pfn, order, block_type(m, pfn), fpi)
    unlocked(m, cpu)

cdef inline void free_prepared(mm_t *m, zone_t *z, int cpu, pfn_t pfn, int order, int mt) noexcept nogil:
    """Put a page whose preparation is over: per-CPU list or buddy lists. mt: its pageblock's type as read before."""
    if not m.k.pcp_orders >> order & 1 or mt == MT_ISOLATE or not pcp_put(m, z, cpu, pfn, order, mt):
        free_direct(m, z, cpu, pfn, order, FPI_NONE)

cdef inline void prepare(mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    """Checks are over, the hook runs; the page is on no list yet."""
    tag_set(m, pfn, order, TAG_PREPARED)
    if unlikely(m.times != NULL):
        note_freed(m.times, pfn, order)
    if m.on_free != NULL:
        m.on_free(m.hook_self, m, cpu, pfn, order)

cdef inline void free_pages(mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    """Free an allocated block. The caller has checked that (pfn, order) is one."""
    prepare(m, cpu, pfn, order)
    free_prepared(m, zone_of(m, pfn), cpu, pfn, order, block_type(m, pfn))

cdef inline void free_list(mm_t *m, int cpu, const pfn_t *pfns, int64_t n, uint8_t *types) noexcept nogil:
    """Free a list of single pages in two passes: all are prepared, then all are put. types: room for n entries.

    The pageblock's type is read in the first pass (5.0, 6.1) or the second (6.12).
    """
    cdef int64_t i
    for i in range(n):
        prepare(m, cpu, pfns[i], 0)
        types[i] = <uint8_t>block_type(m, pfns[i])
        if types[i] == MT_ISOLATE and not m.k.strict_types:
            free_direct(m, zone_of(m, pfns[i]), cpu, pfns[i], 0, FPI_NONE)
    for i in range(n):
        if m.k.strict_types:
            free_prepared(m, zone_of(m, pfns[i]), cpu, pfns[i], 0, block_type(m, pfns[i]))
        elif types[i] != MT_ISOLATE:
            free_prepared(m, zone_of(m, pfns[i]), cpu, pfns[i], 0, types[i])

cdef inline void split_used(mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """An allocated block becomes 2^order allocated single pages."""
    cdef uint8_t kind = tag_get(m, pfn, order) & TAG_MOVABLE | TAG_USED
    cdef pfn_t i
    tag_clear(m, pfn, order)
    for i in range(<pfn_t>1 << order):
        m.tag[pfn + i] = kind

cdef inline bint carve_used(mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """Make (pfn, order) an allocated block of its own, out of allocated pages that are other blocks now.

    Recordings free pages without saying how they were allocated. False if any of the pages is not allocated.
    """
    cdef pfn_t at = pfn, head = 0
    cdef pfn_t end = pfn + (<pfn_t>1 << order)
    cdef uint8_t t, kind = TAG_USED
    while at < end:
        t = covering(m, at, &head)
        if not tag_is_used(t):
            return False
        at = head + (<pfn_t>1 << (t & TAG_ORDER))
    at = pfn
    while at < end:
        t = covering(m, at, &head)
        if t & TAG_MOVABLE:
            kind |= TAG_MOVABLE
        if t & TAG_ORDER:
            split_used(m, head, t & TAG_ORDER)
            t = t & TAG_KIND
        m.tag[at] = 0
        at += 1
    tag_set(m, pfn, order, kind)
    return True

"""Entry points of the allocator: requests by order and gfp over the zones, frees of blocks and of lists.

Follows the order of steps of the kernel's allocation and free entry points. An emulated guest has no reclaim here: a
request that would have to reclaim fails and is counted in mm_t.allocstall.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hinting._core.common cimport (
    COSTLY_ORDER,
    MAX_ORDER,
    MT_HIGHATOMIC,
    MT_ISOLATE,
    MT_MOVABLE,
    MT_PCPTYPES,
    NO_PFN,
    PAGEBLOCK_ORDER,
    ZONE_DMA,
    ZONE_DMA32,
    ZONE_MOVABLE,
    ZONE_NORMAL,
    pfn_t,
)
from hinting._core.kernel cimport RESERVE_HARDER, kernel_t
from hinting._core.mm.buddy cimport FPI_NONE, account_list, free_block, take_smallest, unlocked
from hinting._core.mm.counter cimport account, pcp_of
from hinting._core.mm.fallback cimport TAKE_NORMAL, reserve_highatomic, take
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
from hinting._core.mm.pcp cimport drain_pcp, lowest, pcp_put, pcp_take, pindex, ring_pop_head
from hinting._core.kernel cimport PCP_AUTO_TUNED, PCP_FREE_FACTOR
from hinting._core.mm.state cimport (
    WM_HIGH,
    WM_LOW,
    WM_MIN,
    ZONE_BELOW_HIGH,
    ZONE_BOOSTED,
    mm_t,
    pcp_t,
    ring_t,
    zone_t,
)
from hinting._core.mm.times cimport note_freed, note_used
from hinting._core.mm.watermark cimport (
    ALLOC_HIGHATOMIC,
    ALLOC_KSWAPD,
    ALLOC_MIN_RESERVE,
    ALLOC_NO_WATERMARKS,
    ALLOC_NOFRAGMENT,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    ALLOC_WMARK_MASK,
    wm_fast,
    wmark,
)

cdef extern from *:
    bint likely(bint) nogil
    bint unlikely(bint) nogil

ctypedef struct request_t:
    uint32_t gfp
    int order
    int mt                              # wanted migratetype
    int highest_zone                    # index of the highest zone that may be used
    int preferred_zone                  # the first populated zone of the list

cdef inline int highest_zone_of(const kernel_t *k, uint32_t gfp) noexcept nogil:
    if gfp & k.gfp_dma:
        return ZONE_DMA
    if gfp & k.gfp_dma32:
        return ZONE_DMA32
    if gfp & k.gfp_movable and gfp & k.gfp_highmem:
        return ZONE_MOVABLE
    return ZONE_NORMAL

cdef inline int migratetype_of(const kernel_t *k, uint32_t gfp) noexcept nogil:
    return (1 if gfp & k.gfp_movable else 0) + (2 if gfp & k.gfp_reclaimable else 0)

cdef inline request_t request(const mm_t *m, int order, uint32_t gfp) noexcept nogil:
    cdef request_t r
    r.gfp = gfp
    r.order = order
    r.mt = migratetype_of(&m.k, gfp)
    r.highest_zone = highest_zone_of(&m.k, gfp)
    r.preferred_zone = r.highest_zone
    while r.preferred_zone > 0 and not m.zone[r.preferred_zone].populated:
        r.preferred_zone -= 1
    return r

cdef inline uint32_t fast_flags(const mm_t *m, const request_t *r) noexcept nogil:
    cdef uint32_t flags = WM_LOW
    if r.gfp & m.k.gfp_kswapd_reclaim:
        flags |= ALLOC_KSWAPD
    if m.k.nofragment and r.preferred_zone == ZONE_NORMAL:
        flags |= ALLOC_NOFRAGMENT
    return flags

cdef inline uint32_t slow_flags(const mm_t *m, const request_t *r) noexcept nogil:
    cdef uint32_t flags = WM_MIN
    if r.gfp & m.k.gfp_high:
        flags |= ALLOC_MIN_RESERVE
    if r.gfp & m.k.gfp_kswapd_reclaim:
        flags |= ALLOC_KSWAPD
    if r.gfp & m.k.gfp_nomemalloc:
        return flags
    if m.k.reserves == RESERVE_HARDER:
        if r.gfp & m.k.gfp_atomic:
            flags |= ALLOC_NON_BLOCK
    elif not r.gfp & m.k.gfp_direct_reclaim:
        flags |= ALLOC_NON_BLOCK
        if r.order > 0 and flags & ALLOC_MIN_RESERVE:
            flags |= ALLOC_HIGHATOMIC
    return flags

cdef inline void wake_kswapd(mm_t *m) noexcept nogil:
    m.kswapd_wakeups += 1
    m.kswapd_wanted = True

cdef inline pfn_t take_direct(mm_t *m, zone_t *z, int cpu, const request_t *r, uint32_t flags) noexcept nogil:
    """A block straight from the buddy lists."""
    cdef pfn_t pfn = NO_PFN
    cdef int mode = TAKE_NORMAL
    cdef bint from_reserve = False
    if flags & (ALLOC_NON_BLOCK if m.k.reserves == RESERVE_HARDER else ALLOC_HIGHATOMIC):
        pfn = take_smallest(m, z, r.order, MT_HIGHATOMIC)
        from_reserve = pfn != NO_PFN
    if pfn == NO_PFN:
        pfn = take(m, z, cpu, r.order, r.mt, flags, &mode)
    if pfn == NO_PFN and m.k.reserves != RESERVE_HARDER and flags & (ALLOC_OOM | ALLOC_NON_BLOCK):
        pfn = take_smallest(m, z, r.order, MT_HIGHATOMIC)
        from_reserve = pfn != NO_PFN
    if pfn == NO_PFN:
        return NO_PFN
    if from_reserve:
        account_list(m, z, cpu, -(<int64_t>1 << r.order), MT_HIGHATOMIC)
    elif not m.k.account_per_block:
        account(m, z, cpu, -(<int64_t>1 << r.order))
    return pfn

cdef inline pfn_t take_from_zone(mm_t *m, zone_t *z, int cpu, const request_t *r, uint32_t flags) noexcept nogil:
    cdef pcp_t *p
    cdef pfn_t pfn = NO_PFN
    if m.k.pcp_orders >> r.order & 1:
        p = pcp_of(m, z, cpu)
        if m.k.pcp_tuning == PCP_FREE_FACTOR:
            p.free_factor >>= 1
        elif m.k.pcp_tuning == PCP_AUTO_TUNED:
            p.free_count >>= 1
        pfn = pcp_take(m, z, p, cpu, r.order, r.mt, flags)
        if pfn == NO_PFN and m.k.reserves == RESERVE_HARDER:
            return NO_PFN
    if pfn == NO_PFN:
        pfn = take_direct(m, z, cpu, r, flags)
    if pfn != NO_PFN and z.flags & ZONE_BOOSTED and (not m.k.kswapd_wake_gated or flags & ALLOC_KSWAPD):
        z.flags &= ~<uint32_t>ZONE_BOOSTED
        wake_kswapd(m)
    return pfn

cdef inline bint zone_admits(mm_t *m, zone_t *z, const request_t *r, uint32_t flags) noexcept nogil:
    """The watermark tests before a zone is tried."""
    if m.k.below_high and not z.flags & ZONE_BELOW_HIGH:
        if wm_fast(m, z, r.order, wmark(z, WM_HIGH), r.highest_zone, flags, r.gfp):
            return True
        z.flags |= ZONE_BELOW_HIGH
    return flags & ALLOC_NO_WATERMARKS or wm_fast(
        m, z, r.order, wmark(z, flags & ALLOC_WMARK_MASK), r.highest_zone, flags, r.gfp)

cdef inline pfn_t scan_zones(mm_t *m, int cpu, const request_t *r, uint32_t flags) noexcept nogil:
    """One pass over the zone list, and a second one without NOFRAGMENT if the first finds nothing."""
    cdef int i
    cdef zone_t *z
    cdef pfn_t pfn
    while True:
        for i in range(r.preferred_zone, -1, -1):
            z = &m.zone[i]
            if not z.populated or not zone_admits(m, z, r, flags):
                continue
            pfn = take_from_zone(m, z, cpu, r, flags)
            if pfn != NO_PFN:
                if flags & ALLOC_HIGHATOMIC or (
                        m.k.reserves == RESERVE_HARDER and r.order > 0 and flags & ALLOC_NON_BLOCK):
                    reserve_highatomic(m, z, cpu, pfn, r.order)
                return pfn
        if not flags & ALLOC_NOFRAGMENT:
            return NO_PFN
        flags &= ~<uint32_t>ALLOC_NOFRAGMENT

cdef inline pfn_t alloc_slow(mm_t *m, int cpu, const request_t *r) noexcept nogil:
    """The slow path as far as it decides without reclaim or compaction."""
    cdef uint32_t flags = slow_flags(m, r)
    cdef pfn_t pfn
    if flags & ALLOC_KSWAPD:
        wake_kswapd(m)
    pfn = scan_zones(m, cpu, r, flags)
    if pfn != NO_PFN:
        return pfn
    if flags & ALLOC_KSWAPD:
        wake_kswapd(m)
    if r.gfp & m.k.gfp_memalloc and not r.gfp & m.k.gfp_nomemalloc:
        flags = ALLOC_NO_WATERMARKS | (flags & ALLOC_KSWAPD)
    pfn = scan_zones(m, cpu, r, flags)
    if pfn == NO_PFN and r.gfp & m.k.gfp_direct_reclaim:
        m.allocstall += 1
    return pfn

cdef inline void mark_used(mm_t *m, pfn_t pfn, const request_t *r) noexcept nogil:
    cdef uint8_t kind = TAG_USED
    if r.mt == MT_MOVABLE:
        kind |= TAG_MOVABLE
    if r.order > 0 and r.gfp & m.k.gfp_comp:
        kind |= TAG_COMPOUND
    tag_set(m, pfn, r.order, kind)

cdef inline pfn_t alloc_request(mm_t *m, int cpu, const request_t *r, uint32_t flags) noexcept nogil:
    """First page of an allocated block that serves the request, or NO_PFN. flags: its fast_flags."""
    cdef pfn_t pfn = scan_zones(m, cpu, r, flags)
    if unlikely(pfn == NO_PFN):
        pfn = alloc_slow(m, cpu, r)
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
    return alloc_request(m, cpu, &r, fast_flags(m, &r))

cdef inline pfn_t alloc_again(mm_t *m, int cpu, int order, uint32_t gfp) noexcept nogil:
    """A further round of the slow path, after reclaim."""
    cdef request_t r = request(m, order, gfp)
    cdef uint32_t flags = slow_flags(m, &r)
    cdef pfn_t pfn
    if flags & ALLOC_KSWAPD:
        wake_kswapd(m)
    pfn = scan_zones(m, cpu, &r, flags)
    if pfn != NO_PFN:
        mark_used(m, pfn, &r)
        if m.on_alloc != NULL:
            m.on_alloc(m.hook_self, m, cpu, pfn, order)
    return pfn

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

cdef inline int64_t alloc_several(mm_t *m, int cpu, int order, uint32_t gfp, int64_t n, pfn_t *out) noexcept nogil:
    """n calls of alloc_pages, up to the first that fails; returns how many blocks there are."""
    cdef request_t r = request(m, order, gfp)
    cdef uint32_t flags = fast_flags(m, &r)
    cdef int64_t got = 0
    while got < n:
        out[got] = alloc_request(m, cpu, &r, flags)
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

cdef inline void drain_cpu(mm_t *m, int cpu, int by) noexcept nogil:
    """Empty the per-CPU lists of one CPU in all zones; `by` does the work."""
    cdef int i
    for i in range(4):
        if m.zone[i].populated:
            drain_pcp(m, &m.zone[i], pcp_of(m, &m.zone[i], cpu), by)

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

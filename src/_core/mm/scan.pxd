"""One request over the zones: what its gfp bits say, who may take, and the passes over the zone list."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport (
    MT_HIGHATOMIC,
    NO_PFN,
    ZONE_DMA,
    ZONE_DMA32,
    ZONE_MOVABLE,
    ZONE_NORMAL,
    pfn_t,
)
from hinting._core.kernel cimport PCP_AUTO_TUNED, PCP_FREE_FACTOR, RESERVE_HARDER, kernel_t
from hinting._core.mm.buddy cimport account_list, take_smallest
from hinting._core.mm.counter cimport account, pcp_of
from hinting._core.mm.fallback cimport TAKE_NORMAL, reserve_highatomic, take
from hinting._core.mm.pcp cimport pcp_take
from hinting._core.mm.state cimport WM_HIGH, WM_LOW, ZONE_BELOW_HIGH, ZONE_BOOSTED, mm_t, pcp_t, zone_t
from hinting._core.mm.watermark cimport (
    ALLOC_HIGHATOMIC,
    ALLOC_KSWAPD,
    ALLOC_NO_WATERMARKS,
    ALLOC_NOFRAGMENT,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    ALLOC_WMARK_MASK,
    wm_fast,
    wmark,
)

cdef extern from *:
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
    cdef bint listed = m.k.pcp_orders >> r.order & 1
    cdef pcp_t *p
    cdef pfn_t pfn = NO_PFN
    if listed:
        p = pcp_of(m, z, cpu)
        if m.k.pcp_tuning == PCP_FREE_FACTOR:
            p.free_factor >>= 1
        elif m.k.pcp_tuning == PCP_AUTO_TUNED:
            p.free_count >>= 1
        pfn = pcp_take(m, z, p, cpu, r.order, r.mt, flags)
    if pfn == NO_PFN and not (listed and m.k.reserves == RESERVE_HARDER):
        pfn = take_direct(m, z, cpu, r, flags)
    if unlikely(z.flags & ZONE_BOOSTED) and (not m.k.kswapd_wake_gated or flags & ALLOC_KSWAPD):
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

cdef inline bint reserves_after(const mm_t *m, const request_t *r, uint32_t flags) noexcept nogil:
    """A request that was served keeps its pageblock for others like it."""
    return flags & ALLOC_HIGHATOMIC or m.k.reserves == RESERVE_HARDER and r.order > 0 and flags & ALLOC_NON_BLOCK

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
                if reserves_after(m, r, flags):
                    reserve_highatomic(m, z, cpu, pfn, r.order)
                return pfn
        if not flags & ALLOC_NOFRAGMENT:
            return NO_PFN
        flags &= ~<uint32_t>ALLOC_NOFRAGMENT

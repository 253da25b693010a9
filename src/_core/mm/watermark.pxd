"""Who may take: watermark tests with lowmem reserves, highatomic reserve and the allocation flags."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport MT_HIGHATOMIC, MT_MOVABLE, MT_RECLAIMABLE, MT_UNMOVABLE
from hinting._core.kernel cimport RESERVE_HARDER
from hinting._core.mm.state cimport WM_MIN, mm_t, zone_t

cdef enum:
    # Allocation flags, in an encoding of our own that serves all versions.
    ALLOC_WMARK_MASK = 3
    ALLOC_NO_WATERMARKS = 4
    ALLOC_NON_BLOCK = 8                 # 6.x: cannot reclaim; 5.0: HARDER
    ALLOC_MIN_RESERVE = 16              # 6.x; 5.0: HIGH
    ALLOC_HIGHATOMIC = 32
    ALLOC_OOM = 64
    ALLOC_NOFRAGMENT = 128
    ALLOC_KSWAPD = 256
    ALLOC_RESERVES = ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_HIGHATOMIC | ALLOC_OOM

cdef inline int64_t wmark(const zone_t *z, int index) noexcept nogil:
    """The effective watermark: the boost counts for every index."""
    return z.watermark[index] + z.boost

cdef inline bint wm_ok(
    const mm_t *m, const zone_t *z, int order, int64_t mark, int highest_zone, uint32_t flags, int64_t free,
) noexcept nogil:
    """The full watermark test. free: the zone's counter; mark: pages, already boosted or not as the caller wants."""
    cdef unsigned int lists
    free = (free if free > 0 else 0) - ((<int64_t>1 << order) - 1)
    if m.k.reserves == RESERVE_HARDER:
        if flags & ALLOC_MIN_RESERVE:
            mark -= mark // 2
        if flags & (ALLOC_NON_BLOCK | ALLOC_OOM):
            mark -= mark // 2 if flags & ALLOC_OOM else mark // 4
        else:
            free -= z.nr_reserved_highatomic
    elif not flags & ALLOC_RESERVES:
        free -= z.nr_free_highatomic if m.k.counts_free_highatomic else z.nr_reserved_highatomic
    else:
        if flags & ALLOC_MIN_RESERVE:
            mark -= mark // 2
            if flags & ALLOC_NON_BLOCK:
                mark -= mark // 4
        if flags & ALLOC_OOM:
            mark -= mark // 2
    if free <= mark + z.lowmem_reserve[highest_zone]:
        return False
    if order == 0:
        return True
    lists = z.nonempty[MT_UNMOVABLE] | z.nonempty[MT_MOVABLE] | z.nonempty[MT_RECLAIMABLE]
    if flags & ALLOC_OOM or flags & (ALLOC_NON_BLOCK if m.k.reserves == RESERVE_HARDER else ALLOC_HIGHATOMIC):
        lists |= z.nonempty[MT_HIGHATOMIC]
    return (lists >> order) != 0

cdef inline bint wm_fast(
    const mm_t *m, const zone_t *z, int order, int64_t mark, int highest_zone, uint32_t flags, uint32_t gfp,
) noexcept nogil:
    """The quick test of the allocation path, and its repeat without the boost where the version has one."""
    cdef int64_t free = z.counter if z.counter > 0 else 0
    cdef int64_t reserved = 0
    if order == 0:
        if m.k.reserves != RESERVE_HARDER and not flags & ALLOC_RESERVES:
            reserved = z.nr_free_highatomic if m.k.counts_free_highatomic else z.nr_reserved_highatomic
            reserved = reserved if reserved < free else free
        if free - reserved > mark + z.lowmem_reserve[highest_zone]:
            return True
    if wm_ok(m, z, order, mark, highest_zone, flags, free):
        return True
    if order == 0 and m.k.boost_unblocked and z.boost > 0 and (flags & ALLOC_WMARK_MASK) == WM_MIN:
        if flags & ALLOC_MIN_RESERVE if m.k.kswapd_wake_gated else gfp & m.k.gfp_atomic:
            return wm_ok(m, z, 0, z.watermark[WM_MIN], highest_zone, flags, free)
    return False

"""The slow path of a request: what it does when the first pass over the zones found nothing.

Follows the order of steps of the kernel's __alloc_pages_slowpath without compaction. Who reclaims is the caller's
affair: an emulated guest with processes and page cache has a reclaimer; on the allocator alone there is none, and a
request that would have to reclaim fails and is counted in mm_t.allocstall.
"""

from libc.stdint cimport uint32_t

from hinting._core.common cimport COSTLY_ORDER, NO_PFN, pfn_t
from hinting._core.kernel cimport RESERVE_HARDER
from hinting._core.mm.fallback cimport unreserve_highatomic
from hinting._core.mm.pcp cimport drain_all
from hinting._core.mm.scan cimport request_t, scan_zones, wake_kswapd
from hinting._core.mm.state cimport WM_HIGH, WM_MIN, mm_t
from hinting._core.mm.watermark cimport (
    ALLOC_HIGHATOMIC,
    ALLOC_KSWAPD,
    ALLOC_MIN_RESERVE,
    ALLOC_NO_WATERMARKS,
    ALLOC_NON_BLOCK,
)

cdef enum:
    MAX_RECLAIM_RETRIES = 16            # rounds of reclaim in vain before the OOM killer

ctypedef struct reclaimer_t:
    bint (*reclaim)(void *self, int cpu) noexcept nogil     # one round of direct reclaim; whether it set pages free
    void *self

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

cdef inline bint unreserve_zones(mm_t *m, int cpu, const request_t *r, bint force) noexcept nogil:
    """Give one pageblock of the highatomic reserve back, from the highest zone down; whether free pages moved."""
    cdef int i
    for i in range(r.preferred_zone, -1, -1):
        if m.zone[i].populated and unreserve_highatomic(m, &m.zone[i], cpu, r.mt, force):
            return True
    return False

cdef inline pfn_t scan_again(mm_t *m, int cpu, const request_t *r, uint32_t *flags) noexcept nogil:
    """A round begins: kswapd is woken, and who may ignore the watermarks does so from now on."""
    if flags[0] & ALLOC_KSWAPD:
        wake_kswapd(m)
    if r.gfp & m.k.gfp_memalloc and not r.gfp & m.k.gfp_nomemalloc:
        flags[0] = ALLOC_NO_WATERMARKS | (flags[0] & ALLOC_KSWAPD)
    return scan_zones(m, cpu, r, flags[0])

cdef inline pfn_t scan_after_reclaim(
    mm_t *m, int cpu, const request_t *r, uint32_t flags, bint *drained,
) noexcept nogil:
    """Reclaim set pages free. If they do not serve the request, the reserve and the per-CPU lists may hold what does."""
    cdef pfn_t pfn = scan_zones(m, cpu, r, flags)
    if pfn == NO_PFN:
        unreserve_zones(m, cpu, r, False)
        drain_all(m, cpu)
        drained[0] = True
        pfn = scan_zones(m, cpu, r, flags)
    return pfn

cdef inline pfn_t reclaim_and_scan(
    mm_t *m, int cpu, const request_t *r, uint32_t flags, const reclaimer_t *by,
) noexcept nogil:
    """Rounds of direct reclaim as long as they help, then a last look at the high watermark before the OOM killer.

    NO_PFN: the request fails, or the guest is out of memory; nobody is killed here. The per-CPU lists are emptied at
    least once before the guest counts as out of memory: real reclaim never finds nothing at all.
    """
    cdef bint drained = False, progress
    cdef int in_vain = 0
    cdef pfn_t pfn
    while True:
        progress = by.reclaim(by.self, cpu)
        if progress:
            pfn = scan_after_reclaim(m, cpu, r, flags, &drained)
            if pfn != NO_PFN:
                return pfn
        if r.gfp & m.k.gfp_noretry or r.order > COSTLY_ORDER and not r.gfp & m.k.gfp_retry_mayfail:
            return NO_PFN
        in_vain = 0 if progress and r.order <= COSTLY_ORDER else in_vain + 1
        if in_vain > MAX_RECLAIM_RETRIES and not unreserve_zones(m, cpu, r, True):
            if drained:
                return scan_zones(m, cpu, r, WM_HIGH)
            drain_all(m, cpu)
            drained = True
        pfn = scan_again(m, cpu, r, &flags)
        if pfn != NO_PFN:
            return pfn

cdef inline pfn_t alloc_slow(mm_t *m, int cpu, const request_t *r, const reclaimer_t *by) noexcept nogil:
    """A block for a request that the first pass did not serve. by: who reclaims for it, NULL: nobody."""
    cdef uint32_t flags = slow_flags(m, r)
    cdef pfn_t pfn
    if flags & ALLOC_KSWAPD:
        wake_kswapd(m)
    pfn = scan_zones(m, cpu, r, flags)
    if pfn == NO_PFN:
        pfn = scan_again(m, cpu, r, &flags)
    if pfn == NO_PFN and r.gfp & m.k.gfp_direct_reclaim:
        m.allocstall += 1
        if by != NULL:
            pfn = reclaim_and_scan(m, cpu, r, flags, by)
    if pfn == NO_PFN and r.gfp & m.k.gfp_nofail:
        pfn = scan_zones(m, cpu, r, ALLOC_NON_BLOCK if m.k.reserves == RESERVE_HARDER else ALLOC_MIN_RESERVE)
    return pfn

"""What one row of a recording does at request level, shared by the levels at which the cores choose."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hinting._core.common cimport (
    MAX_CPUS,
    MAX_ORDER,
    MT_ISOLATE,
    MT_MOVABLE,
    MT_PCPTYPES,
    NO_PFN,
    PAGEBLOCK_ORDER,
    pfn_t,
)
from hinting._core.kernel cimport RESERVE_HARDER
from hinting._core.mm.alloc cimport (
    bulk_one,
    bulk_zone,
    carve_used,
    free_direct,
    free_prepared,
    mark_used,
    prepare,
)
from hinting._core.engine.replay cimport (
    BY_COMPACTION,
    BY_OTHERS,
    FREE_DIRECT,
    PATH_BULK,
    PATH_DIRECT,
    ROW_ALLOC,
    ROW_ALLOC_FAIL,
    ROW_DECAY,
    ROW_DRAIN,
    ROW_FREE,
    ROW_INSERT,
    ROW_ISOLATE,
    ROW_LEAVE,
    ROW_PUTBACK,
    ROW_RETURN,
    ROW_ROTATE,
    ROW_VMFOLD,
    events_t,
)
from hinting._core.mm.buddy cimport (
    FPI_NONE,
    FPI_SKIP_REPORT_NOTIFY,
    FPI_TO_TAIL,
    account_list,
    isolate,
    list_add,
    list_del,
    mark_reported,
    put_back,
    rotate_to_front,
)
from hinting._core.mm.counter cimport fold, pcp_of
from hinting._core.mm.pages cimport (
    TAG_ISOLATED,
    TAG_MOVABLE,
    TAG_ORDER,
    TAG_USED,
    block_type,
    covering,
    tag_get,
    tag_is_buddy,
    tag_is_used,
    tag_set,
    zone_of,
)
from hinting._core.mm.pcp cimport bulk_drain, decayed_excess, pindex, ring_push_head
from hinting._core.mm.scan cimport (
    fast_flags,
    request,
    request_t,
    scan_zones,
    take_direct,
    take_from_zone,
    zone_admits,
)
from hinting._core.mm.slowpath cimport alloc_slow, slow_flags
from hinting._core.mm.state cimport WM_LOW, mm_t, pcp_t, zone_t
from hinting._core.mm.watermark cimport ALLOC_NOFRAGMENT, ALLOC_WMARK_MASK, wm_fast, wmark

cdef enum:
    KERNEL_RESERVES = 0x08 | 0x10 | 0x200   # ALLOC.aflags: OOM, NON_BLOCK, HIGHATOMIC

ctypedef struct tally_t:
    int64_t rows                        # rows that were inputs
    int64_t allocations
    int64_t identical
    int64_t refused                     # rows that the emulated state could not follow
    int64_t first_row                   # first row where the choice differs, -1
    int64_t first_expected
    int64_t first_chosen                # -1: no page
    int64_t assisted                    # requests whose zone was taken from the recording: CPUs raced, bulk of unknown size
    int64_t decaying[MAX_CPUS]          # 6.12: pages that the decay running on a CPU has yet to drain
    bint failing[MAX_CPUS]              # a pass over the zones found nothing for the request under way on a CPU
    bint reporting                      # put backs are those of page reporting: they mark

cdef inline pfn_t mapped(const uint32_t *actual, pfn_t pfn) noexcept nogil:
    """The emulated page that stands for a recorded one since a choice differed."""
    return pfn if actual == NULL or actual[pfn] == 0 else actual[pfn] - 1

cdef inline void compare(events_t *e, tally_t *t, uint32_t *actual, int64_t i, pfn_t chosen) noexcept nogil:
    cdef pfn_t expected = <pfn_t>e.pfn[i]
    cdef int order = e.order[i]
    cdef pfn_t k
    t.allocations += 1
    if chosen == expected:
        t.identical += 1
    elif t.first_row < 0:
        t.first_row = i
        t.first_expected = expected
        t.first_chosen = -1 if chosen == NO_PFN else chosen
    if t.first_row >= 0:
        for k in range(<pfn_t>1 << order):
            actual[expected + k] = 0 if chosen == expected else (
                <uint32_t>NO_PFN if chosen == NO_PFN else chosen + k + 1)

cdef inline bint raced(mm_t *m, events_t *e, int64_t i, const request_t *r, uint32_t flags) noexcept nogil:
    """The request saw another free-page counter than the emulated one, and it decides between two zones."""
    cdef zone_t *z = &m.zone[r.preferred_zone]
    cdef int64_t own = z.counter
    cdef bint admitted, recorded
    if m.ncpus == 1 or e.e[i] < 0 or e.e[i] == own:
        return False
    admitted = wm_fast(m, z, r.order, wmark(z, flags & ALLOC_WMARK_MASK), r.highest_zone, flags, r.gfp)
    z.counter = e.e[i]
    recorded = wm_fast(m, z, r.order, wmark(z, flags & ALLOC_WMARK_MASK), r.highest_zone, flags, r.gfp)
    z.counter = own
    return admitted != recorded

cdef inline bint serves_unmixed(mm_t *m, zone_t *z, int cpu, const request_t *r) noexcept nogil:
    """The zone has a page of the wanted type, or a whole pageblock of another one."""
    return (z.nonempty[r.mt] >> r.order != 0
            or m.k.pcp_orders >> r.order & 1 and pcp_of(m, z, cpu).list[pindex(r.mt, r.order)].len > 0
            or (z.nonempty[0] | z.nonempty[1] | z.nonempty[2]) >> PAGEBLOCK_ORDER != 0)

cdef inline bint close_call(mm_t *m, events_t *e, int64_t i, const request_t *r, uint32_t flags) noexcept nogil:
    """Several CPUs: a watermark test decided otherwise than recorded, or might have, by what the CPUs may keep back.

    Only the preferred zone's counter is recorded. The recorded zone passed its test, if it was the fast path that took
    the page. A zone that was looked at and not taken failed it, or mixing pageblocks was not wanted there.
    """
    cdef int zone
    cdef zone_t *z
    cdef zone_t *taken = &m.zone[e.zone[i]]
    cdef int64_t mark
    if m.ncpus == 1 or e.aflags[i] < 0 or e.aflags[i] & ALLOC_WMARK_MASK != WM_LOW:
        return False
    if not wm_fast(m, taken, r.order, wmark(taken, WM_LOW), r.highest_zone, flags, r.gfp):
        return True
    for zone in range(r.preferred_zone, -1, -1):
        z = &m.zone[zone]
        mark = wmark(z, WM_LOW)
        if not z.populated or z == taken or not wm_fast(m, z, r.order, mark, r.highest_zone, flags, r.gfp):
            continue
        mark += z.lowmem_reserve[r.highest_zone] + (<int64_t>1 << r.order)
        if z.counter - mark > m.ncpus * (z.threshold + pcp_of(m, z, 0).batch):
            continue
        if zone > taken.index or flags & ALLOC_NOFRAGMENT and not serves_unmixed(m, taken, e.cpu[i], r):
            return True
    return False

cdef inline pfn_t take_recorded_zone(mm_t *m, events_t *e, int64_t i, const request_t *r, uint32_t flags) noexcept nogil:
    cdef pfn_t pfn = take_from_zone(m, &m.zone[e.zone[i]], e.cpu[i], r, flags)
    if pfn == NO_PFN and flags & ALLOC_NOFRAGMENT:
        pfn = take_from_zone(m, &m.zone[e.zone[i]], e.cpu[i], r, flags & ~<uint32_t>ALLOC_NOFRAGMENT)
    return pfn

cdef inline bint passed_by_lists(const mm_t *m, const events_t *e, int64_t i) noexcept nogil:
    """A request of an order with per-CPU lists that was served straight from the free lists.

    It interrupted an owner of the lists, whose lock it could not get. (From a reserve it comes that way too, but then
    the lists had nothing.)
    """
    return e.aux[i] == PATH_DIRECT and m.k.pcp_orders >> e.order[i] & 1 and m.k.reserves != RESERVE_HARDER and (
        e.aflags[i] < 0 or not e.aflags[i] & KERNEL_RESERVES)

cdef inline pfn_t scan_passing_by(mm_t *m, int cpu, const request_t *r, uint32_t flags) noexcept nogil:
    """As scan_zones, without the per-CPU lists."""
    cdef int zone
    cdef pfn_t pfn
    while True:
        for zone in range(r.preferred_zone, -1, -1):
            if m.zone[zone].populated and zone_admits(m, &m.zone[zone], r, flags):
                pfn = take_direct(m, &m.zone[zone], cpu, r, flags)
                if pfn != NO_PFN:
                    return pfn
        if not flags & ALLOC_NOFRAGMENT:
            return NO_PFN
        flags &= ~<uint32_t>ALLOC_NOFRAGMENT

cdef inline pfn_t bulk_row(mm_t *m, events_t *e, tally_t *t, int64_t i, const request_t *r) noexcept nogil:
    """A page of the bulk interface. How many were asked for is not recorded: at least those that follow."""
    cdef int64_t n = 1, k = i + 1
    cdef zone_t *z
    while k < e.n and e.kind[k] == ROW_ALLOC and e.aux[k] == PATH_BULK and e.cpu[k] == e.cpu[i]:
        n += 1
        k += 1
    z = bulk_zone(m, r, n)
    if z == NULL or z.index != e.zone[i]:
        t.assisted += 1
        z = &m.zone[e.zone[i]]
    return bulk_one(m, z, e.cpu[i], r)

cdef inline pfn_t alloc_row(mm_t *m, events_t *e, tally_t *t, int64_t i) noexcept nogil:
    cdef request_t r
    cdef uint32_t flags
    cdef int cpu = e.cpu[i]
    cdef pfn_t pfn
    r = request(m, e.order[i], e.gfp[i])
    r.mt = e.mt[i]
    if e.aux[i] == PATH_BULK:                   # a bulk row does not say its zones
        return bulk_row(m, e, t, i, &r)
    r.highest_zone = <int>(e.a[i] & 15)
    r.preferred_zone = <int>(e.a[i] >> 4)
    flags = fast_flags(m, &r)
    if passed_by_lists(m, e, i):
        pfn = scan_passing_by(m, cpu, &r, flags)
        if pfn == NO_PFN:
            pfn = scan_passing_by(m, cpu, &r, slow_flags(m, &r))
    elif raced(m, e, i, &r, flags) or close_call(m, e, i, &r, flags):
        t.assisted += 1
        pfn = take_recorded_zone(m, e, i, &r, flags)
    else:
        pfn = scan_zones(m, cpu, &r, flags)
        if pfn == NO_PFN:
            pfn = alloc_slow(m, cpu, &r, NULL)
    if pfn != NO_PFN:
        mark_used(m, pfn, &r)
    return pfn

cdef inline bint fail_row(mm_t *m, events_t *e, tally_t *t, int64_t i) noexcept nogil:
    """A pass over the zones found nothing (aux 0), or the request failed (aux 1); False if it would not fail here.

    A request that fails without such a pass had its page already, which another row frees: a charge was refused.
    """
    cdef int cpu = e.cpu[i]
    cdef bint failing = t.failing[cpu]
    cdef request_t r
    cdef pfn_t pfn
    t.failing[cpu] = e.aux[i] == 0
    if e.aux[i] == 0 or not failing or not 0 <= e.order[i] <= MAX_ORDER or not 0 <= e.mt[i] < MT_PCPTYPES:
        return True
    r = request(m, e.order[i], e.gfp[i])
    r.mt = e.mt[i]
    pfn = scan_zones(m, cpu, &r, fast_flags(m, &r))
    if pfn == NO_PFN:
        pfn = alloc_slow(m, cpu, &r, NULL)
    if pfn == NO_PFN:
        return True
    mark_used(m, pfn, &r)
    free_direct(m, zone_of(m, pfn), cpu, pfn, r.order, FPI_NONE)
    return False

cdef inline bint free_row(mm_t *m, events_t *e, int64_t i, const uint32_t *actual) noexcept nogil:
    cdef pfn_t pfn = mapped(actual, <pfn_t>e.pfn[i])
    cdef int order = e.order[i]
    cdef int cpu = e.cpu[i]
    cdef zone_t *z
    cdef uint8_t tag
    cdef int fpi
    if pfn >= m.npfn or pfn & ((<pfn_t>1 << order) - 1):
        return False
    z = zone_of(m, pfn)
    if z == NULL:
        return False
    tag = tag_get(m, pfn, order)
    if not (tag_is_used(tag) and (tag & TAG_ORDER) == order) and not carve_used(m, pfn, order):
        return False
    prepare(m, cpu, pfn, order)
    if e.aux[i] == FREE_DIRECT:
        fpi = (FPI_SKIP_REPORT_NOTIFY if e.a[i] & 1 else 0) | (FPI_TO_TAIL if e.a[i] & 2 else 0)
        free_direct(m, z, cpu, pfn, order, fpi)
    else:
        free_prepared(m, z, cpu, pfn, order, block_type(m, pfn))
    return True

cdef inline bint leave_row(mm_t *m, events_t *e, int64_t i) noexcept nogil:
    """A free block leaves its list for others than a request: its pages are in use from now on.

    Compaction does so with its migration targets. The row need not say the order.
    """
    cdef pfn_t pfn = <pfn_t>e.pfn[i], head = NO_PFN
    cdef uint8_t tag = covering(m, pfn, &head)
    cdef int order = tag & TAG_ORDER
    cdef zone_t *z = zone_of(m, pfn)
    if z == NULL or not tag_is_buddy(tag) or head != pfn or e.order[i] >= 0 and e.order[i] != order:
        return False
    account_list(m, z, e.cpu[i], -(<int64_t>1 << order), block_type(m, pfn))
    list_del(m, z, pfn, order)
    tag_set(m, pfn, order, TAG_USED | TAG_MOVABLE)
    return True

cdef inline bint insert_row(mm_t *m, events_t *e, int64_t i) noexcept nogil:
    """A block in use enters a free list as it is, at the head."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef int order = e.order[i]
    cdef int mt = e.mt[i] if e.mt[i] >= 0 else block_type(m, pfn)
    if order < 0 or order > MAX_ORDER or mt > MT_ISOLATE or pfn & ((<pfn_t>1 << order) - 1) or not carve_used(m, pfn, order):
        return False
    account_list(m, zone_of(m, pfn), e.cpu[i], <int64_t>1 << order, mt)
    list_add(m, zone_of(m, pfn), pfn, order, mt, False)
    return True

cdef inline bint isolate_row(mm_t *m, events_t *e, int64_t i) noexcept nogil:
    """A free block is isolated: page reporting and hinting put it back, compaction uses its pages."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef int order = e.order[i]
    cdef uint8_t tag
    if e.aux[i] == 0:
        return True
    if e.a[i] == BY_COMPACTION or e.a[i] == BY_OTHERS:
        return leave_row(m, e, i)
    if order < 0 or order > MAX_ORDER or pfn & ((<pfn_t>1 << order) - 1):
        return False
    tag = tag_get(m, pfn, order)
    return tag_is_buddy(tag) and (tag & TAG_ORDER) == order and isolate(m, zone_of(m, pfn), e.cpu[i], pfn, order)

cdef inline bint return_row(mm_t *m, events_t *e, int64_t i, int fpi) noexcept nogil:
    """A block that was isolated, or left its list in another way, goes back."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef int order = e.order[i]
    cdef uint8_t tag = tag_get(m, pfn, order)
    if tag != (TAG_ISOLATED | order) and not (tag_is_used(tag) and (tag & TAG_ORDER) == order):
        return False
    put_back(m, zone_of(m, pfn), e.cpu[i], pfn, order, fpi)
    return True

cdef inline bint rotate_row(mm_t *m, pfn_t pfn) noexcept nogil:
    """A free block becomes the first of its list. The row need not say its order."""
    cdef pfn_t head = NO_PFN
    cdef uint8_t tag = covering(m, pfn, &head)
    if not tag_is_buddy(tag) or head != pfn:
        return False
    rotate_to_front(m, pfn, tag & TAG_ORDER)
    return True

cdef inline void outside_drain(mm_t *m, events_t *e, tally_t *t, int64_t i) noexcept nogil:
    """A drain that no free caused. The steps of a decay are ours: the row only says when one is made."""
    cdef zone_t *z = &m.zone[e.zone[i]]
    cdef pcp_t *p = pcp_of(m, z, e.order[i])
    cdef int64_t *left = &t.decaying[e.cpu[i]]
    if left[0] > 0:
        bulk_drain(m, z, p, e.cpu[i], left[0] if left[0] < p.batch else p.batch, 0)
        left[0] -= p.batch
    else:
        bulk_drain(m, z, p, e.cpu[i], e.a[i], <int>e.b[i])

cdef inline void request_row(mm_t *m, events_t *e, tally_t *t, uint32_t *actual, int64_t i) noexcept nogil:
    """One row at request level."""
    cdef int kind = e.kind[i]
    cdef int cpu = e.cpu[i]
    cdef bint fine = True
    if kind == ROW_ALLOC:
        t.failing[cpu] = False
        compare(e, t, actual, i, alloc_row(m, e, t, i))
    elif kind == ROW_DRAIN:
        outside_drain(m, e, t, i)
    elif kind == ROW_FREE:
        fine = free_row(m, e, i, actual if t.first_row >= 0 else NULL)
    elif kind == ROW_ISOLATE:
        fine = isolate_row(m, e, i)
    elif kind == ROW_PUTBACK:
        fine = return_row(m, e, i, FPI_TO_TAIL | FPI_SKIP_REPORT_NOTIFY)
        if fine and t.reporting:
            mark_reported(m, <pfn_t>e.pfn[i], e.order[i])
    elif kind == ROW_RETURN:
        fine = return_row(m, e, i, FPI_NONE)
    elif kind == ROW_ROTATE:
        fine = rotate_row(m, <pfn_t>e.pfn[i])
    elif kind == ROW_VMFOLD:
        fold(m, cpu)
    elif kind == ROW_ALLOC_FAIL:
        fine = fail_row(m, e, t, i)
    elif kind == ROW_LEAVE:
        fine = leave_row(m, e, i)
    elif kind == ROW_INSERT:
        fine = insert_row(m, e, i)
    elif kind == ROW_DECAY:
        t.decaying[cpu] = decayed_excess(pcp_of(m, &m.zone[e.zone[i]], e.aux[i]), &m.k)
    else:
        return
    t.rows += 1
    if not fine:
        t.refused += 1

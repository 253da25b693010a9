"""Replay of a recording in which reclaim or compaction acted: their recorded effects are inputs.

What kswapd, direct reclaim and compaction do to zones is not emulated here, and parts of it (the moment at which a
boost ends, compaction's walks over free lists) are not recorded either. Taken from the recording are: the zone and the
allocation flags of each request, how many pages each drain moves, whether a fallback claimed its pageblock, blocks
that compaction took, and highatomic pageblocks that were given back. Compaction's scans also rotate free lists, which
only shows in the first block that is taken from such a list afterwards: at most once a list and compaction, the list is
rotated to that block. Which pages all this yields is still decided here.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from hinting._core.common cimport MT_HIGHATOMIC, MT_ISOLATE, MT_MOVABLE, MT_PCPTYPES, NO_PFN, NR_ZONES, PAGEBLOCK_ORDER, pfn_t
from hinting._core.engine.replay cimport (
    FREE_DIRECT,
    PATH_BULK,
    ROW_ALLOC,
    ROW_COMPACT,
    ROW_DRAIN,
    ROW_EXTFRAG,
    ROW_FREE,
    ROW_ISOLATE,
    ROW_LEAVE,
    ROW_OVERFLOW,
    ROW_RMQ,
    ROW_SETPB,
    events_t,
)
from hinting._core.engine.replay_steps cimport compare, mapped, request_row, tally_t
from hinting._core.mm.alloc cimport (
    bulk_one,
    carve_used,
    free_direct,
    mark_used,
    prepare,
    request,
    request_t,
    take_from_zone,
)
from hinting._core.mm.buddy cimport FPI_NONE, FPI_TO_TAIL, account_list, list_del, move_block, rotate_to_front
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.fallback cimport reserve_highatomic
from hinting._core.mm.pages cimport (
    TAG_MOVABLE,
    TAG_ORDER,
    TAG_USED,
    block_type,
    covering,
    list_first,
    tag_get,
    tag_is_buddy,
    tag_is_used,
    tag_set,
    zone_of,
)
from hinting._core.mm.pcp cimport bulk_drain, mark_pcp, pindex, ring_push_head
from hinting._core.mm.state cimport mm_t, pcp_t, zone_t
from hinting._core.mm.watermark cimport (
    ALLOC_HIGHATOMIC,
    ALLOC_KSWAPD,
    ALLOC_MIN_RESERVE,
    ALLOC_NO_WATERMARKS,
    ALLOC_NOFRAGMENT,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    ALLOC_WMARK_MASK,
)

cdef enum:
    MAX_CLAIMS = 256                    # fallbacks of one request

ctypedef struct pressure_t:             # recorded effects that were taken as inputs
    int64_t zones                       # requests whose zone and flags were taken
    int64_t drains
    int64_t claims
    int64_t blocks                      # blocks that compaction took
    int64_t unreserved                  # highatomic pageblocks given back
    int64_t rotations                   # free lists that compaction had rotated
    uint16_t rotatable[NR_ZONES]        # bit o: the MOVABLE list of order o was not looked at since compaction acted
    uint8_t claimed[MAX_CLAIMS]         # of the request under way
    int nr_claimed

cdef inline uint32_t recorded_flags(int64_t aflags) noexcept nogil:
    """Allocation flags as 6.x numbers them, in the encoding of the cores."""
    cdef uint32_t flags = <uint32_t>aflags & ALLOC_WMARK_MASK
    if aflags & 0x04:
        flags |= ALLOC_NO_WATERMARKS
    if aflags & 0x08:
        flags |= ALLOC_OOM
    if aflags & 0x10:
        flags |= ALLOC_NON_BLOCK
    if aflags & 0x20:
        flags |= ALLOC_MIN_RESERVE
    if aflags & 0x100:
        flags |= ALLOC_NOFRAGMENT
    if aflags & 0x200:
        flags |= ALLOC_HIGHATOMIC
    if aflags & 0x800:
        flags |= ALLOC_KSWAPD
    return flags

cdef inline void pressed_alloc(mm_t *m, events_t *e, tally_t *t, pressure_t *p, uint32_t *actual, int64_t i) noexcept nogil:
    cdef request_t r = request(m, e.order[i], e.gfp[i])
    cdef zone_t *z = &m.zone[e.zone[i]]
    cdef int cpu = e.cpu[i]
    cdef uint32_t flags
    cdef pfn_t pfn
    r.mt = e.mt[i]
    p.zones += 1
    m.claims = p.claimed
    m.nr_claims = p.nr_claimed
    if e.aux[i] == PATH_BULK:
        pfn = bulk_one(m, z, cpu, &r)
    else:
        r.highest_zone = <int>(e.a[i] & 15)
        r.preferred_zone = <int>(e.a[i] >> 4)
        flags = recorded_flags(e.aflags[i])
        pfn = take_from_zone(m, z, cpu, &r, flags)
        if pfn != NO_PFN:
            mark_used(m, pfn, &r)
            if flags & ALLOC_HIGHATOMIC:
                reserve_highatomic(m, z, cpu, pfn, r.order)
    m.claims = NULL
    p.nr_claimed = 0
    compare(m, e, t, actual, i, pfn)

cdef inline bint pressed_free(mm_t *m, events_t *e, uint32_t *actual, int64_t i) noexcept nogil:
    """As ever, but what overflows waits for the recorded drain."""
    cdef pfn_t pfn = mapped(actual, <pfn_t>e.pfn[i])
    cdef int order = e.order[i], cpu = e.cpu[i], mt
    cdef zone_t *z
    cdef pcp_t *p
    cdef uint8_t tag
    if pfn >= m.npfn or pfn & ((<pfn_t>1 << order) - 1) or zone_of(m, pfn) == NULL:
        return False
    z = zone_of(m, pfn)
    tag = tag_get(m, pfn, order)
    if not (tag_is_used(tag) and (tag & TAG_ORDER) == order) and not carve_used(m, pfn, order):
        return False
    prepare(m, cpu, pfn, order)
    mt = block_type(m, pfn)
    p = pcp_of(m, z, cpu)
    if e.aux[i] == FREE_DIRECT or mt == MT_ISOLATE or not ring_push_head(
            m, &p.list[pindex(mt if mt < MT_PCPTYPES else MT_MOVABLE, order)], pfn):
        free_direct(m, z, cpu, pfn, order, FPI_TO_TAIL if e.aux[i] == FREE_DIRECT and e.a[i] & 2 else FPI_NONE)
        return True
    mark_pcp(m, pfn, order, mt)
    p.count += <int64_t>1 << order
    return True

cdef inline bint taken_block(mm_t *m, events_t *e, int64_t i) noexcept nogil:
    """Compaction takes a free block: its pages are in use from now on, as migration targets."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef int order = e.order[i]
    cdef uint8_t tag = tag_get(m, pfn, order)
    cdef zone_t *z = zone_of(m, pfn)
    if z == NULL or not tag_is_buddy(tag) or (tag & TAG_ORDER) != order:
        return False
    account_list(m, z, e.cpu[i], -(<int64_t>1 << order), block_type(m, pfn))
    list_del(m, z, pfn, order)
    tag_set(m, pfn, order, TAG_USED | TAG_MOVABLE)
    return True

cdef inline void see_rotation(mm_t *m, events_t *e, pressure_t *p, int64_t i) noexcept nogil:
    """A block leaves a MOVABLE list for the first time since compaction: where it stands, the list begins."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i], head = 0
    cdef zone_t *z = zone_of(m, pfn)
    cdef uint8_t tag = covering(m, pfn, &head)
    cdef int order = tag & TAG_ORDER
    if z == NULL or e.mt[i] != MT_MOVABLE or not tag_is_buddy(tag) or head != pfn or order < e.order[i]:
        return
    if p.rotatable[z.index] >> order & 1:
        p.rotatable[z.index] &= <uint16_t>~(1 << order)
        if list_first(m, z.index, MT_MOVABLE, order) != pfn:
            rotate_to_front(m, z, pfn, order)
            p.rotations += 1

cdef inline void pressed_row(mm_t *m, events_t *e, tally_t *t, pressure_t *p, uint32_t *actual, int64_t i) noexcept nogil:
    """One row at request level, with recorded effects as inputs."""
    cdef int kind = e.kind[i]
    cdef zone_t *z
    cdef int zone
    cdef int64_t movable
    if kind == ROW_ALLOC:
        pressed_alloc(m, e, t, p, actual, i)
    elif kind == ROW_FREE:
        t.refused += not pressed_free(m, e, actual if t.first_row >= 0 else NULL, i)
    elif kind == ROW_DRAIN or kind == ROW_OVERFLOW:
        z = &m.zone[e.zone[i]]
        bulk_drain(m, z, pcp_of(m, z, e.order[i]), e.cpu[i], e.a[i], <int>e.b[i])
        p.drains += 1
    elif kind == ROW_COMPACT:
        for zone in range(NR_ZONES):
            p.rotatable[zone] = <uint16_t>0x7FF
        return
    elif kind == ROW_RMQ:
        see_rotation(m, e, p, i)
        return
    elif kind == ROW_EXTFRAG:
        if p.nr_claimed < MAX_CLAIMS:
            p.claimed[p.nr_claimed] = e.aux[i] == 1
            p.nr_claimed += 1
            p.claims += 1
        return
    elif kind == ROW_ISOLATE and e.aux[i] == 1 or kind == ROW_LEAVE:
        t.refused += not taken_block(m, e, i)
        p.blocks += 1
    elif kind == ROW_SETPB:
        if block_type(m, <pfn_t>e.pfn[i]) != MT_HIGHATOMIC or e.mt[i] == MT_HIGHATOMIC:
            return
        m.pageblock[e.pfn[i] >> PAGEBLOCK_ORDER] = <uint8_t>e.mt[i]
        move_block(m, zone_of(m, <pfn_t>e.pfn[i]), e.cpu[i], <pfn_t>e.pfn[i], e.mt[i], &movable)
        p.unreserved += 1
    else:
        request_row(m, e, t, actual, i)
        return
    t.rows += 1

"""Replay of a recording in which reclaim or compaction acted: their recorded effects are inputs.

What kswapd, direct reclaim and compaction do to zones is not emulated here, and parts of it (the moment at which a
boost ends, compaction's walks over free lists) are not recorded either. Taken from the recording are: the zone, the
allocation flags and the zone's marks of each request, how many pages each drain moves, whether a fallback claimed its
pageblock, blocks that compaction took or captured, and highatomic pageblocks that were given back. What of it the
cores would have decided otherwise is counted.

Compaction's scans also reorder free lists. That only shows where a block is taken that is not the first of its list;
for blocks that lay on their list when compaction last acted, the list is rotated to begin there. Which pages all this
yields is still decided here.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from hinting._core.common cimport (
    MAX_CPUS,
    MAX_ORDER,
    MT_HIGHATOMIC,
    MT_ISOLATE,
    MT_MOVABLE,
    NO_PFN,
    NR_MIGRATETYPES,
    NR_ORDERS,
    NR_ZONES,
    PAGEBLOCK_ORDER,
    PAGEBLOCK_PAGES,
    pfn_t,
)
from hinting._core.engine.replay cimport (
    BY_COMPACTION,
    BY_OTHERS,
    FREE_DIRECT,
    PATH_BULK,
    PATH_CAPTURED,
    ROW_ALLOC,
    ROW_ALLOC_FAIL,
    ROW_COMPACT,
    ROW_COMPACT_END,
    ROW_DRAIN,
    ROW_EXTFRAG,
    ROW_FREE,
    ROW_ISOLATE,
    ROW_LEAVE,
    ROW_OVERFLOW,
    ROW_RMQ,
    ROW_SETPB,
    ROW_STEAL,
    events_t,
)
from hinting._core.engine.replay_steps cimport compare, mapped, passed_by_lists, request_row, tally_t
from hinting._core.kernel cimport RESERVE_HARDER
from hinting._core.mm.alloc cimport bulk_one, carve_used, free_direct, mark_used, prepare
from hinting._core.mm.buddy cimport FPI_NONE, FPI_TO_TAIL, account_list, list_del, move_block, rotate_to_front
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.fallback cimport reserve_highatomic
from hinting._core.mm.pages cimport (
    TAG_ORDER,
    block_type,
    covering,
    links_of,
    list_head,
    node_of,
    pfn_of_node,
    tag_get,
    tag_is_buddy,
    tag_is_used,
    zone_of,
)
from hinting._core.mm.pcp cimport bulk_drain, drain_overflow, pcp_overflow, pcp_push
from hinting._core.mm.scan cimport fast_flags, request, request_t, reserves_after, take_direct, take_from_zone
from hinting._core.mm.state cimport link_t, mm_t, pcp_t, zone_t
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

cdef enum:
    MAX_CLAIMS = 256                    # fallbacks of one request
    MAX_AHEAD = 64                      # blocks that a request takes from one list

ctypedef struct effects_t:              # recorded effects that the cores would not have had by themselves
    int64_t zones                       # requests whose zone or flags are not those of the fast path
    int64_t marks                       # changes of a zone's boost or flags
    int64_t drains                      # drains of another size
    int64_t claims                      # fallbacks that claimed their pageblock, or did not, against the rule
    int64_t blocks                      # blocks that compaction took or captured
    int64_t unreserved                  # highatomic pageblocks given back
    int64_t rotations                   # free lists that compaction had reordered

ctypedef struct fallbacks_t:            # of the request under way on a CPU
    uint8_t claimed[MAX_CLAIMS]         # as mm_t.claims
    int n

ctypedef struct pressure_t:
    effects_t n
    uint8_t *listed                     # [pfn] order + 1 of a MOVABLE list that the block was on when compaction acted
    int64_t due[MAX_CPUS]               # pages that the last free would drain
    uint16_t taken[MAX_CPUS][NR_ORDERS]     # blocks of an order that the request under way took so far
    fallbacks_t fallbacks[MAX_CPUS]

cdef inline uint32_t recorded_flags(const mm_t *m, int64_t aflags) noexcept nogil:
    """Allocation flags as the kernel numbers them, in the encoding of the cores; 5.0 has KSWAPD where 6.x has HIGHATOMIC."""
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
        flags |= ALLOC_KSWAPD if m.k.reserves == RESERVE_HARDER else ALLOC_HIGHATOMIC
    if aflags & 0x800:
        flags |= ALLOC_KSWAPD
    return flags

cdef inline bint is_own_way(mm_t *m, const request_t *r, uint32_t flags, const zone_t *z) noexcept nogil:
    """The fast path here would try the same zone first, with the same flags."""
    cdef uint32_t own = fast_flags(m, r)
    cdef int i
    for i in range(r.preferred_zone, -1, -1):
        if m.zone[i].populated and wm_fast(
                m, &m.zone[i], r.order, wmark(&m.zone[i], own & ALLOC_WMARK_MASK), r.highest_zone, own, r.gfp):
            return own == flags and i == z.index
    return False

cdef inline void take_marks(zone_t *z, pressure_t *p, int64_t recorded) noexcept nogil:
    """The boost and the flags of the preferred zone when the pass began."""
    if recorded >= 0 and (z.boost != recorded & 0xFFFF or z.flags != <uint32_t>(recorded >> 16)):
        z.boost = recorded & 0xFFFF
        z.flags = <uint32_t>(recorded >> 16)
        p.n.marks += 1

cdef inline pfn_t captured(mm_t *m, events_t *e, pressure_t *p, int64_t i) noexcept nogil:
    """Compaction hands out the block that the frees before this row have formed; NO_PFN if they have not."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef int order = e.order[i]
    cdef uint8_t tag = tag_get(m, pfn, order)
    if not tag_is_buddy(tag) or (tag & TAG_ORDER) != order:
        return NO_PFN
    account_list(m, zone_of(m, pfn), e.cpu[i], -(<int64_t>1 << order), block_type(m, pfn))
    list_del(m, zone_of(m, pfn), pfn, order)
    p.n.blocks += 1
    return pfn

cdef inline void pressed_alloc(mm_t *m, events_t *e, tally_t *t, pressure_t *p, uint32_t *actual, int64_t i) noexcept nogil:
    cdef request_t r = request(m, e.order[i], e.gfp[i])
    cdef zone_t *z = &m.zone[e.zone[i]]
    cdef int cpu = e.cpu[i], order
    cdef uint32_t flags
    cdef pfn_t pfn = NO_PFN
    r.mt = e.mt[i]
    m.claims = p.fallbacks[cpu].claimed
    m.nr_claims = p.fallbacks[cpu].n
    m.overruled = 0
    if e.aux[i] == PATH_BULK:
        pfn = bulk_one(m, z, cpu, &r)
    else:
        r.highest_zone = <int>(e.a[i] & 15)
        r.preferred_zone = <int>(e.a[i] >> 4)
        take_marks(&m.zone[r.preferred_zone], p, e.f[i])
        if e.aux[i] == PATH_CAPTURED:
            pfn = captured(m, e, p, i)
        if pfn == NO_PFN:
            flags = recorded_flags(m, e.aflags[i])
            p.n.zones += not is_own_way(m, &r, flags, z)
            if passed_by_lists(m, e, i):
                pfn = take_direct(m, z, cpu, &r, flags & ~<uint32_t>ALLOC_NOFRAGMENT)
            else:
                pfn = take_from_zone(m, z, cpu, &r, flags)
            if pfn == NO_PFN and flags & ALLOC_NOFRAGMENT:      # the flags are those with which the pass began
                pfn = take_from_zone(m, z, cpu, &r, flags & ~<uint32_t>ALLOC_NOFRAGMENT)
            if pfn != NO_PFN and reserves_after(m, &r, flags):
                reserve_highatomic(m, z, cpu, pfn, r.order)
        if pfn != NO_PFN:
            mark_used(m, pfn, &r)
    p.n.claims += m.overruled
    m.claims = NULL
    m.nr_claims = p.fallbacks[cpu].n = 0
    for order in range(NR_ORDERS):
        p.taken[cpu][order] = 0
    compare(e, t, actual, i, pfn)

cdef inline void pressed_put(mm_t *m, events_t *e, pressure_t *p, int64_t i, pfn_t pfn) noexcept nogil:
    """A prepared page reaches its list; what overflows waits for the recorded drain."""
    cdef int order = e.order[i], cpu = e.cpu[i]
    cdef int mt = block_type(m, pfn)
    cdef zone_t *z = zone_of(m, pfn)
    cdef pcp_t *own = pcp_of(m, z, cpu)
    p.n.drains += p.due[cpu] != 0       # the kernel did not drain
    p.due[cpu] = 0
    if e.aux[i] == FREE_DIRECT or mt == MT_ISOLATE or not pcp_push(m, own, pfn, order, mt):
        free_direct(m, z, cpu, pfn, order, FPI_TO_TAIL if e.aux[i] == FREE_DIRECT and e.a[i] & 2 else FPI_NONE)
    else:
        p.due[cpu] = pcp_overflow(m, z, own, order)

cdef inline bint pressed_free(mm_t *m, events_t *e, pressure_t *p, uint32_t *actual, int64_t i) noexcept nogil:
    cdef pfn_t pfn = mapped(actual, <pfn_t>e.pfn[i])
    cdef int order = e.order[i]
    cdef uint8_t tag
    if pfn >= m.npfn or pfn & ((<pfn_t>1 << order) - 1) or zone_of(m, pfn) == NULL:
        return False
    tag = tag_get(m, pfn, order)
    if not (tag_is_used(tag) and (tag & TAG_ORDER) == order) and not carve_used(m, pfn, order):
        return False
    prepare(m, e.cpu[i], pfn, order)
    pressed_put(m, e, p, i, pfn)
    return True

cdef inline void pressed_drain(mm_t *m, events_t *e, pressure_t *p, int64_t i) noexcept nogil:
    cdef zone_t *z = &m.zone[e.zone[i]]
    cdef pcp_t *own = pcp_of(m, z, e.order[i])
    if e.kind[i] == ROW_DRAIN:
        bulk_drain(m, z, own, e.cpu[i], e.a[i], <int>e.b[i])
        return
    p.n.drains += p.due[e.cpu[i]] != e.a[i]
    p.due[e.cpu[i]] = 0
    drain_overflow(m, z, own, e.cpu[i], e.a[i], <int>e.b[i])

cdef inline void note_lists(mm_t *m, pressure_t *p) noexcept nogil:
    """Compaction acts: what is on the MOVABLE lists now may be in another order."""
    cdef int zone, order
    cdef uint32_t node, head
    for zone in range(NR_ZONES):
        for order in range(NR_ORDERS):
            head = list_head(m, zone, MT_MOVABLE, order)
            node = links_of(m, order)[head].next
            while m.zone[zone].populated and node != head:
                p.listed[pfn_of_node(node, order)] = <uint8_t>(order + 1)
                node = links_of(m, order)[node].next

cdef inline bint begins_compacting(const events_t *e) noexcept nogil:
    """Compaction was under way at the start: it ends without having begun."""
    cdef int64_t i
    for i in range(e.n):
        if e.kind[i] == ROW_COMPACT or e.kind[i] == ROW_COMPACT_END:
            return e.kind[i] == ROW_COMPACT_END
    return False

cdef inline void reorder(mm_t *m, zone_t *z, pfn_t pfn, int order, int ahead) noexcept nogil:
    """Rotate a list so that the block comes right behind the first `ahead` ones."""
    cdef link_t *links = links_of(m, order)
    cdef uint32_t head = list_head(m, z.index, MT_MOVABLE, order)
    cdef uint32_t first[MAX_AHEAD]
    cdef uint32_t node = head
    cdef int k
    for k in range(ahead):
        node = links[node].next
        first[k] = node
    rotate_to_front(m, pfn, order)
    for k in range(ahead - 1, -1, -1):
        node = first[k]
        links[links[node].prev].next = links[node].next
        links[links[node].next].prev = links[node].prev
        links[node].prev = head
        links[node].next = links[head].next
        links[links[head].next].prev = node
        links[head].next = node

cdef inline void see_order(mm_t *m, events_t *e, pressure_t *p, int64_t i) noexcept nogil:
    """A request takes, or a fallback looks at, a free block: it has to be the first of its list that is left."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i], head = 0
    cdef int cpu = e.cpu[i], _k
    cdef zone_t *z = zone_of(m, pfn)
    cdef uint8_t tag = covering(m, pfn, &head) if z != NULL else 0
    cdef int order = tag & TAG_ORDER
    cdef uint32_t base, node
    cdef int ahead
    if not tag_is_buddy(tag) or head != pfn or order < e.order[i]:
        return
    ahead = p.taken[cpu][order]
    base = m.nblocks if order == MAX_ORDER else m.span
    if e.kind[i] == ROW_RMQ:
        p.taken[cpu][order] += 1
    node = node_of(pfn, order)
    for _k in range(ahead + 1):
        node = links_of(m, order)[node].prev
        if node >= base:
            return
    if ahead >= MAX_AHEAD or p.listed[pfn] != order + 1:
        return
    while node < base:
        node = links_of(m, order)[node].prev
    if ((node - base) >> 4) % NR_MIGRATETYPES == MT_MOVABLE:
        reorder(m, z, pfn, order, ahead)
        p.n.rotations += 1

cdef inline void see_unreserved(mm_t *m, events_t *e, pressure_t *p, int64_t i) noexcept nogil:
    """A highatomic pageblock gets another type; every other change of a type is decided here."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef zone_t *z = zone_of(m, pfn)
    cdef int64_t movable
    if z == NULL or block_type(m, pfn) != MT_HIGHATOMIC or e.mt[i] == MT_HIGHATOMIC:
        return
    move_block(m, z, e.cpu[i], pfn, e.mt[i], &movable)
    m.pageblock[pfn >> PAGEBLOCK_ORDER] = <uint8_t>e.mt[i]
    z.nr_reserved_highatomic -= PAGEBLOCK_PAGES if z.nr_reserved_highatomic > PAGEBLOCK_PAGES else z.nr_reserved_highatomic
    p.n.unreserved += 1

cdef inline void pressed_row(mm_t *m, events_t *e, tally_t *t, pressure_t *p, uint32_t *actual, int64_t i) noexcept nogil:
    """One row at request level, with recorded effects as inputs."""
    cdef int kind = e.kind[i]
    cdef fallbacks_t *f = &p.fallbacks[e.cpu[i]]
    if kind == ROW_ALLOC:
        pressed_alloc(m, e, t, p, actual, i)
    elif kind == ROW_FREE:
        t.refused += not pressed_free(m, e, p, actual if t.first_row >= 0 else NULL, i)
    elif kind == ROW_DRAIN or kind == ROW_OVERFLOW:
        pressed_drain(m, e, p, i)
    elif kind == ROW_COMPACT or kind == ROW_COMPACT_END:
        note_lists(m, p)
        return
    elif kind == ROW_RMQ or kind == ROW_STEAL:
        see_order(m, e, p, i)
        return
    elif kind == ROW_EXTFRAG:
        if f.n < MAX_CLAIMS:
            f.claimed[f.n] = (e.aux[i] == 1) | <uint8_t>(e.a[i] & 15) << 1
            f.n += 1
        return
    elif kind == ROW_SETPB:
        see_unreserved(m, e, p, i)
        return
    elif kind == ROW_ALLOC_FAIL:
        f.n = 0
        return
    else:
        p.n.blocks += kind == ROW_LEAVE or kind == ROW_ISOLATE and e.aux[i] == 1 and (
            e.a[i] == BY_COMPACTION or e.a[i] == BY_OTHERS)
        request_row(m, e, t, actual, i)
        return
    t.rows += 1

cdef inline void plain_row(mm_t *m, events_t *e, tally_t *t, pressure_t *p, uint32_t *actual, int64_t i) noexcept nogil:
    """One row at request level. p: NULL if neither reclaim nor compaction acted."""
    if p == NULL:
        request_row(m, e, t, actual, i)
    else:
        pressed_row(m, e, t, p, actual, i)

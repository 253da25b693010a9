"""Replay at state level: the recorded choices are forced row by row, and only the lists must come out right."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hinting._core.common cimport MAX_CPUS, MT_MOVABLE, MT_PCPTYPES, NR_MIGRATETYPES, PAGEBLOCK_ORDER, pfn_t
from hinting._core.engine.replay cimport (
    BY_COMPACTION,
    BY_OTHERS,
    FREE_DIRECT,
    PATH_BULK,
    PATH_CAPTURED,
    PATH_PCP,
    ROW_ALLOC,
    ROW_DRAIN,
    ROW_DRAINED,
    ROW_FREE,
    ROW_INSERT,
    ROW_ISOLATE,
    ROW_LEAVE,
    ROW_MOVE,
    ROW_OVERFLOW,
    ROW_PUTBACK,
    ROW_RETURN,
    ROW_RMQ,
    ROW_ROTATE,
    ROW_SETPB,
    Events,
    Replay,
    events_t,
)
from hinting._core.engine.replay_steps cimport insert_row
from hinting._core.mm.alloc cimport carve_used, prepare
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.buddy cimport (
    FPI_NONE,
    FPI_SKIP_REPORT_NOTIFY,
    FPI_TO_TAIL,
    account_list,
    expand,
    free_block,
    list_del,
    mark_reported,
    move_block,
    move_tail,
    rotate_to_front,
)
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.pages cimport (
    TAG_ISOLATED,
    TAG_MOVABLE,
    TAG_ORDER,
    TAG_USED,
    block_type,
    covering,
    links_of,
    node_of,
    tag_get,
    tag_is_buddy,
    tag_is_used,
    tag_set,
    zone_of,
)
from hinting._core.mm.pcp cimport mark_pcp, pindex, ring_at, ring_pop_head, ring_pop_tail, ring_push_head, ring_push_tail
from hinting._core.mm.state cimport link_t, mm_t, pcp_t, ring_t, zone_t

ctypedef struct forced_t:
    int64_t rows                        # rows that changed the state
    int64_t allocations
    int64_t identical                   # pages that were where an allocation takes them from
    int64_t refused                     # rows that the state could not follow
    int64_t first_row                   # first row that found its page elsewhere or not at all, -1
    bint reporting                      # put backs are those of page reporting: they mark
    int drains[MAX_CPUS]                # CPU whose page lists the last drain of each CPU works on


cdef int list_type(mm_t *m, pfn_t pfn, int order, bint *is_first) noexcept nogil:
    """Migratetype of the list that a free block is on, and whether it is the first there."""
    cdef link_t *links = links_of(m, order)
    cdef uint32_t base = m.nblocks if order == 10 else m.span
    cdef uint32_t node = links[node_of(pfn, order)].prev
    is_first[0] = node >= base
    while node < base:
        node = links[node].prev
    return ((node - base) >> 4) % NR_MIGRATETYPES


cdef uint8_t head_tag(mm_t *m, pfn_t pfn) noexcept nogil:
    """Tag of the free block whose first page is pfn, 0 if there is none."""
    cdef pfn_t head = 0
    cdef uint8_t tag = covering(m, pfn, &head)
    return tag if tag_is_buddy(tag) and head == pfn else 0


cdef bint remove_from(ring_t *r, pfn_t pfn) noexcept nogil:
    """Take a page out of the middle of a per-CPU list; False if it is not there."""
    cdef uint32_t i, at = r.len
    for i in range(r.len):
        if ring_at(r, i) == pfn:
            at = i
            break
    if at == r.len:
        return False
    for i in range(at, 0, -1):
        r.buf[(r.head + i) & r.mask] = r.buf[(r.head + i - 1) & r.mask]
    ring_pop_head(r)
    return True


cdef bint take_block(mm_t *m, events_t *e, int64_t i) noexcept nogil:
    """RMQ: a block leaves the free lists, to the tail of a per-CPU list or to its requester."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef int order = e.order[i], mt = e.mt[i], cpu = e.cpu[i]
    cdef zone_t *z = zone_of(m, pfn)
    cdef uint8_t tag = head_tag(m, pfn)
    cdef int high = tag & TAG_ORDER
    cdef int lt
    cdef bint is_first = False
    if not tag or high < order:
        return False
    lt = list_type(m, pfn, high, &is_first)
    if m.k.strict_types:
        lt = block_type(m, pfn)         # the rest of a claimed pageblock has its new type
    list_del(m, z, pfn, high)
    expand(m, z, pfn, high, order, lt)
    account_list(m, z, cpu, -(<int64_t>1 << order), lt)
    if e.aux[i] == 1:
        if not ring_push_tail(m, &pcp_of(m, z, cpu).list[pindex(mt, order)], pfn):
            return False
        pcp_of(m, z, cpu).count += <int64_t>1 << order
        mark_pcp(m, pfn, order, mt)
    else:
        tag_set(m, pfn, order, TAG_USED)
    return is_first


cdef bint hand_out(mm_t *m, events_t *e, int64_t i) noexcept nogil:
    """ALLOC: a page leaves its per-CPU list, or was taken from the free lists by the RMQ row before."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef int order = e.order[i]
    cdef zone_t *z = zone_of(m, pfn)
    cdef pcp_t *p = pcp_of(m, z, e.cpu[i])
    cdef ring_t *r
    cdef bint fine = True
    if e.aux[i] == PATH_PCP or e.aux[i] == PATH_BULK:
        r = &p.list[pindex(e.mt[i], order)]
        fine = r.len > 0 and ring_at(r, 0) == pfn
        if fine:
            ring_pop_head(r)
        elif not remove_from(r, pfn):
            return False
        p.count -= <int64_t>1 << order
    elif e.aux[i] == PATH_CAPTURED and tag_is_buddy(tag_get(m, pfn, order)):
        fine = leave(m, e, i, TAG_USED)
    tag_set(m, pfn, order, TAG_USED | (TAG_MOVABLE if e.mt[i] == MT_MOVABLE else 0))
    return fine


cdef bint take_in(mm_t *m, events_t *e, int64_t i) noexcept nogil:
    """FREE: a page enters its per-CPU list, or the free lists directly."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef int order = e.order[i], cpu = e.cpu[i]
    cdef zone_t *z = zone_of(m, pfn)
    cdef uint8_t tag = tag_get(m, pfn, order)
    cdef int mt = block_type(m, pfn)
    if z == NULL or not (tag_is_used(tag) and (tag & TAG_ORDER) == order) and not carve_used(m, pfn, order):
        return False
    prepare(m, cpu, pfn, order)
    if e.aux[i] == FREE_DIRECT:
        free_block(m, z, cpu, pfn, order, mt, FPI_TO_TAIL if e.a[i] & 2 else FPI_NONE)
        return True
    if not ring_push_head(m, &pcp_of(m, z, cpu).list[pindex(mt if mt < MT_PCPTYPES else MT_MOVABLE, order)], pfn):
        return False
    pcp_of(m, z, cpu).count += <int64_t>1 << order
    mark_pcp(m, pfn, order, mt)
    return True


cdef bint drain_one(mm_t *m, events_t *e, int64_t i, int owner) noexcept nogil:
    """DRAINED: a page goes from the tail of one of a CPU's lists to the free lists."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef int order = e.order[i]
    cdef zone_t *z = zone_of(m, pfn)
    cdef pcp_t *p = pcp_of(m, z, owner)
    cdef int mt
    cdef bint fine
    cdef ring_t *r
    for mt in range(MT_PCPTYPES):
        r = &p.list[pindex(mt, order)]
        fine = r.len > 0 and ring_at(r, r.len - 1) == pfn
        if fine:
            ring_pop_tail(r)
        elif not remove_from(r, pfn):
            continue
        p.count -= <int64_t>1 << order
        free_block(m, z, e.cpu[i], pfn, order, e.mt[i], FPI_NONE)
        return fine
    return False


cdef bint give_back(mm_t *m, events_t *e, int64_t i, bint reported) noexcept nogil:
    """PUTBACK (to the tail), HINT_RETURN: an isolated block returns."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef uint8_t tag = tag_get(m, pfn, e.order[i])
    cdef int fpi = FPI_TO_TAIL | FPI_SKIP_REPORT_NOTIFY if e.kind[i] == ROW_PUTBACK else FPI_NONE
    if tag != (TAG_ISOLATED | e.order[i]) and not (tag_is_used(tag) and (tag & TAG_ORDER) == e.order[i]):
        return False
    if not tag_is_used(tag):
        m.isolated -= <int64_t>1 << e.order[i]
    free_block(m, zone_of(m, pfn), e.cpu[i], pfn, e.order[i], e.mt[i], fpi)
    if reported:
        mark_reported(m, pfn, e.order[i])
    return True


cdef void set_type(mm_t *m, events_t *e, int64_t i) noexcept nogil:
    """SETPB. In 6.12 a block's list is always that of its pageblock's type, so the free blocks go along."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef int64_t movable
    if m.k.strict_types and block_type(m, pfn) != e.mt[i] and zone_of(m, pfn) != NULL:
        move_block(m, zone_of(m, pfn), e.cpu[i], pfn, e.mt[i], &movable)
    m.pageblock[pfn >> PAGEBLOCK_ORDER] = <uint8_t>e.mt[i]


cdef bint leave(mm_t *m, events_t *e, int64_t i, uint8_t kind) noexcept nogil:
    """ISOLATE, LEAVE: a whole block leaves the free lists. kind: what it is then."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef zone_t *z = zone_of(m, pfn)
    cdef uint8_t tag = head_tag(m, pfn)
    cdef int order = tag & TAG_ORDER
    cdef bint is_first = False
    if not tag or e.order[i] >= 0 and e.order[i] != order:
        return False
    account_list(m, z, e.cpu[i], -(<int64_t>1 << order), list_type(m, pfn, order, &is_first))
    list_del(m, z, pfn, order)
    tag_set(m, pfn, order, kind)
    if kind == TAG_ISOLATED:
        m.isolated += <int64_t>1 << order
    return True


cdef bint one_row(mm_t *m, events_t *e, forced_t *t, int64_t i) noexcept nogil:
    cdef int kind = e.kind[i]
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef uint8_t tag
    cdef bint used
    if kind == ROW_ALLOC:
        return hand_out(m, e, i)
    if kind == ROW_FREE:
        return take_in(m, e, i)
    if kind == ROW_RMQ:
        return take_block(m, e, i)
    if kind == ROW_DRAIN or kind == ROW_OVERFLOW:
        t.drains[e.cpu[i]] = e.order[i]
        return True
    if kind == ROW_DRAINED:
        return drain_one(m, e, i, t.drains[e.cpu[i]])
    if kind == ROW_MOVE:
        tag = head_tag(m, pfn)
        if tag:
            move_tail(m, zone_of(m, pfn), pfn, tag & TAG_ORDER, e.mt[i])
        return tag != 0
    if kind == ROW_SETPB:
        set_type(m, e, i)
        return True
    if kind == ROW_ISOLATE:
        used = e.a[i] == BY_COMPACTION or e.a[i] == BY_OTHERS
        return e.aux[i] == 0 or leave(m, e, i, TAG_USED | TAG_MOVABLE if used else TAG_ISOLATED)
    if kind == ROW_LEAVE:
        return leave(m, e, i, TAG_USED | TAG_MOVABLE)
    if kind == ROW_INSERT:
        return insert_row(m, e, i)
    if kind == ROW_PUTBACK or kind == ROW_RETURN:
        return give_back(m, e, i, kind == ROW_PUTBACK and t.reporting)
    if kind == ROW_ROTATE:
        tag = head_tag(m, pfn)
        if tag:
            rotate_to_front(m, pfn, tag & TAG_ORDER)
        return tag != 0
    t.rows -= 1
    return True


cdef class StateReplay(Replay):
    """reporting: the recording has page reporting, whose put backs mark blocks."""

    cdef forced_t t

    def __init__(self, Allocator allocator not None, Events events not None, *, bint reporting=False):
        super().__init__(allocator, events)
        self.t.first_row = -1
        self.t.reporting = reporting

    cdef void rows(self, int64_t stop) noexcept nogil:
        cdef mm_t *m = &self.allocator.m
        cdef events_t *e = &self.events.e
        cdef forced_t *t = &self.t
        cdef int64_t i
        cdef bint fine
        for i in range(self.at, stop):
            fine = one_row(m, e, t, i)
            t.rows += 1
            if e.kind[i] == ROW_ALLOC:
                t.allocations += 1
                t.identical += fine
            elif not fine:
                t.refused += 1
            if not fine and t.first_row < 0:
                t.first_row = i

    def result(self):
        """The tally: rows that changed the state, pages found where they should be, rows that were not possible."""
        return {"rows": self.t.rows, "allocations": self.t.allocations, "identical": self.t.identical,
                "refused": self.t.refused, "first_row": self.t.first_row}

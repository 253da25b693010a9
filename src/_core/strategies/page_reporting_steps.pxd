"""What page reporting does, one decision at a time: isolate or be refused, rotate, report, put back, end the pass.

Follows page_reporting_process_zone, page_reporting_cycle and page_reporting_drain (mm/page_reporting.c, Linux 5.7 to
6.12). Each step says what it decided, so that a replay can hold it against a recording of the kernel. Between two
steps of one free list the kernel keeps the zone lock; it lets go of it between lists and while the host works, and
there others may change the lists.
"""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport MAX_ORDER, MT_ISOLATE, NO_PFN, NR_ZONES, pfn_t
from hinting._core.mm.buddy cimport (
    isolate,
    mark_reported,
    put_back,
    rotate_to_front,
)
from hinting._core.mm.pages cimport (
    TAG_KIND,
    TAG_REPORTED,
    links_of,
    list_first,
    list_head,
    node_of,
    pfn_of_node,
    tag_get,
    zone_of,
)
from hinting._core.mm.state cimport WM_LOW, link_t, mm_t, zone_t
from hinting._core.mm.watermark cimport wm_ok, wmark
from hinting._core.strategies.hooks cimport block_t, hold_begins, hold_ends, strategy_t

cdef enum state_t:
    REPORTING_IDLE
    REPORTING_REQUESTED                 # the work is queued, or will be when the pass ends
    REPORTING_ACTIVE

cdef enum place_t:                      # where the worker stands
    AT_NONE                             # no pass under way
    AT_ZONE                             # before a zone's watermark test
    AT_LIST                             # before taking the lock for a list, or past the last one of the zone
    AT_BLOCK                            # lock held, at an unreported block
    AT_STOP                             # lock held, the walk stops at a block that has to become the first
    AT_FULL                             # no slot is left, the block at hand is the first of its list
    AT_HOST                             # the host works on the blocks in the slots
    AT_RETURN                           # lock held, the blocks go back

cdef enum decision_t:
    PR_ISOLATED                         # the block is off its list and in a slot
    PR_REFUSED                          # the min watermark forbids it
    PR_ROTATED                          # the block is the first of its list now
    PR_REPORT                           # all blocks in the slots go to the host; pfn and order of the first
    PR_RETURNED                         # the block is back on its list
    PR_DONE                             # the pass is over
    PR_WAITS                            # no decision before the host's answer

ctypedef struct decided_t:
    int kind                            # decision_t
    pfn_t pfn
    int order

ctypedef struct statistics_t:
    int64_t passes
    int64_t reports
    int64_t reported_blocks
    int64_t marked                      # put back and marked
    int64_t merged                      # put back, but merged: not marked
    int64_t refused
    int64_t rotations
    int64_t budget_stops                # lists left before their end for lack of budget
    int64_t skipped_zones               # too little free memory
    int64_t most_out                    # most blocks out at once

ctypedef struct reporting_t:
    strategy_t *s                       # the hook table it belongs to
    int min_order                       # page_reporting_order
    int64_t capacity                    # PAGE_REPORTING_CAPACITY
    int64_t divisor                     # a pass reports a list's blocks / (capacity x divisor) times, 0: no limit
    bint low_watermark_rule
    int fpi                             # FPI_* of a put back
    bint keep_mark_on_split             # no released kernel
    int state                           # state_t
    int place                           # place_t
    int zone
    int order
    int mt
    int64_t budget                      # reports that this list has left
    pfn_t block                         # AT_BLOCK, AT_STOP, AT_FULL: the block at hand
    block_t *slot                       # filled from the last to the first
    int64_t free_slots                  # those before this index; the kernel's offset
    int64_t returned                    # AT_RETURN: next slot that goes back
    bint leftover                       # the report under way ends the zone
    statistics_t n

cdef inline bint request_pass(reporting_t *r) noexcept nogil:
    """There is something to report; True if the delayed work is to be queued (__page_reporting_request)."""
    cdef int was = r.state
    r.state = REPORTING_REQUESTED
    return was == REPORTING_IDLE

cdef inline void begin_pass(reporting_t *r) noexcept nogil:
    r.state = REPORTING_ACTIVE
    r.place = AT_ZONE
    r.zone = 0
    r.n.passes += 1

cdef inline bint end_pass(reporting_t *r) noexcept nogil:
    """True if the work is to be queued again: there was a request meanwhile, or a list was left for lack of budget."""
    r.place = AT_NONE
    if r.state == REPORTING_ACTIVE:
        r.state = REPORTING_IDLE
    return r.state == REPORTING_REQUESTED

cdef inline bint zone_qualifies(const reporting_t *r, const mm_t *m, const zone_t *z) noexcept nogil:
    """More is free than the low watermark and one report of the smallest blocks."""
    cdef int64_t mark = wmark(z, WM_LOW) + (r.capacity << r.min_order)
    return not r.low_watermark_rule or wm_ok(m, z, 0, mark, 0, 0, z.counter)

cdef inline void next_list(reporting_t *r) noexcept nogil:
    hold_ends(r.s)
    r.place = AT_LIST
    r.mt += 1
    if r.mt == MT_ISOLATE:
        r.mt = 0
        r.order += 1

cdef inline void find_block(reporting_t *r, mm_t *m, uint32_t node) noexcept nogil:
    """Walk on from a node to the next unreported block, or leave the list at its end."""
    cdef link_t *links = links_of(m, r.order)
    cdef uint32_t head = list_head(m, r.zone, r.mt, r.order)
    while node != head:
        r.s.work.probes += 1
        r.block = pfn_of_node(node, r.order)
        if (tag_get(m, r.block, r.order) & TAG_KIND) != TAG_REPORTED:
            r.place = AT_BLOCK
            return
        node = links[node].next
    next_list(r)

cdef inline void look_again(reporting_t *r, mm_t *m) noexcept nogil:
    """Others ran since the blocks went back, and the walk goes on from the first block there is by now."""
    cdef int64_t probes = r.s.work.probes
    find_block(r, m, links_of(m, r.order)[list_head(m, r.zone, r.mt, r.order)].next)
    r.s.work.probes = probes

cdef inline void enter_list(reporting_t *r, mm_t *m) noexcept nogil:
    """Take the lock and go to the first unreported block. An empty list is seen without the lock."""
    cdef uint32_t first = links_of(m, r.order)[list_head(m, r.zone, r.mt, r.order)].next
    cdef int64_t unit = r.capacity * r.divisor
    if first == list_head(m, r.zone, r.mt, r.order):
        next_list(r)
        return
    r.s.work.locks += 1
    hold_begins(r.s)
    if unit:
        r.budget = (m.zone[r.zone].nr_free[r.order] + unit - 1) // unit
    find_block(r, m, first)

cdef inline bint bring_to_front(reporting_t *r, mm_t *m) noexcept nogil:
    """Rotate the list so that the block at hand is the first; False if it is already."""
    if list_first(m, r.zone, r.mt, r.order) == r.block:
        return False
    rotate_to_front(m, r.block, r.order)
    r.n.rotations += 1
    return True

cdef inline int take_block(reporting_t *r, mm_t *m, int cpu) noexcept nogil:
    """Isolate the block at hand into the next slot and walk on, or stop at it."""
    cdef uint32_t next_node = links_of(m, r.order)[node_of(r.block, r.order)].next
    if not isolate(m, &m.zone[r.zone], cpu, r.block, r.order):
        r.n.refused += 1
        r.place = AT_STOP
        return PR_REFUSED
    r.free_slots -= 1
    r.slot[r.free_slots].pfn = r.block
    r.slot[r.free_slots].order = r.order
    r.s.work.isolated += 1
    find_block(r, m, next_node)
    return PR_ISOLATED

cdef inline void begin_report(reporting_t *r, bint leftover) noexcept nogil:
    cdef int64_t out = r.capacity - r.free_slots
    hold_ends(r.s)
    r.leftover = leftover
    r.place = AT_HOST
    r.n.reports += 1
    r.n.reported_blocks += out
    if out > r.n.most_out:
        r.n.most_out = out

cdef inline void host_is_done(reporting_t *r) noexcept nogil:
    """The report was answered: take the lock again and put the blocks back."""
    r.place = AT_RETURN
    r.returned = r.free_slots
    r.s.work.locks += 1
    hold_begins(r.s)

cdef inline void return_block(reporting_t *r, mm_t *m, int cpu) noexcept nogil:
    """Put the next block back and mark it, unless it merged; after the last one the walk starts anew."""
    cdef block_t b = r.slot[r.returned]
    put_back(m, zone_of(m, b.pfn), cpu, b.pfn, b.order, r.fpi)
    if mark_reported(m, b.pfn, b.order):
        r.n.marked += 1
    else:
        r.n.merged += 1
    r.s.work.returned += 1
    r.returned += 1
    if r.returned < r.capacity:
        return
    r.free_slots = r.capacity
    if r.leftover:
        hold_ends(r.s)
        r.place = AT_ZONE
        r.zone += 1
        return
    r.budget -= 1
    find_block(r, m, links_of(m, r.order)[list_head(m, r.zone, r.mt, r.order)].next)

cdef inline void enter_zone(reporting_t *r, const mm_t *m) noexcept nogil:
    if not zone_qualifies(r, m, &m.zone[r.zone]):
        r.n.skipped_zones += m.zone[r.zone].populated
        r.zone += 1
        return
    r.place = AT_LIST
    r.order = r.min_order
    r.mt = 0
    r.free_slots = r.capacity

cdef inline decided_t decided(int kind, pfn_t pfn, int order) noexcept nogil:
    cdef decided_t d
    d.kind = kind
    d.pfn = pfn
    d.order = order
    return d

cdef inline decided_t step(reporting_t *r, mm_t *m, int cpu) noexcept nogil:
    """Go on to the next decision. A pass that is over, or waits for the host, stays as it is."""
    cdef pfn_t pfn
    cdef int order
    cdef bint rotated
    while True:
        pfn = r.block
        order = r.order
        if r.place == AT_ZONE and r.zone < NR_ZONES:
            enter_zone(r, m)
        elif r.place == AT_LIST and order <= MAX_ORDER:
            enter_list(r, m)
        elif r.place == AT_LIST and r.free_slots == r.capacity:
            r.place = AT_ZONE
            r.zone += 1
        elif r.place == AT_BLOCK and r.divisor and r.budget < 0:
            r.state = REPORTING_REQUESTED
            r.n.budget_stops += 1
            r.place = AT_STOP
        elif r.place == AT_BLOCK and r.free_slots:
            return decided(take_block(r, m, cpu), pfn, order)
        elif r.place == AT_BLOCK:
            r.place = AT_FULL
            if bring_to_front(r, m):
                return decided(PR_ROTATED, pfn, order)
        elif r.place == AT_STOP:
            rotated = bring_to_front(r, m)
            next_list(r)
            if rotated:
                return decided(PR_ROTATED, pfn, order)
        elif r.place == AT_FULL or r.place == AT_LIST:
            begin_report(r, r.place == AT_LIST)
            return decided(PR_REPORT, r.slot[r.free_slots].pfn, r.slot[r.free_slots].order)
        elif r.place == AT_RETURN:
            pfn = r.slot[r.returned].pfn
            order = r.slot[r.returned].order
            return_block(r, m, cpu)
            return decided(PR_RETURNED, pfn, order)
        else:
            return decided(PR_WAITS if r.place == AT_HOST else PR_DONE, NO_PFN, -1)

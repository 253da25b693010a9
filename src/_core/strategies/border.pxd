"""The border between a user's strategy and the guest: every request is checked, counted, and refused after a fault.

A hook of a user may ask for anything. What no kernel code could do (isolate a block that is not free, put back one that
it does not hold, return with isolated blocks that nobody will return, go on for ever) is a fault: the first one is
noted, all further requests answer STOPPED, and when the outermost hook has returned every block goes back to the free
lists and the strategy is switched off for good.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport realloc

from hinting._core.api cimport (
    NO_ROOM,
    NONE,
    PAGE_COMPOUND,
    PAGE_FREE,
    PAGE_OTHER,
    PAGE_USED,
    STOPPED,
)
from hinting._core.common cimport MAX_CPUS, MAX_ORDER, NR_MIGRATETYPES, NR_ZONES, pfn_t
from hinting._core.mm.buddy cimport FPI_NONE, FPI_SKIP_REPORT_NOTIFY, FPI_TO_TAIL, isolate, mark_reported, put_back
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.pages cimport (
    TAG_COMPOUND,
    TAG_KIND,
    TAG_ORDER,
    TAG_REPORTED,
    covering,
    links_of,
    list_first,
    node_of,
    pfn_of_node,
    tag_get,
    tag_is_buddy,
    tag_is_used,
    zone_of,
)
from hinting._core.mm.pcp cimport drain_cpu
from hinting._core.mm.state cimport MM_STRATEGY, mm_t
from hinting._core.strategies.hooks cimport MAX_TICKETS, block_t, note_holds, strategy_t, submit

cdef enum hook_kind_t:
    HOOK_FREE
    HOOK_ALLOC
    HOOK_MERGED
    HOOK_THREAD
    HOOK_TIMER
    HOOK_DONE

cdef enum fault_t:
    FAULT_NONE
    FAULT_RAISED                        # an exception came out of the hook
    FAULT_STEPS                         # the budget of requests of one call is used up
    FAULT_PFN                           # no page of this guest
    FAULT_ORDER
    FAULT_CPU
    FAULT_ZONE
    FAULT_TYPE
    FAULT_NOT_FREE                      # isolate: not a free block of this order
    FAULT_NOT_HELD                      # put back: not an isolated block of this call
    FAULT_NOT_DONE                      # put back: a report that the host has not answered, or none at all
    FAULT_LEAK                          # the hook returned with isolated blocks neither reported nor put back
    FAULT_KEPT                          # on_host_done returned without putting all blocks back
    FAULT_NO_THREAD                     # woke a thread that has nothing to run
    FAULT_NOT_NOW                       # drain while the allocator is in the middle of a free
    FAULT_NO_MEMORY
    FAULT_TIME                          # Python: the hook did not return

cdef enum request_kind_t:
    ASK_NOTHING
    ASK_BLOCK
    ASK_PAGE
    ASK_ISOLATE
    ASK_PUT_BACK
    ASK_PUT_BACK_ALL
    ASK_RELEASE
    ASK_REPORT
    ASK_DRAIN
    ASK_WAKE
    ASK_FIRST
    ASK_NEXT
    ASK_MARK
    ASK_STATE                           # counts and types

cdef enum:
    MAX_DEPTH = 2                       # on_merged may come in the middle of a hook that drains, nothing else
    SUBMITTED = MAX_CPUS                # tickets below are those of the CPUs' threads
    NR_SLOTS = MAX_CPUS + MAX_TICKETS

ctypedef struct held_t:                 # isolated blocks: in the hand of a running hook, or under a ticket
    block_t *block                      # order -1: put back
    int64_t n
    int64_t size
    int64_t left                        # blocks not put back
    int64_t at                          # where the next put back is looked for first
    bint taken                          # a ticket under way

ctypedef struct frame_t:
    int hook                            # hook_kind_t
    int cpu
    held_t hand

ctypedef struct border_t:
    strategy_t *s
    mm_t *m
    bint has_thread
    int64_t budget                      # requests that one call of a hook may make
    int64_t steps                       # of them, left in this call
    int depth                           # hooks running
    frame_t frame[MAX_DEPTH + 1]        # [1]: outermost hook
    held_t *slot                        # [NR_SLOTS] reports by ticket
    int done                            # ticket that on_host_done is about, -1
    bint thread_reports                 # the thread that runs has reported
    int fault                           # fault_t, the first one
    int fault_hook
    int fault_cpu
    int fault_ask                       # request_kind_t
    int64_t fault_pfn
    int64_t fault_order
    int64_t fault_blocks
    uint8_t fault_tag                   # what the page was then
    void *owner                         # the External object

cdef inline int stop(border_t *b, int fault, int ask, int64_t pfn, int64_t order) noexcept nogil:
    """Note the first fault. Returns STOPPED."""
    cdef pfn_t head
    if b.fault == FAULT_NONE:
        b.fault = fault
        b.fault_hook = b.frame[b.depth].hook
        b.fault_cpu = b.frame[b.depth].cpu
        b.fault_ask = ask
        b.fault_pfn = pfn
        b.fault_order = order
        b.fault_tag = covering(b.m, <pfn_t>pfn, &head) if 0 <= pfn < b.m.npfn else 0
    return STOPPED

cdef inline bint take_steps(border_t *b, int ask, int64_t n) noexcept nogil:
    """Count a request; False if nothing may be asked any more."""
    b.steps -= n
    if b.steps < 0:
        stop(b, FAULT_STEPS, ask, 0, 0)
    return b.fault == FAULT_NONE

cdef inline bint on_page(border_t *b, int ask, int64_t pfn) noexcept nogil:
    """Count a request about a page; False unless it may be asked and is a page of the guest."""
    if not take_steps(b, ask, 1):
        return False
    if pfn < 0 or pfn >= b.m.npfn:
        stop(b, FAULT_PFN, ask, pfn, 0)
        return False
    return True

cdef inline bint on_block(border_t *b, int ask, int64_t pfn, int64_t order) noexcept nogil:
    """The same for a block of pages: the order is legal, and pfn is a multiple of its size."""
    if not on_page(b, ask, pfn):
        return False
    if order < 0 or order > MAX_ORDER or pfn & ((<int64_t>1 << order) - 1):
        stop(b, FAULT_ORDER, ask, pfn, order)
        return False
    return True

cdef inline void enter(border_t *b, int hook, int cpu) noexcept nogil:
    if b.depth == 0:
        b.steps = b.budget
    b.depth += 1
    b.frame[b.depth].hook = hook
    b.frame[b.depth].cpu = cpu

cdef inline void check_hand(border_t *b) noexcept nogil:
    """A hook must not return with blocks that are neither reported nor put back."""
    cdef held_t *h = &b.frame[b.depth].hand
    cdef int64_t i
    if h.left == 0:
        h.n = 0
        return
    for i in range(h.n):
        if h.block[i].order >= 0:
            if b.fault == FAULT_NONE:
                b.fault_blocks = h.left
            stop(b, FAULT_LEAK, ASK_NOTHING, h.block[i].pfn, h.block[i].order)
            return

cdef inline int returning(bint tail) noexcept nogil:
    """How blocks return: as in an ordinary free or to the tail. on_merged is not told, or it might never end."""
    return FPI_SKIP_REPORT_NOTIFY | (FPI_TO_TAIL if tail else FPI_NONE)

cdef inline void give_back(border_t *b, held_t *h, int cpu, bint tail) noexcept nogil:
    """Put all blocks of a list back, in order."""
    cdef int64_t i
    for i in range(h.n):
        if h.block[i].order >= 0:
            put_back(b.m, zone_of(b.m, h.block[i].pfn), cpu, h.block[i].pfn, h.block[i].order, returning(tail))
            h.block[i].order = -1
            b.s.work.returned += 1
            b.s.work.locks += 1
            note_holds(b.s, 1, 0, 0, 1)
    h.left = 0

cdef inline void switch_off(border_t *b) noexcept nogil:
    """After a fault: the allocator calls no hook any more, and what was isolated is free again."""
    cdef int i
    b.m.on_free = b.m.on_alloc = b.m.on_merged = NULL
    for i in range(1, MAX_DEPTH + 1):
        give_back(b, &b.frame[i].hand, b.fault_cpu, False)
        b.frame[i].hand.n = 0
    for i in range(NR_SLOTS):
        if b.slot[i].taken:
            give_back(b, &b.slot[i], b.fault_cpu, False)
            b.slot[i].n = 0
    for i in range(b.m.ncpus):
        b.s.wake[i] = 0
    b.m.error = MM_STRATEGY

cdef inline void leave(border_t *b) noexcept nogil:
    check_hand(b)
    b.depth -= 1
    if b.fault != FAULT_NONE and b.depth == 0:
        switch_off(b)

# -- what a hook may ask ---------------------------------------------------------------------------------------------

cdef inline int64_t ask_block(border_t *b, int64_t pfn) noexcept nogil:
    """The free block that holds a page, looked up without the zone lock."""
    cdef pfn_t head
    cdef uint8_t t
    if not on_page(b, ASK_BLOCK, pfn):
        return STOPPED
    b.s.work.probes += 1
    t = covering(b.m, <pfn_t>pfn, &head)
    return <int64_t>(t & TAG_ORDER) << 32 | head if tag_is_buddy(t) else NONE

cdef inline int64_t ask_page(border_t *b, int64_t pfn) noexcept nogil:
    """What a page is, under one hold of the zone lock."""
    cdef pfn_t head
    cdef uint8_t t
    cdef int64_t kind = PAGE_OTHER
    if not on_page(b, ASK_PAGE, pfn):
        return STOPPED
    b.s.work.locks += 1
    note_holds(b.s, 1, 0, 0, 0)
    t = covering(b.m, <pfn_t>pfn, &head)
    if t == 0:
        return kind << 40 | pfn
    if tag_is_buddy(t):
        kind = PAGE_FREE
    elif tag_is_used(t):
        kind = PAGE_COMPOUND if t & TAG_COMPOUND else PAGE_USED
    return kind << 40 | <int64_t>(t & TAG_ORDER) << 32 | head

cdef inline bint grow(held_t *h) noexcept nogil:
    cdef void *grown
    if h.n < h.size:
        return True
    grown = realloc(h.block, (h.size * 2 + 64) * sizeof(block_t))
    if grown == NULL:
        return False
    h.block = <block_t *>grown
    h.size = h.size * 2 + 64
    return True

cdef inline int ask_isolate(border_t *b, int64_t pfn, int64_t order) noexcept nogil:
    """Take a free block of exactly this order: 1, or 0 if the min watermark forbids it."""
    cdef frame_t *f = &b.frame[b.depth]
    cdef uint8_t t
    if not on_block(b, ASK_ISOLATE, pfn, order):
        return STOPPED
    t = tag_get(b.m, <pfn_t>pfn, <int>order)
    if not tag_is_buddy(t) or (t & TAG_ORDER) != order:
        return stop(b, FAULT_NOT_FREE, ASK_ISOLATE, pfn, order)
    if not grow(&f.hand):
        return stop(b, FAULT_NO_MEMORY, ASK_ISOLATE, pfn, order)
    if not isolate(b.m, zone_of(b.m, <pfn_t>pfn), f.cpu, <pfn_t>pfn, <int>order):
        return 0
    f.hand.block[f.hand.n].pfn = <pfn_t>pfn
    f.hand.block[f.hand.n].order = <int>order
    f.hand.n += 1
    f.hand.left += 1
    b.s.work.isolated += 1
    note_holds(b.s, 1, 0, 1, 0)
    return 1

cdef inline block_t *find_held(held_t *h, int64_t pfn, int64_t order) noexcept nogil:
    """The entry of a block that is held, looked for from where the last one was; NULL if it is not held."""
    cdef int64_t i, k
    for i in range(h.n):
        k = h.at + i
        if k >= h.n:
            k -= h.n
        if h.block[k].pfn == pfn and h.block[k].order == order:
            h.at = k + 1
            return &h.block[k]
    return NULL

cdef inline int ask_put_back(border_t *b, int64_t pfn, int64_t order, bint tail) noexcept nogil:
    """Return a block of the hand, or in on_host_done of its report, to its free list."""
    cdef frame_t *f = &b.frame[b.depth]
    cdef held_t *h = &f.hand
    cdef block_t *found
    if not on_block(b, ASK_PUT_BACK, pfn, order):
        return STOPPED
    found = find_held(h, pfn, order)
    if found == NULL and f.hook == HOOK_DONE:
        h = &b.slot[b.done]
        found = find_held(h, pfn, order)
    if found == NULL:
        return stop(b, FAULT_NOT_HELD, ASK_PUT_BACK, pfn, order)
    found.order = -1
    h.left -= 1
    put_back(b.m, zone_of(b.m, <pfn_t>pfn), f.cpu, <pfn_t>pfn, <int>order, returning(tail))
    b.s.work.returned += 1
    b.s.work.locks += 1
    note_holds(b.s, 1, 0, 0, 1)
    return 1

cdef inline int ask_put_back_all(border_t *b, int ticket, bint tail) noexcept nogil:
    """Return what is left of the report that the host has answered, in the order of the report."""
    cdef frame_t *f = &b.frame[b.depth]
    if not take_steps(b, ASK_PUT_BACK_ALL, 1):
        return STOPPED
    if f.hook != HOOK_DONE or ticket != b.done:
        return stop(b, FAULT_NOT_DONE, ASK_PUT_BACK_ALL, ticket, 0)
    give_back(b, &b.slot[ticket], f.cpu, tail)
    return 1

cdef inline int ask_release(border_t *b, bint tail) noexcept nogil:
    """Return all blocks that this call has isolated and not reported."""
    cdef frame_t *f = &b.frame[b.depth]
    if not take_steps(b, ASK_RELEASE, 1):
        return STOPPED
    give_back(b, &f.hand, f.cpu, tail)
    f.hand.n = 0
    return 1

cdef inline int free_ticket(border_t *b) noexcept nogil:
    """A ticket for a report by interrupt, NO_ROOM if all are under way."""
    cdef int i
    for i in range(SUBMITTED, NR_SLOTS):
        if not b.slot[i].taken:
            return i
    return NO_ROOM

cdef inline int ask_report(border_t *b) noexcept nogil:
    """Report the hand to the host: its ticket, NO_ROOM if that must wait, NONE if the hand is empty."""
    cdef frame_t *f = &b.frame[b.depth]
    cdef held_t swap
    cdef int ticket
    if not take_steps(b, ASK_REPORT, 1):
        return STOPPED
    if f.hand.left == 0:
        return NONE
    if f.hook == HOOK_THREAD:
        ticket = f.cpu if not b.slot[f.cpu].taken else NO_ROOM
    else:
        ticket = free_ticket(b)
        if ticket != NO_ROOM and not submit(b.s, ticket):
            ticket = NO_ROOM
    if ticket == NO_ROOM:
        return NO_ROOM
    if f.hand.left < f.hand.n:
        close_gaps(&f.hand)
    swap = b.slot[ticket]
    b.slot[ticket] = f.hand
    b.slot[ticket].taken = True
    f.hand = swap
    f.hand.n = f.hand.left = f.hand.at = 0
    b.slot[ticket].at = 0
    if f.hook == HOOK_THREAD:
        b.thread_reports = True
    return ticket

cdef inline void close_gaps(held_t *h) noexcept nogil:
    """Blocks put back again are no part of a report."""
    cdef int64_t i, kept = 0
    for i in range(h.n):
        if h.block[i].order >= 0:
            h.block[kept] = h.block[i]
            kept += 1
    h.n = kept

cdef inline int64_t ask_reported(border_t *b, int ticket, int64_t i) noexcept nogil:
    """Block i of a report under way; NONE behind its end, or once it is put back."""
    if not take_steps(b, ASK_STATE, 1):
        return STOPPED
    if not 0 <= ticket < NR_SLOTS or not b.slot[ticket].taken:
        return stop(b, FAULT_NOT_DONE, ASK_STATE, ticket, 0)
    if not 0 <= i < b.slot[ticket].n or b.slot[ticket].block[i].order < 0:
        return NONE
    return <int64_t>b.slot[ticket].block[i].order << 32 | b.slot[ticket].block[i].pfn

cdef inline int64_t ask_drain(border_t *b, int cpu) noexcept nogil:
    """Empty the page lists of a CPU; returns the pages drained."""
    cdef int64_t n = 0
    cdef int zone
    if not take_steps(b, ASK_DRAIN, 1):
        return STOPPED
    if not 0 <= cpu < b.m.ncpus:
        return stop(b, FAULT_CPU, ASK_DRAIN, cpu, 0)
    if b.frame[b.depth].hook == HOOK_MERGED:
        return stop(b, FAULT_NOT_NOW, ASK_DRAIN, cpu, 0)
    for zone in range(NR_ZONES):
        n += pcp_of(b.m, &b.m.zone[zone], cpu).count
    b.s.work.drained += n
    drain_cpu(b.m, cpu, b.frame[b.depth].cpu)
    return n

cdef inline int ask_wake(border_t *b) noexcept nogil:
    """Wake the thread of the CPU that runs the hook."""
    if not take_steps(b, ASK_WAKE, 1):
        return STOPPED
    if not b.has_thread:
        return stop(b, FAULT_NO_THREAD, ASK_WAKE, 0, 0)
    b.s.wake[b.frame[b.depth].cpu] = 1
    return 1

cdef inline int64_t ask_first(border_t *b, int zone, int migratetype, int order) noexcept nogil:
    """First block of a free list, NONE if it is empty."""
    cdef pfn_t pfn
    if not take_steps(b, ASK_FIRST, 1):
        return STOPPED
    if not 0 <= zone < NR_ZONES:
        return stop(b, FAULT_ZONE, ASK_FIRST, zone, 0)
    if not 0 <= migratetype < NR_MIGRATETYPES:
        return stop(b, FAULT_TYPE, ASK_FIRST, migratetype, 0)
    if not 0 <= order <= MAX_ORDER:
        return stop(b, FAULT_ORDER, ASK_FIRST, 0, order)
    b.s.work.probes += 1
    if not b.m.zone[zone].nonempty[migratetype] >> order & 1:
        return NONE
    pfn = list_first(b.m, zone, migratetype, order)
    return pfn

cdef inline int64_t ask_next(border_t *b, int64_t pfn) noexcept nogil:
    """The block behind a free block on its list, NONE at the end."""
    cdef pfn_t head
    cdef uint32_t node
    cdef uint8_t t
    cdef int order
    if not on_page(b, ASK_NEXT, pfn):
        return STOPPED
    t = covering(b.m, <pfn_t>pfn, &head)
    order = t & TAG_ORDER
    if not tag_is_buddy(t) or head != pfn:
        return stop(b, FAULT_NOT_FREE, ASK_NEXT, pfn, -1)
    b.s.work.probes += 1
    node = links_of(b.m, order)[node_of(<pfn_t>pfn, order)].next
    if node >= (b.m.nblocks if order == MAX_ORDER else b.m.span):
        return NONE
    return pfn_of_node(node, order)

cdef inline int ask_mark_reported(border_t *b, int64_t pfn, int64_t order) noexcept nogil:
    """Mark a free block as reported: 1, or 0 if it is no free block of this order any more."""
    cdef uint8_t t
    if not on_block(b, ASK_MARK, pfn, order):
        return STOPPED
    t = tag_get(b.m, <pfn_t>pfn, <int>order)
    if not tag_is_buddy(t) or (t & TAG_ORDER) != order:
        return 0
    mark_reported(b.m, <pfn_t>pfn, <int>order)
    return 1

cdef inline int ask_is_reported(border_t *b, int64_t pfn) noexcept nogil:
    cdef pfn_t head
    if not on_page(b, ASK_STATE, pfn):
        return STOPPED
    return (covering(b.m, <pfn_t>pfn, &head) & TAG_KIND) == TAG_REPORTED

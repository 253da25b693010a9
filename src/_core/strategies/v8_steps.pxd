"""What v8 does, one decision at a time: capture a page, scan an entry, examine a page, return a block.

Each step says what it decided, so that a replay can hold it against a recording of the kernel.
"""

from libc.stdint cimport int64_t, int8_t, uint8_t

from hinting._core.common cimport NO_PFN, pfn_t
from hinting._core.mm.buddy cimport FPI_NONE, FPI_TO_TAIL, isolate, put_back
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.pages cimport (
    TAG_COMPOUND,
    TAG_ORDER,
    containing_block,
    covering,
    tag_is_buddy,
    tag_is_used,
    zone_of,
)
from hinting._core.mm.pcp cimport drain_cpu
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.capture cimport append, capture_t, clear, find_pfn, index_entries, pack, replace
from hinting._core.strategies.hooks cimport (
    TRACE_FREE_PAGE,
    TRACE_ISOLATED_PFN,
    block_t,
    hold_begins,
    hold_ends,
    note_holds,
    strategy_t,
    tracepoint,
)

cdef enum drain_t:
    DRAIN_OFF, DRAIN_LOCAL, DRAIN_ALL

cdef enum dedup_t:
    DEDUP_OFF
    DEDUP_HEAD                          # an entry inside a block gives way if the block's head is listed (source)
    DEDUP_FULL                          # besides, a head that is listed twice keeps one entry

cdef enum decision_t:
    V8_KEPT_HEAD                        # scan: first page of a free block, entry unchanged
    V8_KEPT_OTHER                       # scan: in no free block, entry unchanged
    V8_DROPPED                          # scan: the block is listed already (or, as a variant, in no free block)
    V8_REPLACED                         # scan: the entry becomes its block
    V8_COMPOUND                         # thread: page of a compound page
    V8_IN_USE                           # thread: page in use
    V8_ISOLATED                         # thread: its free block is taken
    V8_REFUSED                          # thread: the min watermark forbids it
    V8_NON_BUDDY                        # thread: neither in use nor in a free block
    V8_OVERFLOW                         # thread: the isolated array is full (no bound check in the source)

ctypedef struct event_t:
    int kind                            # decision_t
    int64_t entry                       # index of the entry
    pfn_t page                          # the page looked at
    pfn_t head                          # first page of the block or compound page it belongs to
    int order                           # of that block

ctypedef struct counters_t:             # KiB, named as in the kernel
    int64_t total_freed
    int64_t captured
    int64_t scanned
    int64_t total_isolated
    int64_t tail_isolated
    int64_t failed_isolation
    int64_t reallocated
    int64_t free_non_buddy
    int64_t guest_returned

ctypedef struct cpu_state_t:
    capture_t kvm_pt                    # captured array
    block_t *hyp                        # isolated array
    int64_t hyp_idx
    int64_t at                          # entry that the thread examines, -1: no run under way
    pfn_t pfn                           # next page of that entry
    pfn_t end                           # last page of that entry
    bint busy                           # the array is full, or its thread works on it: frees are lost
    int64_t seen                        # captures up to the last timer tick

ctypedef struct v8_t:
    strategy_t *s                       # the hook table it belongs to
    counters_t c
    cpu_state_t *cpu
    int ncpus
    int64_t entries
    int min_order
    int isolate_min_order
    int drain                           # drain_t
    int dedup                           # dedup_t
    bint drop_non_buddy
    bint to_tail
    int64_t isolation_cap
    bint no_device                      # the driver is gone: blocks are isolated and go back without a report
    int64_t scans
    int64_t wakes
    int64_t runs
    int64_t isolated_overflow
    int64_t most_isolated
    int64_t skipped_reports             # reports that no device was there for
    int64_t not_isolated                # pages that the host dropped while they were not isolated

cdef inline int64_t kib(int order) noexcept nogil:
    return <int64_t>4 << order

cdef inline bint capture(v8_t *v, mm_t *m, cpu_state_t *c, pfn_t pfn, int order) noexcept nogil:
    """Note a freed block; False if it is lost."""
    v.c.total_freed += kib(order)
    if c.kvm_pt.n == v.entries or c.busy or order < v.min_order:
        return False
    tracepoint(v.s, TRACE_FREE_PAGE, pfn, order)
    append(&c.kvm_pt, pfn, order, zone_of(m, pfn).index)
    v.s.work.captured += 1
    v.c.captured += kib(order)
    return True

cdef inline void drain_lists(v8_t *v, mm_t *m, int cpu) noexcept nogil:
    """Before a scan: empty the page lists of this CPU, or as a variant of all or none."""
    cdef int other, zone
    for other in range(v.ncpus):
        if v.drain == DRAIN_ALL or v.drain == DRAIN_LOCAL and other == cpu:
            for zone in range(4):
                v.s.work.drained += pcp_of(m, &m.zone[zone], other).count
            drain_cpu(m, other, cpu)

cdef inline bint would_change(const v8_t *v, const mm_t *m, const cpu_state_t *c, int64_t i) noexcept nogil:
    """Whether a scan of this entry would drop or replace it now (as the source does it)."""
    cdef int order = 0
    cdef pfn_t head = containing_block(m, c.kvm_pt.pfn[i], &order)
    return v.drop_non_buddy if head == NO_PFN else head != c.kvm_pt.pfn[i]

cdef inline event_t scan_entry(v8_t *v, mm_t *m, cpu_state_t *c, int64_t i) noexcept nogil:
    """Look at one captured entry; a scan looks at all of them in turn. Interrupts off, no zone lock."""
    cdef event_t e
    cdef int64_t match
    if i == 0:
        index_entries(&c.kvm_pt)
    e.entry = i
    e.page = c.kvm_pt.pfn[i]
    e.order = 0
    e.head = containing_block(m, e.page, &e.order)
    v.s.work.probes += 1
    if e.head == NO_PFN:
        e.kind = V8_KEPT_OTHER
        if v.drop_non_buddy:
            e.kind = V8_DROPPED
            clear(&c.kvm_pt, i)
        return e
    if e.head == e.page:
        e.kind = V8_KEPT_HEAD
        if v.dedup == DEDUP_FULL and find_pfn(&c.kvm_pt, e.page) < i:
            e.kind = V8_DROPPED
            clear(&c.kvm_pt, i)
        return e
    match = find_pfn(&c.kvm_pt, e.head) if v.dedup != DEDUP_OFF else -1
    v.s.work.compares += match + 1 if match >= 0 else v.entries
    if match >= 0:
        e.kind = V8_DROPPED
        clear(&c.kvm_pt, i)
    else:
        e.kind = V8_REPLACED
        replace(&c.kvm_pt, i, e.head, e.order)
    return e

cdef inline bint end_scan(v8_t *v, cpu_state_t *c) noexcept nogil:
    """Pack the array; True if it is still full and the CPU's thread is woken."""
    pack(&c.kvm_pt)
    v.scans += 1
    if c.kvm_pt.n < v.entries:
        return False
    c.busy = True
    v.wakes += 1
    return True

cdef inline void begin_entry(cpu_state_t *c) noexcept nogil:
    if c.at < c.kvm_pt.n:
        c.pfn = c.kvm_pt.pfn[c.at]
        c.end = c.pfn + ((<pfn_t>1 << c.kvm_pt.order[c.at]) - 1)

cdef inline void begin_run(v8_t *v, cpu_state_t *c) noexcept nogil:
    """The thread starts on a full array (or on what an idle flush hands it)."""
    v.runs += 1
    c.at = 0
    begin_entry(c)

cdef inline int isolate_block(v8_t *v, mm_t *m, cpu_state_t *c, int cpu, pfn_t head, int order) noexcept nogil:
    cdef block_t *slot
    if c.hyp_idx == v.entries:
        v.isolated_overflow += 1
        return V8_OVERFLOW
    if not isolate(m, zone_of(m, head), cpu, head, order):
        v.c.failed_isolation += kib(order)
        return V8_REFUSED
    slot = &c.hyp[c.hyp_idx]
    slot.pfn = head
    slot.order = order
    c.hyp_idx += 1
    v.c.total_isolated += kib(order)
    v.s.work.isolated += 1
    return V8_ISOLATED

cdef inline event_t examine(v8_t *v, mm_t *m, cpu_state_t *c, int cpu) noexcept nogil:
    """Examine the next page of the current entry, as under one hold of the zone lock, and move on."""
    cdef event_t e
    cdef uint8_t tag
    e.entry = c.at
    e.page = c.pfn
    e.head = NO_PFN
    hold_begins(v.s)
    tag = covering(m, c.pfn, &e.head)
    e.order = tag & TAG_ORDER
    v.s.work.locks += 1
    if tag_is_used(tag) and tag & TAG_COMPOUND:
        e.kind = V8_COMPOUND
        v.c.reallocated += kib(e.order)
        v.c.scanned += kib(e.order)
        c.pfn = e.head + (<pfn_t>1 << e.order)
    elif tag_is_used(tag) and e.head == c.pfn:
        e.kind = V8_IN_USE
        v.c.reallocated += kib(0)
        v.c.scanned += kib(0)
        c.pfn += 1
    elif tag_is_buddy(tag) and e.order >= v.isolate_min_order:
        e.kind = isolate_block(v, m, c, cpu, e.head, e.order)
        if e.kind != V8_OVERFLOW:       # what the source would do to its memory is not counted
            v.c.scanned += kib(e.order)
        if e.kind == V8_ISOLATED:       # the traced page is the one looked at, the pages are those of its block
            tracepoint(v.s, TRACE_ISOLATED_PFN, c.pfn, <int64_t>1 << e.order)
            if e.head != c.pfn:
                v.c.tail_isolated += kib(e.order)
        c.pfn = e.head + (<pfn_t>1 << e.order)
    else:
        e.kind = V8_NON_BUDDY
        v.c.free_non_buddy += kib(0)
        v.c.scanned += kib(0)
        c.pfn += 1
    hold_ends(v.s)
    if c.pfn > c.end:
        clear(&c.kvm_pt, c.at)
        c.at += 1
        begin_entry(c)
    return e

cdef inline bint is_examined(const cpu_state_t *c) noexcept nogil:
    """Every entry has been worked off."""
    return c.at >= c.kvm_pt.n

cdef inline void return_block(v8_t *v, mm_t *m, int cpu, const block_t *b) noexcept nogil:
    put_back(m, zone_of(m, b.pfn), cpu, b.pfn, b.order, FPI_TO_TAIL if v.to_tail else FPI_NONE)
    v.c.guest_returned += kib(b.order)
    v.s.work.returned += 1
    v.s.work.locks += 1
    note_holds(v.s, 1, 0, 0, 1)

cdef inline void end_run(cpu_state_t *c) noexcept nogil:
    """The array is empty again and captures go on."""
    c.at = -1
    c.kvm_pt.n = 0
    c.busy = False

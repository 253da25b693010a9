"""Mainline free page reporting (mm/page_reporting.c, Linux 5.7 to 6.12; the balloon's reporting virtqueue).

A free that leaves a block of page_reporting_order or more requests a pass, which a delayed work item runs two seconds
later. For each zone with enough free memory it walks the free lists from that order up, isolates unreported blocks
into 32 slots, hands them to the host, waits, and puts them back marked as reported; a list's budget ends the walk
after about a sixteenth of the list, and the rest is left to the next pass. A block loses its mark when it leaves its
list. Registration of the device requests the first pass, so memory that was free before is reported too.

The work runs on the CPU whose free requested it, as a bound work queue does.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

from hinting._core.common cimport pfn_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.buddy cimport FPI_SKIP_REPORT_NOTIFY, FPI_TO_TAIL
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.hooks cimport (
    THREAD_REPORTS,
    THREAD_SLEEPS,
    Strategy,
    block_t,
)
from hinting._core.strategies.page_reporting_steps cimport (
    AT_BLOCK,
    AT_HOST,
    AT_NONE,
    AT_RETURN,
    PR_DONE,
    PR_REPORT,
    PR_WAITS,
    REPORTING_IDLE,
    REPORTING_REQUESTED,
    begin_pass,
    end_pass,
    host_is_done,
    look_again,
    reporting_t,
    request_pass,
    step,
)

_STATES = ("idle", "requested", "active")


cdef void on_merged(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    """page_reporting_notify_free: called for every block that an ordinary free leaves on a list."""
    cdef reporting_t *r = <reporting_t *>self
    if order >= r.min_order and r.state != REPORTING_REQUESTED and request_pass(r):
        r.s.wake[cpu] = 1


cdef int on_thread(void *self, mm_t *m, int cpu) noexcept nogil:
    """page_reporting_process, from where it stopped to the next report or to the end of the pass."""
    cdef reporting_t *r = <reporting_t *>self
    cdef int kind
    if r.place == AT_NONE:
        if r.state != REPORTING_REQUESTED:
            return THREAD_SLEEPS
        begin_pass(r)
    elif r.place == AT_BLOCK:
        look_again(r, m)
    while True:
        kind = step(r, m, cpu).kind
        if kind == PR_REPORT or kind == PR_WAITS:
            return THREAD_REPORTS
        if kind == PR_DONE:
            if end_pass(r):
                r.s.wake[cpu] = 1
            return THREAD_SLEEPS


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    """page_reporting_drain: all blocks go back under one hold of the zone lock."""
    cdef reporting_t *r = <reporting_t *>self
    if r.place != AT_HOST:
        return
    host_is_done(r)
    while r.place == AT_RETURN:
        step(r, m, cpu)


cdef const block_t *report(void *self, int ticket, int64_t *n) noexcept nogil:
    """The blocks in the slots, last isolated first. One report is under way at a time, so the ticket is always 0."""
    cdef reporting_t *r = <reporting_t *>self
    n[0] = r.capacity - r.free_slots
    return &r.slot[r.free_slots]


cdef class PageReporting(Strategy):
    """The compiled strategy; the parameters are those of hinting.strategies.PageReporting, checked there."""

    def __init__(self, *, int order, int64_t delay_ns, int64_t capacity, int64_t budget_divisor, str return_position,
                 bint low_watermark_rule, bint keep_mark_on_split, str host_action):
        self.r.s = &self.s
        self.r.min_order = order
        self.r.capacity = self.r.free_slots = capacity
        self.r.divisor = budget_divisor
        self.r.low_watermark_rule = low_watermark_rule
        self.r.fpi = FPI_SKIP_REPORT_NOTIFY | (FPI_TO_TAIL if return_position == "tail" else 0)
        self.r.keep_mark_on_split = keep_mark_on_split
        self.r.place = AT_NONE
        self.r.state = REPORTING_IDLE
        self.wire(&self.r, host_action, 0, on_host_done, report, NULL)
        self.s.wake_latency_ns = delay_ns
        self.s.delayed = True
        self.s.synchronous = False
        self.s.on_merged = on_merged
        self.s.on_thread = on_thread
        self.r.slot = <block_t *>calloc(capacity, sizeof(block_t))
        if self.r.slot == NULL:
            raise MemoryError()

    cdef int prepare(self, Allocator allocator) except -1:
        """page_reporting_register: the first pass is requested."""
        allocator.m.split_keeps_reported = self.r.keep_mark_on_split
        request_pass(&self.r)
        self.s.wake[0] = 1
        return 0

    def __dealloc__(self):
        free(self.r.slot)

    def statistics(self):
        """What happened, which the kernel does not count: passes, reports, marked and merged blocks, refusals, ..."""
        return dict(self.r.n)

    @property
    def state_word(self):
        """The kernel's state word: "idle", "requested" or "active"."""
        return _STATES[self.r.state]

    @property
    def in_pass(self):
        """Whether the work is running or waits for the host."""
        return self.r.place != AT_NONE

    def out(self):
        """Blocks that are isolated now: [(pfn, order), ...], last isolated first."""
        cdef int64_t i, first = self.r.returned if self.r.place == AT_RETURN else self.r.free_slots
        return [(self.r.slot[i].pfn, self.r.slot[i].order) for i in range(first, self.r.capacity)]

    def state(self):
        """The request, where the pass stands, its blocks and counts: {name: int64 array}."""
        from hinting._core.strategies.page_reporting_state import state

        return state(self)

    def set_state(self, values):
        """Take over a state; StrategyError, with nothing changed, if it contradicts itself or the guest's memory."""
        from hinting._core.strategies.page_reporting_state import set_state

        set_state(self, values)

    def in_flight(self):
        """The pass that is under way, as CPU 0's."""
        return [(0, 0)] if self.in_pass else []

"""The form of guest free page hinting between v7 and v8, from its development tree.

The free hook notes every freed page in a per-CPU array. When that is full, a work item is queued on the same CPU: it
sorts the entries by zone, takes each zone's lock once, isolates what is in the buddy lists, and reports the blocks one
by one. Nothing is drained, scanned or packed.

Inferred: pages are looked at as in v8, each report is awaited as in v8, and a block goes back when its own report is
answered; frees on this CPU are lost meanwhile.
"""

from libc.stdint cimport int64_t

from hinting._core.common cimport pfn_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.arrays cimport free_arrays, make_arrays
from hinting._core.strategies.hooks cimport THREAD_REPORTS, THREAD_SLEEPS, Strategy, block_t
from hinting._core.strategies.lists cimport not_isolated
from hinting._core.strategies.runs cimport isolate_entries, sort_by_zone
from hinting._core.strategies.v8_state cimport v8_in, v8_out
from hinting._core.strategies.v8_steps cimport capture, cpu_state_t, end_run, return_block


cdef void on_free(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    cdef transition_t *t = <transition_t *>self
    cdef cpu_state_t *c = &t.r.v.cpu[cpu]
    if capture(&t.r.v, m, c, pfn, order) and c.kvm_pt.n == t.r.v.entries:
        c.busy = True
        t.r.v.wakes += 1
        t.r.v.s.wake[cpu] = 1


cdef int on_thread(void *self, mm_t *m, int cpu) noexcept nogil:
    """The work item: isolate everything once, then one report for each block."""
    cdef transition_t *t = <transition_t *>self
    cdef cpu_state_t *c = &t.r.v.cpu[cpu]
    if not c.busy:
        return THREAD_SLEEPS
    if c.at < 0:
        sort_by_zone(c)
        isolate_entries(&t.r, m, c, cpu)
        t.sent[cpu] = 0
        if c.hyp_idx > t.r.v.most_isolated:
            t.r.v.most_isolated = c.hyp_idx
    if t.sent[cpu] < c.hyp_idx:
        return THREAD_REPORTS
    c.hyp_idx = 0
    end_run(c)
    return THREAD_SLEEPS


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    cdef transition_t *t = <transition_t *>self
    return_block(&t.r.v, m, cpu, &t.r.v.cpu[cpu].hyp[t.sent[cpu]])
    t.sent[cpu] += 1


cdef void on_discard(void *self, mm_t *m, pfn_t pfn, int order) noexcept nogil:
    cdef transition_t *t = <transition_t *>self
    t.r.v.not_isolated += not_isolated(m, pfn, order)


cdef const block_t *report(void *self, int ticket, int64_t *n) noexcept nogil:
    cdef transition_t *t = <transition_t *>self
    n[0] = 1 if t.sent[ticket] < t.r.v.cpu[ticket].hyp_idx else 0
    return &t.r.v.cpu[ticket].hyp[t.sent[ticket]]


cdef class V8Transition(Strategy):
    """The compiled strategy; the parameters are those of hinting.strategies.V8Transition, checked there."""

    def __init__(self, *, int64_t entries, str return_position, str host_action, int64_t call_pages,
                 int64_t wake_latency_ns):
        self.t.r.v.entries = entries
        self.t.r.v.to_tail = return_position == "tail"
        self.t.r.v.s = &self.s
        self.wire(&self.t, host_action, call_pages, on_host_done, report, on_discard)
        self.s.wake_latency_ns = wake_latency_ns
        self.s.synchronous = True
        self.s.descriptors = 1
        self.s.on_free = on_free
        self.s.on_thread = on_thread

    cdef int prepare(self, Allocator allocator) except -1:
        cdef int i
        for i in range(allocator.m.ncpus):
            self.s.thread_ticket[i] = i
        if not make_arrays(&self.t.r.v, allocator.m.ncpus, True):
            raise MemoryError()
        return 0

    def __dealloc__(self):
        free_arrays(&self.t.r.v, True)

    def statistics(self):
        """It has no counters. not_isolated: pages dropped by the host while not isolated."""
        v = &self.t.r.v
        return {"wakes": v.wakes, "runs": v.runs, "captured": self.s.work.captured, "isolated": self.s.work.isolated,
                "isolated_overflow": v.isolated_overflow, "most_isolated": v.most_isolated, "not_isolated": v.not_isolated}

    def kernel_bytes(self):
        """Captured and isolated arrays of all CPUs."""
        return 2 * (16 * self.t.r.v.entries + 8) * self.t.r.v.ncpus

    def counters_by_name(self):
        """What the counters of v8-stats would say, KiB."""
        return dict(self.t.r.v.c)

    def state(self):
        """Captured and isolated arrays, counters and where each CPU's work item stands: {name: int64 array}."""
        return v8_out(self, &self.t.r.v, self.t.sent)

    def set_state(self, values):
        """Take over a state; StrategyError, with nothing changed, if it contradicts itself or the guest's memory."""
        v8_in(self, &self.t.r.v, self.t.sent, values)

    def in_flight(self):
        """Each CPU whose work item has isolated blocks and is not done."""
        return [(i, i) for i in range(self.t.r.v.ncpus) if self.t.r.v.cpu[i].at >= 0]

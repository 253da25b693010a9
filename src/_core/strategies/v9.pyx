"""Guest free page hinting v9 ("KVM: Guest Free Page Hinting", RFC v9, 6 March 2019).

Whenever a free has merged into a block of order 10, the block's pfn is noted in a per-CPU array of 256. When the zone
lock is released and 128 are noted, the freeing context looks at them under the zone lock, isolates what is still free,
hands the list to the host and goes on; an interrupt returns the blocks to the heads of their lists.

Defects as posted: no search for duplicates when the freed page is itself the head; a driver that throws away answers
before it adds a list, so that their blocks are never returned; one answer for each interrupt; a return without the
zone lock; when the list's memory cannot be had, all that was noted is forgotten. The follow-up experiments of the
author are parameters. Not emulated: that the request for this memory may sleep, in a context where it must not (fail_every
says how often it fails), and the order in which the real sort leaves the entries of one zone.
"""

from libc.stdint cimport int64_t

from hinting._core.common cimport pfn_t
from hinting._core.mm.pages cimport zone_of
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.capture cimport append, capture_t
from hinting._core.strategies.hooks cimport THREAD_SLEEPS, TRACE_FREE_PAGE, tracepoint
from hinting._core.strategies.lists cimport list_is_back, list_pages, pages_under_way
from hinting._core.strategies.runs cimport give_back, run_and_send
from hinting._core.strategies.runs_strategy cimport Runs
from hinting._core.strategies.v8_steps cimport cpu_state_t, kib

from hinting._core.strategies.v8 import LABELS


cdef inline bint is_noted(const capture_t *c, pfn_t pfn, int64_t *compares) noexcept nogil:
    """Whether the block is in the array already: a linear search."""
    cdef int64_t i
    for i in range(c.n):
        if c.pfn[i] == pfn:
            compares[0] += i + 1
            return True
    compares[0] += c.n
    return False


cdef void on_merged(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    """Enqueue: note the block, unless the freed page is not its head and the block is noted already."""
    cdef v9_t *t = <v9_t *>self
    cdef cpu_state_t *c = &t.r.v.cpu[cpu]
    if order < t.min_order:
        return
    t.r.v.c.total_freed += kib(order)
    if c.kvm_pt.n == t.r.v.entries:
        t.r.dropped += 1
        return
    if m.merged_from != pfn:
        if is_noted(&c.kvm_pt, pfn, &t.r.v.s.work.compares):
            return
    tracepoint(t.r.v.s, TRACE_FREE_PAGE, pfn, order)
    append(&c.kvm_pt, pfn, t.min_order, zone_of(m, pfn).index)
    t.r.v.s.work.captured += 1
    t.r.v.c.captured += kib(order)


cdef void on_unlock(void *self, mm_t *m, int cpu) noexcept nogil:
    """Try: enough is noted."""
    cdef v9_t *t = <v9_t *>self
    if t.r.v.cpu[cpu].kvm_pt.n < t.threshold:
        return
    if t.in_thread:
        t.r.v.s.wake[cpu] = 1
    else:
        run_and_send(&t.r, m, cpu)


cdef int on_thread(void *self, mm_t *m, int cpu) noexcept nogil:
    cdef v9_t *t = <v9_t *>self
    if t.r.v.cpu[cpu].kvm_pt.n >= t.threshold:
        run_and_send(&t.r, m, cpu)
    return THREAD_SLEEPS


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    cdef v9_t *t = <v9_t *>self
    t.r.lockless_returns += t.r.lists.list[ticket].n
    give_back(&t.r, m, cpu, ticket)


cdef void on_host_lost(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    """The blocks of this list stay isolated for ever."""
    cdef v9_t *t = <v9_t *>self
    t.r.leaked_blocks += t.r.lists.list[ticket].n
    t.r.leaked_pages += list_pages(&t.r.lists.list[ticket])
    list_is_back(&t.r.lists, ticket)


cdef class V9(Runs):
    """The compiled v9 strategy; the parameters are those of hinting.strategies.V9, checked there."""

    def __init__(self, *, int64_t entries, int64_t threshold, int min_order, int64_t barrier, str run_in,
                 bint lost_answers, int64_t fail_every, str return_position, str host_action, int64_t call_pages,
                 int64_t wake_latency_ns, bint counted):
        self.counted = counted
        self.t.threshold = threshold
        self.t.min_order = min_order
        self.t.in_thread = run_in == "thread"
        self.t.r.barrier = barrier
        self.t.r.fail_every = fail_every
        self.run_over(&self.t.r, entries, min_order, return_position, host_action, call_pages, on_host_done)
        self.s.wake_latency_ns = wake_latency_ns
        self.s.drops_answers = lost_answers
        self.s.one_answer = lost_answers
        self.s.on_merged = on_merged
        self.s.on_unlock = on_unlock
        self.s.on_thread = on_thread
        self.s.on_host_lost = on_host_lost

    def counters(self):
        """The nine counters of the development build, KiB, under the labels of v8's; empty for the posted series."""
        if not self.counted:
            return {}
        values = dict(self.t.r.v.c)
        return {label: values[name] for name, label in LABELS}

    def statistics(self):
        """What the posted series does not count. not_isolated: pages dropped by the host while not isolated.

        in_flight_pages: of lists that are not back; an answer whose interrupt was merged with another's waits for the
        next one. leaked_blocks: of answers that were thrown away.
        """
        r = &self.t.r
        return {
            "runs": r.v.runs, "captured": self.s.work.captured, "isolated": self.s.work.isolated, "dropped": r.dropped,
            "discarded": r.discarded, "barred": r.barred, "returned_at_once": r.returned_at_once,
            "leaked_blocks": r.leaked_blocks, "leaked_pages": r.leaked_pages, "lockless_returns": r.lockless_returns,
            "not_isolated": r.lists.not_isolated, "most_isolated": r.v.most_isolated,
            "most_lists": r.lists.most_lists, "most_in_flight": r.lists.most_blocks, "in_flight_pages": pages_under_way(&r.lists),
        }

    def kernel_bytes(self):
        """The captured arrays of all CPUs; a list of isolated blocks is allocated for each run."""
        return (8 * self.t.r.v.entries + 8) * self.t.r.v.ncpus

    def captured(self, int cpu=0):
        """Blocks noted for a CPU: [pfn, ...]."""
        self._attached(cpu)
        return [self.t.r.v.cpu[cpu].kvm_pt.pfn[i] for i in range(self.t.r.v.cpu[cpu].kvm_pt.n)]

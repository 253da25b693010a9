"""Two development builds of guest free page hinting after v8 (February 2019), which lead to v9.

`v8.5-max-order`: the hook sits behind the merge and captures blocks of order 10 only. When the array of 1000 is full,
the freeing context itself, with the zone lock held, isolates what is still a free block of order 10, reports it and
waits for the host. tail_isolated also counts heads.

`v8.9-async`: the zone lock is dropped around that, the list of isolated blocks is allocated for each run, and an
interrupt returns the blocks when the host is done.

Inferred: neither drains per-CPU lists nor scans and packs, because a captured block is in the buddy lists already (and
with the lock held could not drain); total_freed counts the blocks of order 10 that the hook saw.
"""

from libc.stdint cimport int64_t

from hinting._core.common cimport pfn_t
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.lists cimport pages_under_way
from hinting._core.strategies.runs cimport give_back, run_and_send
from hinting._core.strategies.runs_strategy cimport Runs
from hinting._core.strategies.v8_steps cimport capture

from hinting._core.strategies.v8 import LABELS


cdef void on_merged(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    """Capture a block; the build that keeps the zone lock works off a full array at once."""
    cdef max_order_t *t = <max_order_t *>self
    cdef int64_t held = t.r.v.s.work.locks
    if order < t.min_order or not capture(&t.r.v, m, &t.r.v.cpu[cpu], pfn, order):
        return
    if t.inside_lock and t.r.v.cpu[cpu].kvm_pt.n == t.r.v.entries:
        run_and_send(&t.r, m, cpu)
        t.r.v.s.work.locks = held


cdef void on_unlock(void *self, mm_t *m, int cpu) noexcept nogil:
    cdef max_order_t *t = <max_order_t *>self
    if t.r.v.cpu[cpu].kvm_pt.n == t.r.v.entries:
        run_and_send(&t.r, m, cpu)


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    cdef max_order_t *t = <max_order_t *>self
    give_back(&t.r, m, cpu, ticket)


cdef class V8MaxOrder(Runs):
    """The compiled strategy; the parameters are those of hinting.strategies.V8MaxOrder, checked there."""

    def __init__(self, *, int64_t entries, int min_order, bint asynchronous, str return_position, str host_action,
                 int64_t call_pages):
        self.t.min_order = min_order
        self.t.inside_lock = not asynchronous
        self.t.r.heads_are_tails = True
        self.run_over(&self.t.r, entries, min_order, return_position, host_action, call_pages, on_host_done)
        self.s.submit_waits = not asynchronous
        self.s.on_merged = on_merged
        if asynchronous:
            self.s.on_unlock = on_unlock

    def counters(self):
        """The nine counters, KiB, under the labels of v8's sysfs file."""
        values = dict(self.t.r.v.c)
        return {label: values[name] for name, label in LABELS}

    def statistics(self):
        """What the builds do not count. not_isolated: pages dropped by the host while not isolated."""
        r = &self.t.r
        return {
            "runs": r.v.runs, "discarded": r.discarded, "returned_at_once": r.returned_at_once,
            "not_isolated": r.lists.not_isolated, "most_isolated": r.v.most_isolated,
            "most_lists": r.lists.most_lists, "most_in_flight": r.lists.most_blocks, "in_flight_pages": pages_under_way(&r.lists),
        }

    def kernel_bytes(self):
        """The captured arrays of all CPUs, and where it is not allocated for each run the isolated one."""
        return (2 if self.t.inside_lock else 1) * (16 * self.t.r.v.entries + 8) * self.t.r.v.ncpus

"""Guest free page hinting v1 to v7 ("KVM: Guest page hinting", November 2017 to November 2018).

The free hook notes every freed page or block in a per-CPU array of 1000. The free that fills it works it off at once,
under one global seqlock: pages without a reference count as free, neighbours become one run in a shared list of 1000,
and when that is full it is sorted and merged. If enough runs are left (500 in v1, 1 in v7) they go to the host, and the
CPU waits. Nothing is isolated: allocations of all other CPUs wait instead.

Defects of the v1 source: runs that were not sent are lost; a run that goes on after a send is credited to the empty
slot 0, and after a compression to the run of the highest pfn, so that pages nobody looked at are reported (unsafe_hint);
pages on a per-CPU list or half-way through freeing count as free, and so do the pages of an allocated block behind its
first one unless it is a compound page.

A run is reported as the aligned blocks that it consists of. Other CPUs wait at their next allocation from the moment
that the engine sees the report (a slice later at most), not during a slow path that sends nothing. Estimated: one
madvise call for each block; the v1 hypercall was a placeholder.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

from hinting._core.common cimport NO_PFN, pfn_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.pages cimport covering, tag_is_used
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.hooks cimport Strategy, block_t
from hinting._core.strategies.lists cimport free_lists, list_is_back
from hinting._core.strategies.states cimport lists_in_flight
from hinting._core.strategies.v1_steps cimport cpu_array_t, run_t, slow_path, v1_t


cdef void on_free(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    """Capture; the free that fills the array works it off, with interrupts off."""
    cdef v1_t *v = <v1_t *>self
    cdef cpu_array_t *c = &v.cpu[cpu]
    cdef run_t *entry = &c.kvm_pt[c.kvm_pt_idx]
    entry.pfn = pfn
    entry.pages = <int64_t>1 << order
    entry.unchecked = 0
    c.kvm_pt_idx += 1
    v.s.work.captured += 1
    if c.kvm_pt_idx == v.entries:
        slow_path(v, m, c)


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    cdef v1_t *v = <v1_t *>self
    list_is_back(&v.lists, ticket)


cdef void on_discard(void *self, mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """Count the pages that the guest uses at this moment: their contents are lost."""
    cdef v1_t *v = <v1_t *>self
    cdef pfn_t at = pfn, head = NO_PFN
    while at < pfn + (<pfn_t>1 << order):
        v.discarded_in_use += at < m.npfn and tag_is_used(covering(m, at, &head))
        at += 1


cdef const block_t *report(void *self, int ticket, int64_t *n) noexcept nogil:
    cdef v1_t *v = <v1_t *>self
    n[0] = v.lists.list[ticket].n
    return v.lists.list[ticket].block


cdef class V1(Strategy):
    """The compiled strategy of v1 to v7; the parameters are those of hinting.strategies.V1, checked there."""

    def __init__(self, *, int64_t entries, int64_t threshold, str remainder, bint track_run, bint stop_allocations,
                 str host_action, int64_t call_pages):
        self.v.entries = entries
        self.v.threshold = threshold
        self.v.keep_remainder = remainder == "kept"
        self.v.track_run = track_run
        self.v.s = &self.s
        self.wire(&self.v, host_action, call_pages, on_host_done, report, on_discard)
        self.s.descriptors = 1
        self.s.submit_waits = True
        self.s.stops_alloc = stop_allocations
        self.s.on_free = on_free

    cdef int prepare(self, Allocator allocator) except -1:
        cdef int i
        self.v.ncpus = allocator.m.ncpus
        self.v.hyper = <run_t *>calloc(self.v.entries, sizeof(run_t))
        self.v.cpu = <cpu_array_t *>calloc(self.v.ncpus, sizeof(cpu_array_t))
        if self.v.hyper == NULL or self.v.cpu == NULL:
            raise MemoryError()
        for i in range(self.v.ncpus):
            self.v.cpu[i].kvm_pt = <run_t *>calloc(self.v.entries, sizeof(run_t))
            if self.v.cpu[i].kvm_pt == NULL:
                raise MemoryError()
        return 0

    def __dealloc__(self):
        cdef int i
        free(self.v.hyper)
        if self.v.cpu != NULL:
            for i in range(self.v.ncpus):
                free(self.v.cpu[i].kvm_pt)
            free(self.v.cpu)
        free_lists(&self.v.lists)

    def statistics(self):
        """The series has no counters: what it did, in events and pages (v1_steps.v1_t says what each counts)."""
        v = &self.v
        return {
            "slow_paths": v.slow_paths, "compressions": v.compressions, "hypercalls": v.hypercalls,
            "checked_pages": v.checked_pages, "non_buddy_pages": v.non_buddy_pages, "tail_pages": v.tail_pages,
            "sent_pages": v.sent_pages, "lost_pages": v.lost_pages, "unsafe_hint": v.unsafe_hint,
            "discarded_in_use": v.discarded_in_use, "stalls": self.s.work.stalls,
        }

    def kernel_bytes(self):
        """The arrays of all CPUs with their indices, and the shared list."""
        return (16 * self.v.entries + 8) * self.v.ncpus + 16 * self.v.entries

    def captured(self, int cpu=0):
        """Entries of a CPU's array: [(pfn, pages), ...]."""
        self._attached(cpu)
        return [(self.v.cpu[cpu].kvm_pt[i].pfn, self.v.cpu[cpu].kvm_pt[i].pages)
                for i in range(self.v.cpu[cpu].kvm_pt_idx)]

    def state(self):
        """Entries of the CPUs' arrays, lists under way and counts: {name: int64 array}."""
        from hinting._core.strategies.v1_state import state

        return state(self)

    def set_state(self, values):
        """Take over a state; StrategyError, with nothing changed, if it contradicts itself or the guest's memory."""
        from hinting._core.strategies.v1_state import set_state

        set_state(self, values)

    def in_flight(self):
        """Lists that the host works on."""
        return [(ticket, None) for ticket in lists_in_flight(&self.v.lists, [number for number, _ in self.submitted()])]

"""Guest free page hinting v8 ("KVM: Guest Free Page Hinting", RFC v8, 4 February 2019).

The free hook notes every freed page in a per-CPU array of 1000 entries. When the array is full, the CPU's page lists
are drained and the array is scanned in the freeing context: entries inside a free block become one entry for the
block. If the array is still full, the CPU's thread is woken; it looks at every page again under the zone lock,
isolates the free blocks, reports them to the host and waits, and puts them back at the head of their lists. While the
array is full, frees on this CPU are lost.

`v8-posted` is the posted code, `v8-stats` the same with the nine counters of the development build around the posting.
"""

from libc.stdint cimport int64_t

from hinting.errors import StrategyError

from hinting._core.common cimport pfn_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.arrays cimport free_arrays, make_arrays
from hinting._core.strategies.capture cimport append
from hinting._core.strategies.hooks cimport (
    THREAD_REPORTS,
    THREAD_SLEEPS,
    Strategy,
    block_t,
)
from hinting._core.strategies.lists cimport not_isolated
from hinting._core.strategies.v8_state cimport v8_in, v8_out
from hinting._core.strategies.v8_steps cimport (
    DEDUP_FULL,
    DEDUP_HEAD,
    DEDUP_OFF,
    DRAIN_ALL,
    DRAIN_LOCAL,
    DRAIN_OFF,
    begin_run,
    capture,
    cpu_state_t,
    drain_lists,
    end_run,
    end_scan,
    examine,
    is_examined,
    return_block,
    scan_entry,
    v8_t,
)


cdef extern from *:
    bint likely(bint) nogil
    void __builtin_prefetch(const void *) nogil

_DRAIN = {"off": DRAIN_OFF, "local": DRAIN_LOCAL, "all": DRAIN_ALL}
_DEDUP = {"off": DEDUP_OFF, "head": DEDUP_HEAD, "full": DEDUP_FULL}
LABELS = (
    ("total_freed", "total_freed_memory"), ("captured", "captued_memory"), ("scanned", "scanned_memory"),
    ("total_isolated", "total_isolated_memory"), ("tail_isolated", "tail_isolated_memory"),
    ("failed_isolation", "failed_isolation_memory"), ("reallocated", "reallocated_memory"),
    ("free_non_buddy", "free_non_buddy_memory"), ("guest_returned", "guest_returned_memory"),
)

cdef void on_free(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    """Capture; the page that fills the array drains, scans and perhaps wakes the thread, with interrupts off."""
    cdef v8_t *v = <v8_t *>self
    cdef cpu_state_t *c = &v.cpu[cpu]
    cdef int64_t i
    if likely(not capture(v, m, c, pfn, order) or c.kvm_pt.n < v.entries):
        return
    drain_lists(v, m, cpu)
    for i in range(c.kvm_pt.n):
        if i + 8 < c.kvm_pt.n:
            __builtin_prefetch(&m.tag[c.kvm_pt.pfn[i + 8]])
        scan_entry(v, m, c, i)
    if end_scan(v, c):
        v.s.wake[cpu] = 1


cdef void return_blocks(v8_t *v, mm_t *m, int cpu, cpu_state_t *c) noexcept nogil:
    cdef int64_t i
    for i in range(c.hyp_idx):
        return_block(v, m, cpu, &c.hyp[i])
    c.hyp_idx = 0


cdef void isolate_entries(v8_t *v, mm_t *m, int cpu, cpu_state_t *c) noexcept nogil:
    """From where the thread stopped to the end of the array or to the isolation cap."""
    while not is_examined(c):
        if c.at + 4 < c.kvm_pt.n:
            __builtin_prefetch(&m.tag[c.kvm_pt.pfn[c.at + 4]])
            __builtin_prefetch(&m.link[c.kvm_pt.pfn[c.at + 4]])
        examine(v, m, c, cpu)
        if v.isolation_cap and c.hyp_idx == v.isolation_cap:
            break
    if c.hyp_idx > v.most_isolated:
        v.most_isolated = c.hyp_idx


cdef int on_thread(void *self, mm_t *m, int cpu) noexcept nogil:
    """Rescan, isolate and report; without a device the blocks go back unreported."""
    cdef v8_t *v = <v8_t *>self
    cdef cpu_state_t *c = &v.cpu[cpu]
    if not c.busy:
        return THREAD_SLEEPS
    if c.at < 0:
        begin_run(v, c)
    isolate_entries(v, m, cpu, c)
    while c.hyp_idx and v.no_device:
        v.skipped_reports += 1
        return_blocks(v, m, cpu, c)
        isolate_entries(v, m, cpu, c)
    if c.hyp_idx:
        return THREAD_REPORTS
    end_run(c)
    return THREAD_SLEEPS


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    """Put every reported block back; the array is empty again after the last report of a run."""
    cdef v8_t *v = <v8_t *>self
    cdef cpu_state_t *c = &v.cpu[cpu]
    return_blocks(v, m, cpu, c)
    if is_examined(c):
        end_run(c)


cdef bint on_timer(void *self, mm_t *m, int cpu) noexcept nogil:
    """A partly filled array that has not grown since the last tick is worked off (not in the posted series)."""
    cdef v8_t *v = <v8_t *>self
    cdef cpu_state_t *c = &v.cpu[cpu]
    cdef bint idle = c.seen == c.kvm_pt.n
    c.seen = c.kvm_pt.n
    if c.busy or not idle or c.kvm_pt.n == 0:
        return False
    c.busy = True
    v.s.wake[cpu] = 1
    return True


cdef const block_t *report(void *self, int ticket, int64_t *n) noexcept nogil:
    """A CPU's isolated array; its number is the ticket."""
    cdef v8_t *v = <v8_t *>self
    n[0] = v.cpu[ticket].hyp_idx
    return v.cpu[ticket].hyp


cdef void on_discard(void *self, mm_t *m, pfn_t pfn, int order) noexcept nogil:
    cdef v8_t *v = <v8_t *>self
    v.not_isolated += not_isolated(m, pfn, order)


cdef class V8(Strategy):
    """The compiled v8 strategy; the parameters are those of hinting.strategies.V8, checked there."""

    def __init__(self, *, int64_t entries, int min_order, str drain, bint scan_drop_non_buddy, str dedup,
                 str return_position, str host_action, int64_t call_pages, int64_t wake_latency_ns,
                 int64_t idle_flush_ns, int64_t isolation_cap, int isolate_min_order, bint counted):
        self.counted = counted
        self.v.entries = entries
        self.v.min_order = min_order
        self.v.isolate_min_order = isolate_min_order
        self.v.drain = _DRAIN[drain]
        self.v.dedup = _DEDUP[dedup]
        self.v.drop_non_buddy = scan_drop_non_buddy
        self.v.to_tail = return_position == "tail"
        self.v.isolation_cap = isolation_cap
        self.v.s = &self.s
        self.wire(&self.v, host_action, call_pages, on_host_done, report, on_discard)
        self.s.wake_latency_ns = wake_latency_ns
        self.s.timer_ns = idle_flush_ns
        self.s.synchronous = True
        self.s.descriptors = 1          # it points to the whole array
        self.s.on_free = on_free
        self.s.on_thread = on_thread
        if idle_flush_ns:
            self.s.on_timer = on_timer

    cdef int prepare(self, Allocator allocator) except -1:
        cdef int i
        for i in range(allocator.m.ncpus):
            self.s.thread_ticket[i] = i
        if not make_arrays(&self.v, allocator.m.ncpus, True):
            raise MemoryError()
        return 0

    def __dealloc__(self):
        free_arrays(&self.v, True)

    def counters(self):
        """The nine counters of the v8-stats build, KiB, under the labels of its sysfs file (one is misspelt there).

        Empty for the posted series, which has none.
        """
        values = dict(self.v.c)
        if not self.counted:
            return {}
        return {label: values[name] for name, label in LABELS}

    def statistics(self):
        """What the source does not count: scans, wake-ups, thread runs, overflows, the largest isolated array.

        not_isolated: pages dropped by the host while not isolated. skipped_reports: there was no device.
        returns_with_interrupts_on: blocks put back under a zone lock that does not disable interrupts, a deadlock if
        one of them frees or allocates; each exposes the guest for the cost of a put back.
        """
        return {"scans": self.v.scans, "wakes": self.v.wakes, "runs": self.v.runs,
                "isolated_overflow": self.v.isolated_overflow, "most_isolated": self.v.most_isolated,
                "not_isolated": self.v.not_isolated, "skipped_reports": self.v.skipped_reports,
                "returns_with_interrupts_on": self.s.work.returned}

    def remove_device(self):
        """The balloon driver is removed. As in the source that enables the static key instead of disabling it: pages are
        captured and blocks isolated as before, but there is no device to report to.
        """
        self.v.no_device = True
        self.enabled = True

    def kernel_files(self):
        """The sysctl that switches the feature, and for the counted build the file of its counters, made by the first free."""
        files = {"/proc/sys/vm/guest-page-hinting": f"{int(self.enabled)}\n"}
        if self.counted and self.v.c.total_freed:
            files["/sys/kernel/mm/hinting/hinting_memory_stats"] = "".join(
                f"{label}:{value} KB\n" for label, value in self.counters().items())
        return files

    def kernel_bytes(self):
        """Captured and isolated arrays with their indices, of all CPUs."""
        return 2 * (16 * self.v.entries + 8) * self.v.ncpus

    def captured(self, int cpu=0):
        """Entries of a CPU's captured array: [(pfn, order, zone), ...]."""
        cdef cpu_state_t *c
        cdef int64_t i
        self._attached(cpu)
        c = &self.v.cpu[cpu]
        return [(c.kvm_pt.pfn[i], c.kvm_pt.order[i], c.kvm_pt.zone[i]) for i in range(c.kvm_pt.n)]

    def load(self, int cpu, captured, counters):
        """Take over a CPU's captured array [(pfn, order, zone), ...] and, if given, the nine counters (KiB)."""
        cdef cpu_state_t *c
        self._attached(cpu)
        c = &self.v.cpu[cpu]
        if len(captured) > self.v.entries:
            raise StrategyError(f"captured array: {len(captured)} entries do not fit into {self.v.entries}")
        c.kvm_pt.n = 0
        for pfn, order, zone in captured:
            append(&c.kvm_pt, pfn, order, zone)
        c.busy = c.kvm_pt.n == self.v.entries
        if counters is not None:
            self.v.c = counters

    def counters_by_name(self):
        """The nine counters by the names of the code, KiB."""
        return dict(self.v.c)

    def state(self):
        """Captured and isolated arrays, counters and where each CPU's thread stands: {name: int64 array}."""
        return v8_out(self, &self.v, NULL)

    def set_state(self, values):
        """Take over a state; StrategyError, with nothing changed, if it contradicts itself or the guest's memory."""
        v8_in(self, &self.v, NULL, values)

    def in_flight(self):
        """Each CPU whose thread has begun with its array and is not done."""
        return [(i, i) for i in range(self.v.ncpus) if self.v.cpu[i].at >= 0]

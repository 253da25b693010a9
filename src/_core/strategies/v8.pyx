"""Guest free page hinting v8 ("KVM: Guest Free Page Hinting", RFC v8, 4 February 2019).

The free hook notes every freed page in a per-CPU array of 1000 entries. When the array is full, the CPU's page lists
are drained and the array is scanned in the freeing context: entries inside a free block become one entry for the
block. If the array is still full, the CPU's thread is woken; it looks at every page again under the zone lock,
isolates the free blocks, reports them to the host and waits, and puts them back at the head of their lists. While the
array is full, frees on this CPU are lost.

`v8-posted` is the posted code, `v8-stats` the same with the nine counters of the development build around the posting.
"""

from libc.stdint cimport int64_t, int8_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from hinting._core.common cimport MAX_ORDER, NO_PFN, pfn_t
from hinting._core.mm.alloc cimport drain_cpu
from hinting._core.mm.allocator cimport Allocator
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
from hinting._core.mm.state cimport mm_t, zone_t
from hinting._core.strategies.capture cimport SLOT_BLOCK, append, clear, find_pfn, pack
from hinting._core.strategies.hooks cimport (
    HOST_DONTNEED,
    HOST_FREE,
    THREAD_REPORTS,
    THREAD_SLEEPS,
    Strategy,
    block_t,
)

cdef extern from *:
    void __builtin_prefetch(const void *) nogil

cdef enum:
    DRAIN_OFF = 0
    DRAIN_LOCAL = 1
    DRAIN_ALL = 2

    DEDUP_OFF = 0
    DEDUP_HEAD = 1                      # an entry inside a block gives way if the block's head is listed (source)
    DEDUP_FULL = 2                      # besides, a head that is listed twice keeps one entry

_DRAIN = {"off": DRAIN_OFF, "local": DRAIN_LOCAL, "all": DRAIN_ALL}
_DEDUP = {"off": DEDUP_OFF, "head": DEDUP_HEAD, "full": DEDUP_FULL}
_ACTION = {"dontneed": HOST_DONTNEED, "free": HOST_FREE}
_LABELS = (
    ("total_freed", "total_freed_memory"), ("captured", "captued_memory"), ("scanned", "scanned_memory"),
    ("total_isolated", "total_isolated_memory"), ("tail_isolated", "tail_isolated_memory"),
    ("failed_isolation", "failed_isolation_memory"), ("reallocated", "reallocated_memory"),
    ("free_non_buddy", "free_non_buddy_memory"), ("guest_returned", "guest_returned_memory"),
)

cdef inline int64_t kib(int order) noexcept nogil:
    return <int64_t>4 << order


cdef int64_t pages_on_lists(mm_t *m, int cpu) noexcept nogil:
    cdef int64_t n = 0
    cdef int i
    for i in range(4):
        n += pcp_of(m, &m.zone[i], cpu).count
    return n


cdef void scan(v8_t *v, mm_t *m, cpu_state_t *c) noexcept nogil:
    """Replace entries inside free blocks by the blocks, drop duplicates, pack. Interrupts off, no zone lock."""
    cdef int64_t i, match
    cdef int order = 0
    cdef pfn_t head, pfn
    v.scans += 1
    for i in range(c.kvm_pt.n):
        if i + 8 < c.kvm_pt.n:
            __builtin_prefetch(&m.tag[c.kvm_pt.pfn[i + 8]])
        pfn = c.kvm_pt.pfn[i]
        head = containing_block(m, pfn, &order)
        v.s.work.probes += 1
        if head == NO_PFN:
            if v.drop_non_buddy:
                clear(&c.kvm_pt, i)
            continue
        if head == pfn:
            if v.dedup == DEDUP_FULL and find_pfn(&c.kvm_pt, pfn) < i:
                clear(&c.kvm_pt, i)
            continue
        match = find_pfn(&c.kvm_pt, head) if v.dedup != DEDUP_OFF else -1
        v.s.work.compares += match + 1 if match >= 0 else v.entries
        if match >= 0:
            clear(&c.kvm_pt, i)
        else:
            c.kvm_pt.pfn[i] = head
            c.kvm_pt.order[i] = <int8_t>order
    pack(&c.kvm_pt)


cdef void on_free(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    cdef v8_t *v = <v8_t *>self
    cdef cpu_state_t *c = &v.cpu[cpu]
    cdef int other
    v.c.total_freed += kib(order)
    if c.busy or order < v.min_order:
        return
    append(&c.kvm_pt, pfn, order, zone_of(m, pfn).index)
    v.s.work.captured += 1
    v.c.captured += kib(order)
    if c.kvm_pt.n < v.entries:
        return
    for other in range(v.ncpus):
        if v.drain == DRAIN_ALL or v.drain == DRAIN_LOCAL and other == cpu:
            v.s.work.drained += pages_on_lists(m, other)
            drain_cpu(m, other, cpu)
    scan(v, m, c)
    if c.kvm_pt.n == v.entries:
        c.busy = True
        v.wakes += 1
        v.s.wake[cpu] = 1


cdef bint isolate_block(v8_t *v, mm_t *m, cpu_state_t *c, int cpu, pfn_t head, int order) noexcept nogil:
    cdef block_t *slot
    if c.hyp_idx == v.entries:          # the second array has no bound check in the source
        v.isolated_overflow += 1
        return False
    if not isolate(m, zone_of(m, head), cpu, head, order):
        v.c.failed_isolation += kib(order)
        return False
    slot = &c.hyp[c.hyp_idx]
    slot.pfn = head
    slot.order = order
    c.hyp_idx += 1
    v.c.total_isolated += kib(order)
    v.s.work.isolated += 1
    return True


cdef void step(v8_t *v, mm_t *m, cpu_state_t *c, int cpu) noexcept nogil:
    """Examine the next page of the current entry, as under one hold of the zone lock."""
    cdef pfn_t head = NO_PFN
    cdef uint8_t tag = covering(m, c.pfn, &head)
    cdef int order = tag & TAG_ORDER
    v.s.work.locks += 1
    if tag_is_used(tag) and tag & TAG_COMPOUND:
        v.c.reallocated += kib(order)
        v.c.scanned += kib(order)
        c.pfn = head + (<pfn_t>1 << order)
    elif tag_is_used(tag) and head == c.pfn:
        v.c.reallocated += kib(0)
        v.c.scanned += kib(0)
        c.pfn += 1
    elif tag_is_buddy(tag):
        v.c.scanned += kib(order)
        if isolate_block(v, m, c, cpu, head, order) and head != c.pfn:
            v.c.tail_isolated += kib(order)
        c.pfn = head + (<pfn_t>1 << order)
    else:
        v.c.free_non_buddy += kib(0)
        v.c.scanned += kib(0)
        c.pfn += 1


cdef int on_thread(void *self, mm_t *m, int cpu) noexcept nogil:
    """Rescan and isolate from where the thread stopped, to the end of the array or to the isolation cap."""
    cdef v8_t *v = <v8_t *>self
    cdef cpu_state_t *c = &v.cpu[cpu]
    if not c.busy:
        return THREAD_SLEEPS
    if c.at < 0:
        v.runs += 1
        c.at = 0
        c.pfn = c.kvm_pt.pfn[0]
        c.end = c.pfn + ((<pfn_t>1 << c.kvm_pt.order[0]) - 1)
    while c.at < c.kvm_pt.n:
        if c.at + 4 < c.kvm_pt.n:
            __builtin_prefetch(&m.tag[c.kvm_pt.pfn[c.at + 4]])
            __builtin_prefetch(&m.link[c.kvm_pt.pfn[c.at + 4]])
        while c.pfn <= c.end:
            step(v, m, c, cpu)
            if v.isolation_cap and c.hyp_idx == v.isolation_cap:
                return THREAD_REPORTS
        clear(&c.kvm_pt, c.at)
        c.at += 1
        if c.at < c.kvm_pt.n:
            c.pfn = c.kvm_pt.pfn[c.at]
            c.end = c.pfn + ((<pfn_t>1 << c.kvm_pt.order[c.at]) - 1)
    if c.hyp_idx > v.most_isolated:
        v.most_isolated = c.hyp_idx
    if c.hyp_idx:
        return THREAD_REPORTS
    c.at = -1
    c.kvm_pt.n = 0
    c.busy = False
    return THREAD_SLEEPS


cdef void on_host_done(void *self, mm_t *m, int cpu) noexcept nogil:
    """Put every reported block back; the array is empty again after the last report of a run."""
    cdef v8_t *v = <v8_t *>self
    cdef cpu_state_t *c = &v.cpu[cpu]
    cdef int64_t i
    cdef block_t *b
    for i in range(c.hyp_idx):
        b = &c.hyp[i]
        put_back(m, zone_of(m, b.pfn), cpu, b.pfn, b.order, FPI_TO_TAIL if v.to_tail else FPI_NONE)
        v.c.guest_returned += kib(b.order)
    v.s.work.returned += c.hyp_idx
    v.s.work.locks += c.hyp_idx
    c.hyp_idx = 0
    if c.at >= c.kvm_pt.n:
        c.at = -1
        c.kvm_pt.n = 0
        c.busy = False


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


cdef const block_t *report(void *self, int cpu, int64_t *n) noexcept nogil:
    cdef v8_t *v = <v8_t *>self
    n[0] = v.cpu[cpu].hyp_idx
    return v.cpu[cpu].hyp


cdef class V8(Strategy):
    """The compiled v8 strategy; the parameters are those of hinting.strategies.V8, checked there."""

    def __init__(self, *, int64_t entries, int min_order, str drain, bint scan_drop_non_buddy, str dedup,
                 str return_position, str host_action, int64_t call_pages, int64_t wake_latency_ns,
                 int64_t idle_flush_ns, int64_t isolation_cap, bint counted):
        self.counted = counted
        self.v.entries = entries
        self.v.min_order = min_order
        self.v.drain = _DRAIN[drain]
        self.v.dedup = _DEDUP[dedup]
        self.v.drop_non_buddy = scan_drop_non_buddy
        self.v.to_tail = return_position == "tail"
        self.v.isolation_cap = isolation_cap
        self.v.s = &self.s
        self.s.self = &self.v
        self.s.host_action = _ACTION[host_action]
        self.s.call_pages = call_pages
        self.s.wake_latency_ns = wake_latency_ns
        self.s.timer_ns = idle_flush_ns
        self.s.synchronous = True
        self.s.on_free = on_free
        self.s.on_thread = on_thread
        self.s.on_host_done = on_host_done
        if idle_flush_ns:
            self.s.on_timer = on_timer
        self.s.report = report

    cdef int prepare(self, Allocator allocator) except -1:
        cdef int64_t room = (self.v.entries + SLOT_BLOCK - 1) // SLOT_BLOCK * SLOT_BLOCK
        cdef int i
        self.v.ncpus = allocator.m.ncpus
        self.v.cpu = <cpu_state_t *>calloc(self.v.ncpus, sizeof(cpu_state_t))
        if self.v.cpu == NULL:
            raise MemoryError()
        for i in range(self.v.ncpus):
            self.v.cpu[i].at = -1
            self.v.cpu[i].kvm_pt.capacity = self.v.entries
            self.v.cpu[i].kvm_pt.pfn = <pfn_t *>calloc(room, sizeof(pfn_t))
            self.v.cpu[i].kvm_pt.order = <int8_t *>calloc(room, 1)
            self.v.cpu[i].kvm_pt.zone = <int8_t *>calloc(room, 1)
            self.v.cpu[i].hyp = <block_t *>calloc(self.v.entries, sizeof(block_t))
            if not (self.v.cpu[i].kvm_pt.pfn and self.v.cpu[i].kvm_pt.order and self.v.cpu[i].kvm_pt.zone
                    and self.v.cpu[i].hyp):
                raise MemoryError()
            memset(self.v.cpu[i].kvm_pt.order, -1, room)
            memset(self.v.cpu[i].kvm_pt.zone, -1, room)
        return 0

    def __dealloc__(self):
        cdef int i
        if self.v.cpu != NULL:
            for i in range(self.v.ncpus):
                free(self.v.cpu[i].kvm_pt.pfn)
                free(self.v.cpu[i].kvm_pt.order)
                free(self.v.cpu[i].kvm_pt.zone)
                free(self.v.cpu[i].hyp)
            free(self.v.cpu)

    def counters(self):
        """The nine counters of the v8-stats build, KiB, under the labels of its sysfs file (one is misspelt there).

        Empty for the posted series, which has none.
        """
        values = dict(self.v.c)
        if not self.counted:
            return {}
        return {label: values[name] for name, label in _LABELS}

    def statistics(self):
        """What the source does not count: scans, wake-ups, thread runs, overflows, the largest isolated array."""
        return {"scans": self.v.scans, "wakes": self.v.wakes, "runs": self.v.runs,
                "isolated_overflow": self.v.isolated_overflow, "most_isolated": self.v.most_isolated}

    def captured(self, int cpu=0):
        """Entries of a CPU's captured array: [(pfn, order, zone), ...]."""
        cdef cpu_state_t *c
        cdef int64_t i
        self._attached(cpu)
        c = &self.v.cpu[cpu]
        return [(c.kvm_pt.pfn[i], c.kvm_pt.order[i], c.kvm_pt.zone[i]) for i in range(c.kvm_pt.n)]

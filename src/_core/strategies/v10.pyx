"""Guest free page hinting v10 (3 June 2019), v11 (10 July 2019) and, as page reporting, v12 (12 August 2019).

A free that ends in a block of order 9 or more sets a bit of its zone's bitmap, one bit for each 2 MiB. When a zone has
16, a work item is queued; it walks the bits of such zones in ascending order, isolates what still begins a free block,
reports 16 blocks at a time, waits for the host and puts them back at the head of their lists. Bits of blocks that are
in use again are cleared when met; the up to 15 bits below the threshold wait for ever.

v10 spins for the host, v11 and v12 sleep. In v10 and v11 the count is reset when a pass begins and the work item may
be queued again while it runs; in v12 the count follows the bits, and a reference counter admits one pass at a time.
v12 undoes the change of type that isolation made, for the pageblock of the block's first page (on Linux 6.12, where lists and
pageblocks must agree, for all of the block's pageblocks).

Not emulated: several nodes that share a zone's bitmap, memory that is not online (an endless loop in v10), the sleeping
allocation under a spin lock. A bitmap of a zone that begins inside a 2 MiB range (DMA, at page 1) maps a bit to a page
that is no block's first one, which follows from the formula of the bit; such blocks are never reported.
"""

from libc.stdint cimport int64_t

from hinting._core.common cimport NR_ZONES, pfn_t
from hinting._core.host.words cimport popcount
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.bitmaps cimport (
    begin_pass,
    free_bitmaps,
    is_due,
    make_bitmaps,
    note_block,
    return_blocks,
    walk,
)
from hinting._core.strategies.hooks cimport (
    THREAD_REPORTS,
    THREAD_SLEEPS,
    Strategy,
    block_t,
    note_holds,
)
from hinting._core.strategies.lists cimport not_isolated


cdef void on_free(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    cdef v10_t *t = <v10_t *>self
    t.freed_kib += <int64_t>4 << order


cdef void on_merged(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    cdef v10_t *t = <v10_t *>self
    note_block(&t.b, m, pfn, order)


cdef void on_unlock(void *self, mm_t *m, int cpu) noexcept nogil:
    """Queue the work item on this CPU, or where it runs already, if a zone has enough bits."""
    cdef v10_t *t = <v10_t *>self
    if t.queued or (t.runs_on >= 0 and not t.requeues) or not is_due(&t.b):
        return
    t.queued = True
    t.b.s.wake[t.runs_on if t.runs_on >= 0 else cpu] = 1


cdef int on_thread(void *self, mm_t *m, int cpu) noexcept nogil:
    """The work item: from where the pass stopped to its next report, and on to another pass if it was queued again."""
    cdef v10_t *t = <v10_t *>self
    while t.runs_on == cpu or (t.queued and t.runs_on < 0):
        if t.runs_on < 0:
            t.queued = False
            t.runs_on = cpu
            begin_pass(&t.b)
        if walk(&t.b, m, cpu):
            return THREAD_REPORTS
        t.runs_on = -1
    return THREAD_SLEEPS


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    cdef v10_t *t = <v10_t *>self
    t.b.s.work.locks += 1 if t.one_hold else t.b.n
    if t.one_hold:
        note_holds(t.b.s, 1, 0, 0, t.b.n)
    else:
        note_holds(t.b.s, t.b.n, 0, 0, 1)
    return_blocks(&t.b, m, cpu)


cdef void on_discard(void *self, mm_t *m, pfn_t pfn, int order) noexcept nogil:
    cdef v10_t *t = <v10_t *>self
    t.b.not_isolated += not_isolated(m, pfn, order)


cdef const block_t *report(void *self, int ticket, int64_t *n) noexcept nogil:
    cdef v10_t *t = <v10_t *>self
    n[0] = t.b.n
    return t.b.block


cdef class V10(Strategy):
    """The compiled strategy of v10 to v12; the parameters are those of hinting.strategies.V10 and V12.

    count_bits, keep_types, one_hold and not requeues: v12. counted: the development counters of v12.
    """

    def __init__(self, *, int min_order, int64_t threshold, int64_t batch, int64_t delay_ns, str return_position,
                 str host_action, int64_t call_pages, str wait, bint is_v12, bint counted):
        self.counted = counted
        self.t.runs_on = -1
        self.t.requeues = not is_v12
        self.t.one_hold = is_v12
        self.t.b.s = &self.s
        self.t.b.order = min_order
        self.t.b.threshold = threshold
        self.t.b.batch = batch
        self.t.b.count_bits = is_v12
        self.t.b.keep_types = is_v12
        self.t.b.to_tail = return_position == "tail"
        self.wire(&self.t, host_action, call_pages, on_host_done, report, on_discard)
        self.s.wake_latency_ns = delay_ns
        self.s.delayed = True
        self.s.synchronous = wait == "busy"
        self.s.descriptors = 0 if is_v12 else 1     # v12 sends one for each block, v10 one for the array
        if counted:
            self.s.on_free = on_free
        self.s.on_merged = on_merged
        self.s.on_unlock = on_unlock
        self.s.on_thread = on_thread

    cdef int prepare(self, Allocator allocator) except -1:
        if not make_bitmaps(&self.t.b, &allocator.m):
            raise MemoryError()
        return 0

    def __dealloc__(self):
        free_bitmaps(&self.t.b)

    def counters(self):
        """The development counters of v12, KiB; scanned counts what the visited bits stand for. Else empty."""
        b = &self.t.b
        if not self.counted:
            return {}
        return {"freed": self.t.freed_kib, "captured": b.captured_kib, "scanned": b.visited << (b.order + 2),
                "isolated": b.isolated_kib, "reported": b.reported_kib, "returned": b.returned_kib}

    def statistics(self):
        """What the series do not count. not_isolated: pages dropped by the host while not isolated."""
        b = &self.t.b
        return {"passes": b.passes, "reports": b.reports, "captured_blocks": self.s.work.captured, "visited": b.visited,
                "stale": b.stale, "refused": b.refused, "isolated_blocks": self.s.work.isolated,
                "waiting_bits": sum(self.bits().values()), "not_isolated": b.not_isolated}

    def kernel_bytes(self):
        """The bitmaps of all zones, and the array of one report (address and size of each block)."""
        return sum((self.t.b.zone[i].nbits + 63) // 64 * 8 for i in range(NR_ZONES)) + 16 * self.t.b.batch

    def bits(self):
        """Bits that are set, by zone: {zone index: count}."""
        cdef int i
        cdef int64_t k, n
        found = {}
        for i in range(NR_ZONES):
            n = 0
            for k in range((self.t.b.zone[i].nbits + 63) // 64):
                n += popcount(self.t.b.zone[i].bits[k])
            if self.t.b.zone[i].bits != NULL:
                found[i] = n
        return found

    def bit(self, int zone, int64_t number):
        """Whether a bit of a zone's bitmap is set."""
        return bool(self.t.b.zone[zone].bits[number >> 6] >> (number & 63) & 1)

    def counts(self):
        """The zones' counters: {zone index: count}."""
        return {i: self.t.b.zone[i].count for i in range(NR_ZONES) if self.t.b.zone[i].bits != NULL}

    def state(self):
        """Bits of the zones, where the pass stands, its blocks and counts: {name: int64 array}."""
        from hinting._core.strategies.v10_state import state

        return state(self)

    def set_state(self, values):
        """Take over a state; StrategyError, with nothing changed, if it contradicts itself or the guest's memory."""
        from hinting._core.strategies.v10_state import set_state

        set_state(self, values)

    def in_flight(self):
        """The pass that is under way."""
        return [(0, self.t.runs_on)] if self.t.runs_on >= 0 else []

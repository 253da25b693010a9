"""Free page hinting for migration (VIRTIO_BALLOON_F_FREE_PAGE_HINT, Linux 4.20; QEMU 8.2 as the device).

When the host names a new run by its command id, a work item on CPU 0 allocates free blocks of 4 MiB one after the other
until an allocation fails, hands each to the device, which takes its pages out of the present round of the migration,
and keeps it. STOP ends a round: the blocks stay with the driver. DONE gives them all back; a new run begins with
giving back what the last one kept. Host memory is not freed.

While a run lasts, the guest's free memory is the driver's. When the guest reclaims, its shrinker gives blocks back, whether
the device has seen them or not; the migration's log of written pages makes up for that. A driver that finds the ring
full frees its block and tries again; here it waits a moment.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc

from hinting._core.common cimport NO_PFN, pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.migration cimport skip_hinted
from hinting._core.host.state cimport backing_t, host_t
from hinting._core.mm.alloc cimport alloc_pages, free_pages
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.state cimport MM_NO_MEMORY, mm_t
from hinting._core.strategies.hooks cimport THREAD_PAUSES, THREAD_SLEEPS, Strategy, block_t, submit

#: Commands of the device that are no id of a run.
STOP, DONE = CMD_STOP, CMD_DONE

cdef enum:
    BLOCKS_AT_ONCE = 8                  # between two looks at the command id
    FULL_PAUSE_NS = 10000               # until a full ring is looked at again


cdef void give_back(hint_t *t, mm_t *m, int cpu, int64_t most) noexcept nogil:
    """Free the newest blocks that are held."""
    while t.n and most:
        t.n -= 1
        most -= 1
        t.s.withheld -= <int64_t>1 << t.order
        free_pages(m, cpu, t.held[t.n], t.order)
        t.s.work.freed += 1
        t.returned += 1


cdef bint keep(hint_t *t, mm_t *m, pfn_t pfn) noexcept nogil:
    cdef void *grown
    if t.n == t.room:
        grown = realloc(t.held, (t.room * 2 + 64) * sizeof(pfn_t))
        if grown == NULL:
            m.error = MM_NO_MEMORY
            return False
        t.held = <pfn_t *>grown
        t.room = t.room * 2 + 64
    t.held[t.n] = pfn
    t.n += 1
    t.s.withheld += <int64_t>1 << t.order
    if t.n > t.most_held:
        t.most_held = t.n
    return True


cdef int hint_some(hint_t *t, mm_t *m, int cpu) noexcept nogil:
    """Allocate and hand over a few blocks; the run ends when none can be had."""
    cdef int _, slot
    cdef pfn_t pfn
    for _ in range(BLOCKS_AT_ONCE):
        if t.added - t.used >= RING - 1:
            t.ring_full += 1
            t.s.pause_ns = FULL_PAUSE_NS
            return THREAD_PAUSES
        pfn = alloc_pages(m, cpu, t.order, t.gfp)
        if pfn == NO_PFN:
            t.ended = True
            submit(t.s, TICKET_STOP)
            return THREAD_SLEEPS
        t.s.work.allocated_blocks += 1
        if not keep(t, m, pfn):
            free_pages(m, cpu, pfn, t.order)
            return THREAD_SLEEPS
        slot = t.added % RING
        t.slot[slot].pfn = pfn
        t.slot[slot].order = t.order
        t.slot_cmd[slot] = t.cmd
        t.added += 1
        t.hints += 1
        submit(t.s, slot)
    t.s.pause_ns = 0
    return THREAD_PAUSES


cdef int on_thread(void *self, mm_t *m, int cpu) noexcept nogil:
    cdef hint_t *t = <hint_t *>self
    if t.cmd == CMD_DONE:
        t.active = CMD_DONE
        give_back(t, m, cpu, t.n)
        return THREAD_SLEEPS
    if t.cmd == CMD_STOP:
        return THREAD_SLEEPS
    if t.cmd != t.active:
        give_back(t, m, cpu, t.n)
        t.active = t.cmd
        t.ended = False
        t.runs += 1
        submit(t.s, TICKET_START)
    return THREAD_SLEEPS if t.ended else hint_some(t, m, cpu)


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    cdef hint_t *t = <hint_t *>self
    t.used += ticket < RING


cdef int64_t on_shrink(void *self, mm_t *m, int cpu, int64_t pages) noexcept nogil:
    """The shrinker: whole blocks, the newest first."""
    cdef hint_t *t = <hint_t *>self
    cdef int64_t blocks = (pages + (1 << t.order) - 1) >> t.order
    if pages == 0:
        return t.n << t.order
    if blocks > t.n:
        blocks = t.n
    give_back(t, m, cpu, blocks)
    t.shrunk += blocks
    return blocks << t.order


cdef const block_t *report(void *self, int ticket, int64_t *n) noexcept nogil:
    cdef hint_t *t = <hint_t *>self
    n[0] = ticket < RING
    return &t.slot[ticket] if ticket < RING else NULL


cdef void device(
    void *self, int ticket, host_t *h, backing_t *b, const costs_t *c, const block_t *block, int running_vcpus,
    double *host_ns, double *stolen_ns,
) noexcept nogil:
    """A hint: its pages need not be sent in this round, if it is of this run."""
    cdef hint_t *t = <hint_t *>self
    cdef int64_t pages = <int64_t>1 << block.order
    host_ns[0] += c.host_ramblock_lookup + pages * c.guest_scan_bitmap_page
    if b.migration == NULL or t.slot_cmd[ticket] != t.cmd or not b.migration.hints:
        t.late += 1
        return
    t.honoured += skip_hinted(b.migration, b, block.pfn, pages)


cdef class FreePageHint(Strategy):
    """The compiled hinting of one guest; the parameters are those of hinting.strategies.FreePageHint."""

    def __init__(self, *, gfp, int order, bint shrinker):
        self.gfp = gfp
        self.t.s = &self.s
        self.t.order = order
        self.t.cmd = self.t.active = CMD_DONE
        self.s.self = &self.t
        self.s.descriptors = 1
        self.s.submit_silent = True
        self.s.on_thread = on_thread
        self.s.on_host_done = on_host_done
        if shrinker:
            self.s.on_shrink = on_shrink
        self.s.report = report
        self.s.device = device

    cdef int prepare(self, Allocator allocator) except -1:
        for name in self.gfp:
            self.t.gfp |= allocator.kernel.gfp[name]
        return 0

    def __dealloc__(self):
        free(self.t.held)

    def command(self, int64_t cmd):
        """Write free_page_hint_cmd_id: 0 STOP, 1 DONE, else the id of a run. The driver learns it by an interrupt."""
        self._attached(0)
        self.t.cmd = cmd
        self.s.wake[0] = 1

    def shrink(self, int64_t pages, int cpu=0):
        """Call the shrinker by hand; pages that it gave back, or for 0 that it could."""
        self._attached(cpu)
        return on_shrink(&self.t, &self.allocator.m, cpu, pages)

    def held(self):
        """First pages of the blocks that the driver keeps, oldest first."""
        return [self.t.held[i] for i in range(self.t.n)]

    def why_no_state(self):
        return "its driver acts during a migration only, which is the host's, and a snapshot holds nothing of the host"

    def counters(self):
        """The device's configuration and the driver's count of blocks."""
        return {"free_page_hint_cmd_id": self.t.cmd, "num_free_page_blocks": self.t.n}

    def statistics(self):
        """hints: blocks handed over. honoured_pages: spared in a round. late_hints: of a run that was over. ..."""
        t = &self.t
        return {"runs": t.runs, "hints": t.hints, "honoured_pages": t.honoured, "late_hints": t.late,
                "returned_blocks": t.returned, "shrunk_blocks": t.shrunk, "ring_full": t.ring_full, "most_held": t.most_held}

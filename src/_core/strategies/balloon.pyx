"""The classic balloon (virtio-balloon, Linux 5.0 to 6.12; QEMU 8.2 as the device).

The host sets a target. A work item on CPU 0 inflates towards it: up to 256 movable pages are allocated one by one, the
device is told their PFNs in one request and discards each, and when it has answered the next round begins. Deflating
tells the device first and frees then (MUST_TELL_HOST). An allocation that fails ends the round: "out of puff", a pause,
and the device is told what there is.

The newest pages leave the balloon first. With DEFLATE_ON_OOM the guest's OOM notifier releases up to 256 pages before
anybody is killed, and the guest's total RAM is not lowered by the balloon. Linux 5.0 to 5.6 released them by a shrinker
instead, which reclaim asks whenever it takes page cache.

Balloon pages are movable, but nothing moves them: the emulated kernel does not compact, and a guest has one strategy.
"""

from libc.stdint cimport int64_t

from hinting._core.costs cimport costs_t
from hinting._core.host.balloon cimport balloon_deflate, balloon_device_init, balloon_inflate
from hinting._core.host.state cimport backing_t, host_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.balloon_steps cimport (
    STAT_AVAIL,
    STAT_CACHES,
    STAT_HTLB_PGALLOC,
    STAT_HTLB_PGFAIL,
    STAT_MAJFLT,
    STAT_MEMFREE,
    STAT_MEMTOT,
    STAT_MINFLT,
    STAT_SWAP_IN,
    STAT_SWAP_OUT,
    TICKET_DEFLATE,
    TICKET_INFLATE,
    TICKET_OOM,
    TICKET_STATS,
    balloon_free,
    balloon_init,
    balloon_t,
    fill,
    fill_stats,
    missing,
    pages_in,
    release,
    take_out,
    write_actual,
)
from hinting._core.strategies.hooks cimport (
    THREAD_PAUSES,
    THREAD_REPORTS,
    THREAD_RETRIES,
    THREAD_SLEEPS,
    Strategy,
    block_t,
    submit,
)

#: Ticket of the statistics buffer, for Machine.poll.
STATS_TICKET = TICKET_STATS

#: Tags of the statistics buffer, by the names that QEMU gives them: bytes of memory, numbers of faults.
STATS = {
    "stat-swap-in": STAT_SWAP_IN, "stat-swap-out": STAT_SWAP_OUT, "stat-major-faults": STAT_MAJFLT,
    "stat-minor-faults": STAT_MINFLT, "stat-free-memory": STAT_MEMFREE, "stat-total-memory": STAT_MEMTOT,
    "stat-available-memory": STAT_AVAIL, "stat-disk-caches": STAT_CACHES, "stat-htlb-pgalloc": STAT_HTLB_PGALLOC,
    "stat-htlb-pgfail": STAT_HTLB_PGFAIL,
}


cdef int on_thread(void *self, mm_t *m, int cpu) noexcept nogil:
    """The work item: one round of inflation or deflation, which ends with a request."""
    cdef balloon_t *b = <balloon_t *>self
    cdef int64_t diff, n, wanted
    if b.pauses:
        b.pauses = False
        b.s.thread_ticket[cpu] = TICKET_INFLATE
        return THREAD_REPORTS
    diff = missing(b)
    if diff == 0:
        return THREAD_SLEEPS
    if diff < 0:
        take_out(b, &b.work, -diff if -diff < b.most else b.most)
        b.s.thread_ticket[cpu] = TICKET_DEFLATE
        return THREAD_REPORTS
    wanted = diff if diff < b.most else b.most
    n = fill(b, m, cpu, wanted)
    b.s.thread_ticket[cpu] = TICKET_INFLATE
    if n == wanted:
        return THREAD_REPORTS
    b.out_of_puff += 1
    b.pauses = n > 0
    return THREAD_PAUSES if n else THREAD_RETRIES


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    cdef balloon_t *b = <balloon_t *>self
    if ticket == TICKET_STATS:
        b.stats = b.filled
        b.stats_out = False
        b.polls += 1
        return
    if ticket == TICKET_DEFLATE:
        release(b, m, cpu, &b.work)
    elif ticket >= TICKET_OOM:
        release(b, m, cpu, &b.oom[ticket - TICKET_OOM])
    write_actual(b)


cdef int64_t take_out_for(balloon_t *b, int cpu) noexcept nogil:
    """A request of this CPU's own that releases pages; how many, 0 if one is under way or there are none."""
    cdef int64_t n
    if b.oom[cpu].n or b.n == 0 or not submit(b.s, TICKET_OOM + cpu):
        return 0
    n = take_out(b, &b.oom[cpu], (b.oom_pages + (1 << b.order) - 1) >> b.order)
    return n << b.order


cdef int64_t on_oom(void *self, mm_t *m, int cpu) noexcept nogil:
    cdef balloon_t *b = <balloon_t *>self
    cdef int64_t pages
    if b.by_shrinker:                   # the CPU waits for what the shrinker has asked for
        return b.oom[cpu].n << b.order
    pages = take_out_for(b, cpu)
    b.oom_notified += pages > 0
    b.oom_released += pages
    return pages


cdef int64_t on_shrink(void *self, mm_t *m, int cpu, int64_t pages) noexcept nogil:
    """One request, whatever is asked for; the pages are free once the device knows."""
    cdef balloon_t *b = <balloon_t *>self
    if pages == 0:
        return pages_in(b)
    pages = take_out_for(b, cpu)
    b.shrunk += pages
    return pages


cdef void on_resize(void *self, mm_t *m, int64_t pages) noexcept nogil:
    cdef balloon_t *b = <balloon_t *>self
    b.target = pages


cdef void on_poll(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    cdef balloon_t *b = <balloon_t *>self
    b.stats_out = True
    fill_stats(b, m)


cdef const block_t *report(void *self, int ticket, int64_t *n) noexcept nogil:
    cdef balloon_t *b = <balloon_t *>self
    if ticket == TICKET_STATS:
        n[0] = 0
        return NULL
    if ticket >= TICKET_OOM:
        n[0] = b.oom[ticket - TICKET_OOM].n
        return b.oom[ticket - TICKET_OOM].block
    n[0] = b.work.n
    return b.work.block


cdef void device(
    void *self, int ticket, host_t *h, backing_t *backing, const costs_t *c, const block_t *block, int running_vcpus,
    double *host_ns, double *stolen_ns,
) noexcept nogil:
    cdef balloon_t *b = <balloon_t *>self
    if ticket == TICKET_INFLATE:
        balloon_inflate(h, backing, c, &b.device, block.pfn, block.order, running_vcpus, host_ns, stolen_ns)
    else:
        balloon_deflate(h, backing, c, &b.device, block.pfn, block.order, host_ns)


cdef class Balloon(Strategy):
    """The compiled balloon of one guest; the parameters are those of hinting.strategies.Balloon.

    gfp: names of the gfp bits of an inflation. oom_pages: 0 without DEFLATE_ON_OOM.
    """

    def __init__(self, *, gfp, int order, int64_t request_blocks, int64_t oom_pages, int64_t retry_ns, bint inhibited,
                 bint huge_backing, bint by_shrinker=False):
        self.gfp = gfp
        self.b.s = &self.s
        self.b.order = order
        self.b.most = request_blocks
        self.b.oom_pages = oom_pages
        self.b.keeps_total = oom_pages > 0
        self.b.device.inhibited = inhibited
        self.b.device.huge_pages = huge_backing
        balloon_device_init(&self.b.device)
        self.s.self = &self.b
        self.s.descriptors = 1
        self.s.pause_ns = retry_ns
        self.s.submit_waits = True
        self.s.on_thread = on_thread
        self.s.on_host_done = on_host_done
        self.s.on_resize = on_resize
        self.s.on_poll = on_poll
        self.b.by_shrinker = by_shrinker
        if oom_pages:
            self.s.on_oom = on_oom
        if oom_pages and by_shrinker:
            self.s.on_shrink = on_shrink
        self.s.report = report
        self.s.device = device

    cdef int prepare(self, Allocator allocator) except -1:
        if not balloon_init(&self.b, allocator.m.ncpus):
            raise MemoryError()
        for name in self.gfp:
            self.b.gfp |= allocator.kernel.gfp[name]
        return 0

    def __dealloc__(self):
        balloon_free(&self.b)

    def resize(self, int64_t pages):
        """Set the target by hand: pages that shall be in the balloon."""
        self._attached(0)
        on_resize(&self.b, &self.allocator.m, pages)
        self.s.wake[0] = 1

    def shrink(self, int64_t pages, int cpu=0):
        """Call the shrinker by hand; pages that it will free, or for 0 that it could."""
        self._attached(cpu)
        return on_shrink(&self.b, &self.allocator.m, cpu, pages) if self.s.on_shrink != NULL else 0

    def oom(self, int cpu=0):
        """Call the OOM notifier by hand; pages that it will free."""
        self._attached(cpu)
        return on_oom(&self.b, &self.allocator.m, cpu) if self.s.on_oom != NULL else 0

    def pages(self):
        """First pages of the blocks in the balloon, in the order in which the device was told."""
        return [self.b.page[i] for i in range(self.b.n)]

    @property
    def target_pages(self):
        """num_pages of the device's configuration: what the host wants."""
        return self.b.target

    @property
    def actual_pages(self):
        """actual of the device's configuration: what the driver last wrote."""
        return self.b.actual

    @property
    def awaits_statistics(self):
        """Whether the statistics buffer is on its way to the host."""
        return self.b.stats_out

    def guest_statistics(self):
        """What the statistics queue last brought, by QEMU's names: bytes, numbers of faults; empty before the first time."""
        if self.b.polls == 0:
            return {}
        return {name: self.b.stats.value[tag] for name, tag in STATS.items()}

    def why_no_state(self):
        return "the host has discarded the pages in the balloon, and a snapshot holds nothing of the host"

    def counters(self):
        """vmstat's counters of the balloon, and the device's configuration; all in pages."""
        return {"balloon_inflate": self.b.inflated, "balloon_deflate": self.b.deflated, "num_pages": self.b.target,
                "actual": self.b.actual}

    def statistics(self):
        """What neither driver nor device counts.

        ignored_pages: told to the device and not discarded. shrunk_pages: taken out by the guest's reclaim. in_balloon: pages
        in the balloon now.
        """
        b = &self.b
        return {"requests": b.requests, "out_of_puff": b.out_of_puff, "oom_notified": b.oom_notified,
                "shrunk_pages": b.shrunk,
                "oom_released_pages": b.oom_released, "ignored_pages": b.device.ignored, "polls": b.polls,
                "in_balloon": pages_in(b)}

"""HyperAlloc (EuroSys 2025): the VMM takes free huge frames out of the guest's allocator without running the guest.

Soft: the VMM looks through all frames from time to time and evicts those that are free and backed; adjoining ones are
discarded together. An evicted frame stays allocatable; the allocation that takes it first calls the VMM, which backs it
before the guest goes on. Hard: to a limit, free frames are taken away from the guest; giving them back costs no backing.

The real guest's allocator is LLFree, whose state the VMM shares. Here the guest keeps the kernel's own free lists, and the
VMM takes from them what LLFree calls a free huge frame: one that a single free block covers. LLFree's own placement, which
keeps more frames whole, is not emulated; neither is a shrinking of the guest's caches, nor an IOMMU.
"""

from libc.stdint cimport int64_t

from hinting._core.common cimport pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.state cimport backing_t, host_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.hooks cimport Strategy, block_t
from hinting._core.strategies.hyperalloc_steps cimport (
    FRAME_EVICTED,
    FRAME_HARD,
    FRAME_INSTALLED,
    TREE_FRAMES,
    hyperalloc_free,
    hyperalloc_init,
    hyperalloc_t,
    install,
    list_runs,
    work_run,
)

#: Tickets for Machine.host_work.
RESIZE, SCAN = 0, 1


cdef void on_alloc(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    install(<hyperalloc_t *>self, pfn, order)


cdef void on_resize(void *self, mm_t *m, int64_t pages) noexcept nogil:
    cdef hyperalloc_t *t = <hyperalloc_t *>self
    t.wanted = pages >> t.order


cdef void on_poll(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    """The VMM begins: it reads the allocator's state."""
    cdef hyperalloc_t *t = <hyperalloc_t *>self
    list_runs(t, ticket)
    t.scans += ticket


cdef const block_t *report(void *self, int ticket, int64_t *n) noexcept nogil:
    cdef hyperalloc_t *t = <hyperalloc_t *>self
    n[0] = t.nr_runs[ticket]
    return t.run[ticket]


cdef void device(
    void *self, int ticket, host_t *h, backing_t *backing, const costs_t *c, const block_t *block, int running_vcpus,
    double *host_ns, double *stolen_ns,
) noexcept nogil:
    work_run(<hyperalloc_t *>self, ticket, h, backing, c, block, running_vcpus, host_ns, stolen_ns)


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    cdef hyperalloc_t *t = <hyperalloc_t *>self
    t.nr_runs[ticket] = 0
    t.short_of += ticket == 0 and t.wanted > t.taken


cdef class HyperAlloc(Strategy):
    """The compiled HyperAlloc of one guest; the parameters are those of hinting.strategies.HyperAlloc."""

    def __init__(self, *, int order, int trees):
        self.t.s = &self.s
        self.t.order = order
        self.t.run_frames = trees * TREE_FRAMES
        self.s.self = &self.t
        self.s.by_host = True
        self.s.run_order = order
        self.s.on_alloc = on_alloc
        self.s.on_resize = on_resize
        self.s.on_poll = on_poll
        self.s.on_host_done = on_host_done
        self.s.report = report
        self.s.device = device

    cdef int prepare(self, Allocator allocator) except -1:
        if not hyperalloc_init(&self.t, &allocator.m):
            raise MemoryError()
        return 0

    def __dealloc__(self):
        hyperalloc_free(&self.t)

    @property
    def is_short(self):
        """Whether a resize has not got all frames that it wants."""
        return self.t.wanted > self.t.taken

    def is_at_work(self, int ticket):
        """Whether the VMM is at work for this ticket."""
        return self.t.nr_runs[ticket] > 0

    def frames(self):
        """First pages of the frames by state: {"evicted": [...], "hard": [...], "installed": [...]}."""
        names = {FRAME_EVICTED: "evicted", FRAME_HARD: "hard", FRAME_INSTALLED: "installed"}
        found = {name: [] for name in names.values()}
        for f in range(self.t.nframes):
            found[names[self.t.frame[f]]].append(f << self.t.order)
        return found

    def why_no_state(self):
        return "which frames the host backs is its state, and a snapshot holds nothing of the host"

    def counters(self):
        """What the VMM counts, in frames."""
        t = &self.t
        return {"hard_reclaimed": t.hard_reclaimed, "returned": t.returned, "soft_reclaimed": t.soft_reclaimed,
                "installed": t.installed}

    def statistics(self):
        """scans: of the automatic mode. discards: calls. short_of: resizes that found too few free frames. taken: now."""
        t = &self.t
        return {"scans": t.scans, "discards": t.discards, "short_of": t.short_of, "taken": t.taken,
                "wanted": t.wanted}

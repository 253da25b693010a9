"""virtio-mem (VEE 2021; Linux 6.1 in sub-block mode; QEMU 8.2 as the device).

The host asks for a size. A work item on CPU 0 unplugs from the end of the device's memory down: a memory block of
128 MiB in one go if nothing in it is unmovable and all that is in use can move elsewhere, else sub-block by sub-block.
Each request to the device is waited for. What is busy is tried again after 50 s, then after twice as long, up to 300 s.
Plugging completes memory blocks that are there, then adds blocks, ascending.

The device's memory is what lies above `base`, in whole memory blocks of the zone where boot has put it; a zone of its
own for movable memory is not emulated. A memory block that is unplugged as a whole is removed; its struct pages are
counted as work, but their memory is not given back.
"""

from libc.stdint cimport int64_t

from hinting.errors import StrategyError

from hinting._core.common cimport PAGE_BYTES
from hinting._core.costs cimport costs_t
from hinting._core.host.discard cimport backing_discard
from hinting._core.host.state cimport backing_t, host_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.hooks cimport (
    THREAD_MOVES,
    THREAD_REPORTS,
    THREAD_RETRIES,
    THREAD_SLEEPS,
    Strategy,
    block_t,
)
from hinting._core.strategies.virtio_mem_steps cimport (
    MEMORY_BLOCK_ORDER,
    TAKE_DONE,
    TAKE_MOVES,
    TICKET_PLUG,
    TICKET_UNPLUG,
    finish_take,
    free_blocks,
    make_blocks,
    next_to_plug,
    next_to_unplug,
    plug_done,
    rewind,
    take_range,
    unplug_done,
    virtio_mem_t,
)


cdef int unplug_more(virtio_mem_t *t, mm_t *m, int cpu) noexcept nogil:
    """Go on to the next range that could be taken, or to the end of all."""
    cdef int result
    while True:
        if t.moves:
            t.moves = False
            t.moved += t.s.moved
            result = finish_take(t, m, cpu)
        elif next_to_unplug(t, t.wanted - t.unplugged):
            result = take_range(t, m, cpu)
        else:
            t.retries += 1
            rewind(t)
            t.s.pause_ns = min(2 * t.s.pause_ns, t.retry_most_ns) if t.s.pause_ns else t.retry_first_ns
            return THREAD_RETRIES
        if result == TAKE_MOVES:
            t.moves = True
            return THREAD_MOVES
        if result == TAKE_DONE:
            if t.range.order == MEMORY_BLOCK_ORDER:
                t.block -= 1
                t.sb = t.nsb
            t.s.thread_ticket[cpu] = TICKET_UNPLUG
            return THREAD_REPORTS


cdef int on_thread(void *self, mm_t *m, int cpu) noexcept nogil:
    """The work item: up to its next request."""
    cdef virtio_mem_t *t = <virtio_mem_t *>self
    cdef int state = THREAD_SLEEPS
    if t.moves or t.wanted > t.unplugged:
        state = unplug_more(t, m, cpu)
    elif t.wanted < t.unplugged and next_to_plug(t, t.unplugged - t.wanted):
        t.s.thread_ticket[cpu] = TICKET_PLUG
        state = THREAD_REPORTS
    if state == THREAD_REPORTS:
        t.requests += 1
    elif state == THREAD_SLEEPS:
        t.s.pause_ns = 0
    return state


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    cdef virtio_mem_t *t = <virtio_mem_t *>self
    if ticket == TICKET_UNPLUG:
        unplug_done(t, m)
    else:
        plug_done(t, m, cpu)


cdef void on_resize(void *self, mm_t *m, int64_t pages) noexcept nogil:
    cdef virtio_mem_t *t = <virtio_mem_t *>self
    t.wanted = pages >> t.sb_order
    if t.wanted > t.device_sbs:
        t.wanted = t.device_sbs
    t.s.pause_ns = 0
    rewind(t)


cdef const block_t *report(void *self, int ticket, int64_t *n) noexcept nogil:
    cdef virtio_mem_t *t = <virtio_mem_t *>self
    n[0] = 1
    return &t.range


cdef void device(
    void *self, int ticket, host_t *h, backing_t *backing, const costs_t *c, const block_t *block, int running_vcpus,
    double *host_ns, double *stolen_ns,
) noexcept nogil:
    """Unplugging discards the range in one call; plugging backs nothing."""
    cdef int64_t pages = <int64_t>1 << block.order
    host_ns[0] += c.host_ramblock_lookup
    if ticket == TICKET_UNPLUG:
        backing_discard(h, backing, c, block.pfn, pages, pages, running_vcpus, host_ns, stolen_ns)


cdef class VirtioMem(Strategy):
    """The compiled virtio-mem of one guest; the parameters are those of hinting.strategies.VirtioMem.

    base: a pfn, 0 for a quarter of all.
    """

    def __init__(self, *, int sb_order, long base, int64_t retry_first_ns, int64_t retry_most_ns):
        self.base = base
        self.t.s = &self.s
        self.t.sb_order = sb_order
        self.t.retry_first_ns = retry_first_ns
        self.t.retry_most_ns = retry_most_ns
        self.s.self = &self.t
        self.s.descriptors = 2          # request and response
        self.s.on_thread = on_thread
        self.s.on_host_done = on_host_done
        self.s.on_resize = on_resize
        self.s.report = report
        self.s.device = device

    cdef int prepare(self, Allocator allocator) except -1:
        if not make_blocks(&self.t, &allocator.m, self.base if self.base else allocator.m.npfn // 4):
            raise MemoryError()
        if self.t.device_sbs == 0 and self.base:
            raise StrategyError(f"strategy virtio-mem: base must leave a block of 128 MiB of the guest's memory above it, "
                                f"got {self.base * PAGE_BYTES}")
        rewind(&self.t)
        return 0

    def __dealloc__(self):
        free_blocks(&self.t)

    def resize(self, int64_t pages):
        """Set the request by hand: pages that shall be unplugged."""
        self._attached(0)
        on_resize(&self.t, &self.allocator.m, pages)
        self.s.wake[0] = 1

    def plugged(self):
        """Sub-blocks of the device's memory as {first pfn: is plugged}, ascending."""
        return {(block * self.t.nsb + i) << self.t.sb_order: bool(self.t.plugged[block * self.t.nsb + i])
                for block in range(self.t.nblocks) if self.t.of_device[block] for i in range(self.t.nsb)}

    def why_no_state(self):
        return "the host has discarded the memory that is unplugged, and a snapshot holds nothing of the host"

    def counters(self):
        """The device's configuration, bytes; region_size counts the memory blocks that can be unplugged."""
        size = PAGE_BYTES << self.t.sb_order
        return {"block_size": size, "region_size": self.t.device_sbs * size,
                "plugged_size": (self.t.device_sbs - self.t.unplugged) * size,
                "requested_size": (self.t.device_sbs - self.t.wanted) * size}

    def statistics(self):
        """What the driver does not count: requests, ranges that were busy, pages that moved, ranges given back, ..."""
        t = &self.t
        return {"requests": t.requests, "busy_ranges": t.busy, "moved_pages": t.moved, "undone_ranges": t.undone,
                "removed_blocks": t.removed, "added_blocks": t.added, "retries": t.retries,
                "unplugged_pages": t.unplugged << t.sb_order}

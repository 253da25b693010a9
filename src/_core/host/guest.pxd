"""Guests come and go: the backing's memory, and the host's list of guests.

Starting a VMM takes its own frames at once; guest RAM is not populated unless that is asked for. A death gives everything
back at once; the reaper's delay is oom.pxd's.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from hinting._core.costs cimport costs_t
from hinting._core.host.frames cimport give, take
from hinting._core.host.hugetlb cimport leave_pool, reserve_pages
from hinting._core.host.migration cimport migration_free
from hinting._core.host.reclaim cimport reclaim_for
from hinting._core.host.reclaim_state cimport UNIT_WORDS, aged_t
from hinting._core.host.state cimport (
    BLOCK_ORDER,
    BLOCK_PAGES,
    DIRECTORY_ORDER,
    EFFECT_TEXT,
    HOST_NOMEM,
    HOST_OK,
    NO_GROUP,
    RAM_ANONYMOUS,
    RAM_HUGETLB,
    VMM_TEXT_FRAMES,
    backing_t,
    block_t,
    host_t,
    lazy_t,
)
from hinting._core.host.swapin cimport FIRST_HITS
from hinting._core.host.swapcache cimport cancel_writes, free_slots
from hinting._core.memory cimport munmap, zero_pages

cdef enum:
    FRAMES_PER_MIB = 256

cdef inline int64_t vmm_frames_of(const costs_t *c, int vcpus, int iothreads, bint graphics) noexcept nogil:
    """Frames of a QEMU process beside guest RAM and tables. graphics: count size.vmm_graphics_mib."""
    cdef double mib = c.size_vmm_fixed_mib + vcpus * c.size_vmm_per_vcpu_mib + iothreads * c.size_vmm_iothread_mib
    if graphics:
        mib += c.size_vmm_graphics_mib
    return <int64_t>(mib * FRAMES_PER_MIB)

cdef inline int backing_init(backing_t *b, uint64_t npfn, uint64_t ram_frames) noexcept nogil:
    """An empty backing of npfn guest page frames, ram_frames of them no holes; HOST_NOMEM without address space."""
    cdef size_t blocks_bytes
    memset(b, 0, sizeof(backing_t))
    b.npfn = npfn
    b.ram_frames = ram_frames
    b.group = b.slice = NO_GROUP
    b.nblocks = (npfn + BLOCK_PAGES - 1) >> BLOCK_ORDER
    blocks_bytes = b.nblocks * sizeof(block_t)
    b.mapped_bytes = blocks_bytes + (npfn >> DIRECTORY_ORDER) + 1
    b.blocks = <block_t *>zero_pages(b.mapped_bytes)
    if b.blocks == NULL:
        b.mapped_bytes = 0
        return HOST_NOMEM
    b.directories = <uint8_t *>b.blocks + blocks_bytes
    return HOST_OK

cdef inline int backing_age(backing_t *b) noexcept nogil:
    """Keep the age and the slots of pages from now on, for a host that can swap; HOST_NOMEM without address space."""
    cdef size_t aged_bytes = b.nblocks * sizeof(aged_t)
    b.aged_bytes = aged_bytes + b.npfn * sizeof(uint32_t)
    b.aged = <aged_t *>zero_pages(b.aged_bytes)
    if b.aged == NULL:
        b.aged_bytes = 0
        return HOST_NOMEM
    b.slots = <uint32_t *>(<uint8_t *>b.aged + aged_bytes)
    b.read_hits = FIRST_HITS
    return HOST_OK

cdef inline void backing_free(backing_t *b) noexcept nogil:
    """Give the emulator's memory back; the counters stay readable."""
    if b.aged != NULL:
        munmap(b.aged, b.aged_bytes)
    b.aged = NULL
    b.slots = NULL
    if b.blocks != NULL:
        munmap(b.blocks, b.mapped_bytes)
    if b.lazy != NULL:
        munmap(b.lazy, b.nblocks * sizeof(lazy_t))
    migration_free(b.migration)
    b.migration = NULL
    b.blocks = NULL
    b.lazy = NULL
    b.directories = NULL
    b.mapped_bytes = 0

cdef inline int host_add_guest(host_t *h, backing_t *b, const costs_t *c, int64_t vmm, double *ns) noexcept nogil:
    """Start a guest whose VMM takes `vmm` frames; adds the time of reclaim to ns.

    HOST_NOMEM takes nothing. RAM is made of b.made_of; of locked RAM and of pages of the pool no age is kept.
    """
    cdef int size
    cdef void *grown
    if h.nr_guests == h.guests_size:
        size = 2 * h.guests_size + 8
        grown = realloc(h.guests, size * sizeof(backing_t *))
        if grown == NULL:
            return HOST_NOMEM
        h.guests = <backing_t **>grown
        h.guests_size = size
    if reclaim_for(h, c, vmm, ns) != HOST_OK:
        return HOST_NOMEM
    if b.made_of == RAM_HUGETLB:
        if reserve_pages(h, b) != HOST_OK:
            return HOST_NOMEM
    elif h.reclaim != NULL and not b.locked and backing_age(b) != HOST_OK:
        return HOST_NOMEM
    take(h, vmm)
    b.vmm_frames = vmm
    if h.reclaim != NULL and h.effects & EFFECT_TEXT and not b.locked:
        b.text_in = min(vmm, <int64_t>VMM_TEXT_FRAMES)
    b.id = h.launches
    b.thp = h.thp and b.made_of == RAM_ANONYMOUS
    b.attached = True
    h.launches += 1
    h.guests[h.nr_guests] = b
    h.nr_guests += 1
    return HOST_OK

cdef inline int host_find_guest(const host_t *h, const backing_t *b) noexcept nogil:
    """Index of a guest in launch order, -1 if it is gone."""
    cdef int i
    for i in range(h.nr_guests):
        if h.guests[i] == b:
            return i
    return -1

cdef inline void drop_swap(host_t *h, backing_t *b) noexcept nogil:
    """A guest that ends gives its slots and its frames in the swap cache back, without I/O."""
    cdef uint64_t i
    cdef int w
    cdef aged_t *a
    for i in range(b.nblocks):
        if b.swap_slots == 0:
            break
        a = &b.aged[i]
        for w in range(UNIT_WORDS):
            if a.swapped[w] | a.copied[w]:
                free_slots(h, b, i, w, a.swapped[w] | a.copied[w])
            if a.writing[w]:
                cancel_writes(h, b, <uint32_t>(i * UNIT_WORDS + w), a.writing[w])
    give(h, b.swap_cache)
    b.swap_cache = b.swapped_pages = 0
    b.list[0].pages = b.list[1].pages = 0
    b.list[0].head = b.list[0].tail = b.list[1].head = b.list[1].tail = 0

cdef inline void host_remove_guest(host_t *h, backing_t *b) noexcept nogil:
    """The VMM exits: every frame is free again. The backing must not be touched after this, only freed."""
    cdef int i = host_find_guest(h, b)
    if i < 0:
        return
    if b.aged != NULL:
        drop_swap(h, b)
    if h.reclaim != NULL:
        if h.reclaim.kswapd.guest > i:
            h.reclaim.kswapd.guest -= 1
        elif h.reclaim.kswapd.guest == i:
            h.reclaim.kswapd.begun = False
        if h.reclaim.next_guest > i:
            h.reclaim.next_guest -= 1
    if h.scan_guest > i:
        h.scan_guest -= 1
    elif h.scan_guest == i:
        h.scan_block = 0
    if b.pool_blocks:
        leave_pool(h, b)
    h.nr_dying -= b.reaped_at != 0
    b.reaped_at = 0
    give(h, b.held_frames + b.vmm_frames + b.host_tables + b.ept_tables)
    b.rss_pages = b.held_frames = b.vmm_frames = b.host_tables = b.ept_tables = 0
    b.huge_blocks = b.deferred_blocks = b.deferred_frames = 0
    b.deferred_head = b.deferred_tail = b.lazy_head = b.lazy_tail = b.dropped_head = 0
    b.lazy_pages = b.text_in = b.text_out = 0
    b.attached = False
    h.nr_guests -= 1
    while i < h.nr_guests:
        h.guests[i] = h.guests[i + 1]
        i += 1

cdef inline int host_set_base(host_t *h, const costs_t *c, int64_t frames, double *ns) noexcept nogil:
    """Let the host OS and its daemons use `frames`; adds the time of reclaim to ns."""
    if reclaim_for(h, c, frames - h.host_base_frames, ns) != HOST_OK:
        return HOST_NOMEM
    take(h, frames - h.host_base_frames)
    h.host_base_frames = frames
    return HOST_OK

"""The virtio-mem driver of one guest: memory blocks and their sub-blocks, taking and giving back ranges.

Each free block is taken and given back under a hold of the zone lock of its own.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free

from hinting._core.common cimport MAX_ORDER, NO_PFN, pfn_t
from hinting._core.mm.pages cimport TAG_ORDER, covering, zone_of
from hinting._core.mm.pcp cimport drain_all
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.hooks cimport block_t, note_holds, strategy_t
from hinting._core.strategies.ranges cimport (
    RANGE_BUSY,
    give_back,
    is_isolated,
    isolate_free,
    join_isolated,
    look_over,
    undo,
)

cdef enum:
    MEMORY_BLOCK_ORDER = 15             # 128 MiB, the unit of memory hotplug on x86

    TICKET_UNPLUG = 0
    TICKET_PLUG = 1

    TAKE_DONE = 0
    TAKE_BUSY = 1
    TAKE_MOVES = 2                      # pages in use have to move first

    # Passes over the struct pages of a range, counted in the driver's and the hotplug core's code of Linux 6.1.
    PASSES_TAKE = 2                     # split into single pages, marked offline
    PASSES_GIVE = 1                     # made ready to be freed; the allocator's own check comes extra
    PASSES_REMOVE = 3                   # references dropped, checked, taken out of the zone
    PASSES_ADD = 1                      # initialised

ctypedef struct virtio_mem_t:
    strategy_t *s
    int sb_order
    int64_t nsb                         # sub-blocks of a memory block
    int64_t nblocks                     # memory blocks below npfn
    uint8_t *of_device                  # by memory block: belongs to the device
    uint8_t *plugged                    # by sub-block
    int64_t device_sbs                  # sub-blocks of the device
    int64_t unplugged                   # sub-blocks
    int64_t wanted                      # sub-blocks that shall be unplugged
    int64_t block                       # where an unplug has come to, from the last one down; -1: at the end
    int64_t sb                          # next sub-block to try, from the last one down; nsb: the whole block first
    bint moves                          # back from moving the pages of the range
    block_t range                       # of the request, in pages 2^order; whole blocks or sub-blocks
    int64_t retry_first_ns
    int64_t retry_most_ns
    int64_t requests
    int64_t busy                        # ranges that could not be taken
    int64_t moved                       # pages
    int64_t undone                      # ranges given back because not all could move
    int64_t removed                     # memory blocks taken offline and removed
    int64_t added
    int64_t retries

cdef inline pfn_t first_of(const virtio_mem_t *t, int64_t block, int64_t sb) noexcept nogil:
    return (<pfn_t>block << MEMORY_BLOCK_ORDER) + (<pfn_t>sb << t.sb_order)

cdef inline bint is_memory(const mm_t *m, int64_t block) noexcept nogil:
    """Whether the allocator has all of a memory block."""
    cdef pfn_t at = <pfn_t>block << MEMORY_BLOCK_ORDER, head
    cdef pfn_t end = at + (<pfn_t>1 << MEMORY_BLOCK_ORDER)
    cdef uint8_t tag
    while at < end:
        tag = covering(m, at, &head)
        if tag == 0:
            return False
        at = head + (<pfn_t>1 << (tag & TAG_ORDER))
    return True

cdef inline bint make_blocks(virtio_mem_t *t, mm_t *m, pfn_t base) noexcept nogil:
    """Find the device's memory blocks; False without memory."""
    cdef int64_t b, i
    t.nsb = <int64_t>1 << (MEMORY_BLOCK_ORDER - t.sb_order)
    t.nblocks = m.npfn >> MEMORY_BLOCK_ORDER
    t.of_device = <uint8_t *>calloc(t.nblocks + 1, 1)
    t.plugged = <uint8_t *>calloc((t.nblocks + 1) * t.nsb, 1)
    if t.of_device == NULL or t.plugged == NULL:
        return False
    for b in range(t.nblocks):
        if <pfn_t>b << MEMORY_BLOCK_ORDER < base or not is_memory(m, b):
            continue
        t.of_device[b] = 1
        t.device_sbs += t.nsb
        for i in range(t.nsb):
            t.plugged[b * t.nsb + i] = 1
    return True

cdef inline void free_blocks(virtio_mem_t *t) noexcept nogil:
    free(t.of_device)
    free(t.plugged)

cdef inline int64_t plugged_in(const virtio_mem_t *t, int64_t block) noexcept nogil:
    cdef int64_t i, n = 0
    for i in range(t.nsb):
        n += t.plugged[block * t.nsb + i]
    return n

cdef inline void rewind(virtio_mem_t *t) noexcept nogil:
    """An unplug begins anew, at the last memory block."""
    t.block = t.nblocks - 1
    t.sb = t.nsb

cdef inline bint next_to_unplug(virtio_mem_t *t, int64_t most) noexcept nogil:
    """Choose the next range to try, at most so many sub-blocks; False if all have been tried."""
    while t.block >= 0:
        if t.of_device[t.block]:
            if t.sb == t.nsb and most >= t.nsb and plugged_in(t, t.block) == t.nsb:
                t.range.pfn = first_of(t, t.block, 0)
                t.range.order = MEMORY_BLOCK_ORDER
                t.sb -= 1
                return True
            t.sb = t.nsb - 1 if t.sb == t.nsb else t.sb
            while t.sb >= 0 and t.sb_order < MEMORY_BLOCK_ORDER:
                t.sb -= 1
                if t.plugged[t.block * t.nsb + t.sb + 1]:
                    t.range.pfn = first_of(t, t.block, t.sb + 1)
                    t.range.order = t.sb_order
                    return True
        t.block -= 1
        t.sb = t.nsb
    return False

cdef inline bint next_to_plug(virtio_mem_t *t, int64_t most) noexcept nogil:
    """Choose the next range to plug: what is missing in blocks that are there, then whole blocks, ascending."""
    cdef int64_t b, i, n
    cdef int turn
    for turn in range(2):
        for b in range(t.nblocks):
            if not t.of_device[b]:
                continue
            n = plugged_in(t, b)
            if n == t.nsb or (n == 0) != (turn == 1):
                continue
            if n == 0 and most >= t.nsb:
                t.range.pfn = first_of(t, b, 0)
                t.range.order = MEMORY_BLOCK_ORDER
                return True
            for i in range(t.nsb):
                if not t.plugged[b * t.nsb + i]:
                    t.range.pfn = first_of(t, b, i)
                    t.range.order = t.sb_order
                    return True
    return False

cdef inline int finish_take(virtio_mem_t *t, mm_t *m, int cpu) noexcept nogil:
    """The range is isolated, or is given back because some of it could not move."""
    cdef pfn_t first = t.range.pfn
    cdef int64_t pages = <int64_t>1 << t.range.order
    if not is_isolated(m, first, first + <pfn_t>pages):
        note_holds(t.s, undo(m, cpu, first, first + <pfn_t>pages), 0, 0, 1)
        t.undone += 1
        return TAKE_BUSY
    join_isolated(m, first, first + <pfn_t>pages, t.sb_order if t.sb_order < MAX_ORDER else MAX_ORDER)
    zone_of(m, first).managed -= pages
    t.s.gone += pages
    t.s.work.probes += PASSES_TAKE * pages
    return TAKE_DONE

cdef inline int take_range(virtio_mem_t *t, mm_t *m, int cpu) noexcept nogil:
    """Take the chosen range away from the allocator, as alloc_contig_range does."""
    cdef pfn_t first = t.range.pfn
    cdef pfn_t end = first + (<pfn_t>1 << t.range.order)
    cdef int64_t used, isolated
    drain_all(m, cpu)
    t.s.work.locks += m.ncpus
    used = look_over(m, first, end, &t.s.work.probes)
    if used == RANGE_BUSY:
        t.busy += 1
        return TAKE_BUSY
    isolated = isolate_free(m, cpu, first, end)
    t.s.work.isolated += isolated
    note_holds(t.s, isolated, 0, 1, 0)
    if used:
        t.s.move_first = first
        t.s.move_pages = end - first
        return TAKE_MOVES
    return finish_take(t, m, cpu)

cdef inline void set_plugged(virtio_mem_t *t, uint8_t plugged) noexcept nogil:
    cdef int64_t i, first = (t.range.pfn >> t.sb_order)
    cdef int64_t n = <int64_t>1 << (t.range.order - t.sb_order)
    for i in range(first, first + n):
        t.plugged[i] = plugged
    t.unplugged += -n if plugged else n

cdef inline void unplug_done(virtio_mem_t *t, mm_t *m) noexcept nogil:
    """The device has unplugged the range; a memory block without any plugged sub-block is removed."""
    set_plugged(t, 0)
    if plugged_in(t, t.range.pfn >> MEMORY_BLOCK_ORDER) == 0:
        t.removed += 1
        zone_of(m, t.range.pfn).present -= <int64_t>1 << MEMORY_BLOCK_ORDER
        t.s.work.probes += PASSES_REMOVE << MEMORY_BLOCK_ORDER

cdef inline void plug_done(virtio_mem_t *t, mm_t *m, int cpu) noexcept nogil:
    """The device has plugged the range: its memory block is added if it is not there, and the range is freed."""
    cdef pfn_t at = t.range.pfn
    cdef pfn_t end = at + (<pfn_t>1 << t.range.order)
    cdef int order = t.sb_order if t.sb_order < MAX_ORDER else MAX_ORDER
    if plugged_in(t, at >> MEMORY_BLOCK_ORDER) == 0:
        t.added += 1
        zone_of(m, at).present += <int64_t>1 << MEMORY_BLOCK_ORDER
        t.s.work.probes += PASSES_ADD << MEMORY_BLOCK_ORDER
        t.s.work.cleared += 1
    t.s.work.probes += PASSES_GIVE << t.range.order
    t.s.work.struct_pages += <int64_t>1 << t.range.order
    zone_of(m, at).managed += end - at
    t.s.gone -= end - at
    set_plugged(t, 1)
    while at < end:
        give_back(m, cpu, at, order)
        t.s.work.returned += 1
        note_holds(t.s, 1, 0, 0, 1)
        at += <pfn_t>1 << order

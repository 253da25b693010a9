"""Swap-in: a page that the guest touches comes back from its slot, with some of its neighbours.

Follows do_swap_page, swap_vma_readahead and swap_cluster_readahead (Linux 6.12): on a device that does not rotate the
neighbours are those in the guest's memory, on a rotating one those on the device, of all guests. The window grows with
the share of read-ahead pages that were wanted, from 1 to 2^page_cluster. Neighbours wait in the swap cache. The slot of
a page is freed when the guest writes to it or swap is more than half full, else its copy stays valid.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hinting._core.costs cimport costs_t
from hinting._core.host.cgroup cimport can_have
from hinting._core.host.device cimport request_io
from hinting._core.host.frames cimport take
from hinting._core.host.lru cimport lru_add, lru_del
from hinting._core.host.reclaim_state cimport ACTIVE, DEVICE_READ, INACTIVE, UNIT_WORDS, aged_t, reclaim_t
from hinting._core.host.state cimport (
    BLOCK_ORDER,
    BLOCK_PAGES,
    EFFECT_DECAY,
    TOUCH_DISK,
    TOUCH_WHOLE,
    TOUCH_WRITEBACK,
    TOUCH_WRITES,
    backing_t,
    host_t,
)
from hinting._core.host.swapcache cimport cancel_writes, free_slots, guest_by_id, time_of

cdef enum:
    MAX_READ = 32                       # most pages read at once
    FIRST_HITS = 4                      # what a window starts from

cdef inline bint is_swapped(const backing_t *b, uint64_t page) noexcept nogil:
    return b.aged != NULL and b.aged[page >> BLOCK_ORDER].swapped[page >> 6 & 7] >> (page & 63) & 1

cdef inline bint is_cached(const backing_t *b, uint64_t page) noexcept nogil:
    return b.aged[page >> BLOCK_ORDER].cached[page >> 6 & 7] >> (page & 63) & 1

cdef inline uint32_t next_window(uint32_t hits, uint32_t last, bint adjacent, uint32_t most) noexcept nogil:
    """Size of the next read: hits since the last one, rounded up to a power of 2; never less than half the last."""
    cdef uint32_t n = 4
    if hits == 0:
        n = 2 if adjacent else 1
    else:
        while n < hits + 2:
            n *= 2
    if n > most:
        n = most
    return n if n >= last // 2 else last // 2

cdef inline int neighbours_in_memory(host_t *h, backing_t *b, uint32_t page, uint32_t *pages) noexcept nogil:
    """Swapped pages of the window around a page, ascending, itself among them; returns their number."""
    cdef bint is_next = page == b.read_page + 1, is_previous = page + 1 == b.read_page
    cdef uint32_t n = next_window(b.read_hits, b.read_window, is_next or is_previous, 1 << h.reclaim.page_cluster)
    cdef int64_t first = page, lo = page & ~<uint32_t>(BLOCK_PAGES - 1), at
    cdef int found = 0
    if is_previous:
        first -= n - 1
    elif not is_next:
        first -= (n - 1) // 2
    b.read_hits = 0
    b.read_window = n
    b.read_page = page
    for at in range(max(first, lo), min(first + n, lo + BLOCK_PAGES)):
        if is_swapped(b, at) and not is_cached(b, at):
            pages[found] = <uint32_t>at
            found += 1
    return found

cdef inline void keep_ahead(host_t *h, backing_t *b, uint32_t page) noexcept nogil:
    """A page that was read ahead waits in the swap cache."""
    cdef uint64_t i = page >> BLOCK_ORDER
    cdef int w = page >> 6 & 7
    take(h, 1)
    b.aged[i].cached[w] |= <uint64_t>1 << (page & 63)
    b.swap_cache += 1
    b.n.swapped_in += 1
    h.vm.pswpin += 1
    h.vm.swap_ra += 1
    lru_add(b, i, w, <uint64_t>1 << (page & 63), INACTIVE)

cdef inline int64_t position(const host_t *h, const backing_t *b, uint32_t page) noexcept nogil:
    """Where on the device a page is: in its slot, or as if swap kept the order of the guest's memory."""
    return b.slots[page] if h.effects & EFFECT_DECAY else (<int64_t>b.id << 32) + page

cdef inline int64_t read_around(host_t *h, backing_t *b, uint32_t page, int64_t now) noexcept nogil:
    """Read a page and its neighbours in memory; returns when the page itself is there."""
    cdef uint32_t pages[MAX_READ]
    cdef int n = neighbours_in_memory(h, b, page, pages), k = 0, first
    cdef int64_t slot, end, done, mine = now
    cdef bint has_page
    while k < n:
        first = k
        slot = end = position(h, b, pages[k])
        has_page = False
        while k < n and position(h, b, pages[k]) == end and (pages[k] == page or can_have(h, b, 1)):
            if pages[k] == page:
                has_page = True
            else:
                keep_ahead(h, b, pages[k])
            end += 1
            k += 1
        if k == first:
            k += 1
            continue
        done = request_io(&h.reclaim.device, DEVICE_READ, slot, end - slot, now)
        if has_page:
            mine = done
    return mine

cdef inline void backing_will_need(host_t *h, backing_t *b, uint64_t page, int64_t pages) noexcept nogil:
    """MADV_WILLNEED: what of a range is in swap is read ahead, one request for slots that follow each other; nobody waits."""
    cdef uint64_t at = page, end = page + pages
    cdef int64_t first = 0, next = -1
    if b.aged == NULL or b.swapped_pages == 0:
        return
    while at < end:
        if is_swapped(b, at) and not is_cached(b, at) and can_have(h, b, 1):
            if b.slots[at] != next:
                if next > first:
                    request_io(&h.reclaim.device, DEVICE_READ, first, next - first, h.now)
                first = b.slots[at]
            next = <int64_t>b.slots[at] + 1
            keep_ahead(h, b, <uint32_t>at)
        at += 1
    if next > first:
        request_io(&h.reclaim.device, DEVICE_READ, first, next - first, h.now)

cdef inline backing_t *owner_to_read(const host_t *h, int64_t slot) noexcept nogil:
    """The guest whose page lives in this slot and has no frame, or NULL."""
    cdef backing_t *b
    cdef uint32_t page
    if not h.reclaim.slots.map[slot >> 6] >> (slot & 63) & 1:
        return NULL
    b = guest_by_id(h, h.reclaim.slots.guest[slot])
    page = h.reclaim.slots.page[slot]
    return b if b != NULL and is_swapped(b, page) and not is_cached(b, page) else NULL

cdef inline int64_t read_cluster(host_t *h, backing_t *b, uint32_t page, int64_t now) noexcept nogil:
    """Read a page and its neighbours on the device; returns when the page itself is there."""
    cdef reclaim_t *r = h.reclaim
    cdef int64_t slot = b.slots[page], at, first = -1, done, mine = now
    cdef bint adjacent = slot == r.read_slot + 1 or slot == r.read_slot - 1, has_page = False, wanted
    cdef uint32_t n = next_window(r.read_hits, r.read_window, adjacent, 1 << r.page_cluster)
    cdef backing_t *owner
    cdef int64_t lo = slot - slot % n, hi = lo + n
    r.read_hits = 0
    r.read_window = n
    r.read_slot = slot
    if hi > r.slots.total:
        hi = r.slots.total
    for at in range(lo, hi + 1):
        owner = owner_to_read(h, at) if at < hi else NULL
        wanted = owner != NULL and (at == slot or can_have(h, owner, 1))
        if wanted:
            if first < 0:
                first = at
            if at == slot:
                has_page = True
            else:
                keep_ahead(h, owner, r.slots.page[at])
        elif first >= 0:
            done = request_io(&r.device, DEVICE_READ, first, at - first, now)
            if has_page:
                mine = done
            first = -1
            has_page = False
    return mine

cdef inline bint comes_back_early(host_t *h, backing_t *b, uint32_t page) noexcept nogil:
    """Whether fewer pages were evicted or activated since this one's eviction than the active list holds."""
    cdef uint32_t distance = b.evictions - h.reclaim.slots.shadow[b.slots[page]]
    h.vm.workingset_refault_anon += 1
    return distance <= b.list[ACTIVE].pages

cdef inline void note_read(backing_t *b, int flags) noexcept nogil:
    """Count a read from swap that served no one."""
    if flags & TOUCH_WHOLE:
        b.n.false_swap_reads += 1
    elif flags & TOUCH_DISK:
        b.n.stale_swap_reads += 1
    elif flags & TOUCH_WRITEBACK:
        b.n.double_paging += 1

cdef inline double swap_fault_ns(const costs_t *c) noexcept nogil:
    """Fault of the guest on a swapped page, beside the wait for the device."""
    return c.virt_vm_exit_entry + c.swap_in_cpu_4k + c.fault_tdp_map

cdef inline void swap_in(
    host_t *h, backing_t *b, uint32_t page, int flags, double cpu_ns, double *ns
) noexcept nogil:
    """Give a swapped page a frame again, at the CPU time of a fault. If it needs a frame it must be there to take."""
    cdef reclaim_t *r = h.reclaim
    cdef uint64_t i = page >> BLOCK_ORDER, bit = <uint64_t>1 << (page & 63)
    cdef int w = page >> 6 & 7
    cdef aged_t *a = &b.aged[i]
    cdef int64_t now, done
    cdef int which = INACTIVE
    if a.cached[w] & bit:
        if a.writing[w] & bit:
            cancel_writes(h, b, <uint32_t>(i * UNIT_WORDS + w), bit)
        else:
            lru_del(b, i, w, bit)
            b.read_hits += 1
            b.read_page = page
            r.read_hits += 1
            h.vm.swap_ra_hit += 1
        a.cached[w] &= ~bit
        b.swap_cache -= 1
        b.n.swap_cache_hits += 1
    else:
        take(h, 1)
        now = time_of(h, ns)
        done = (read_cluster(h, b, page, now) if r.device.rotating and h.effects & EFFECT_DECAY
                else read_around(h, b, page, now))
        if done > now:
            r.waited += <double>(done - now)
            ns[0] += <double>(done - now)
        b.n.swapped_in += 1
        b.n.major_faults += 1
        note_read(b, flags)
        h.vm.pswpin += 1
        h.vm.pgmajfault += 1
        if comes_back_early(h, b, page):
            which = ACTIVE
            b.evictions += 1
            b.n.refaults_active += 1
            h.vm.workingset_activate_anon += 1
    h.vm.pgfault += 1
    h.freed_small += 1
    a.swapped[w] &= ~bit
    b.blocks[i].present[w] |= bit
    b.rss_pages += 1
    b.held_frames += 1
    b.swapped_pages -= 1
    lru_add(b, i, w, bit, which)
    a.accessed[w] |= bit
    if flags & TOUCH_WRITES or 2 * r.slots.used > r.slots.total:
        free_slots(h, b, i, w, bit)
    else:
        a.copied[w] |= bit
    ns[0] += cpu_ns

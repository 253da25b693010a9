"""Eviction: pages leave their frames for swap slots, and frames become free when their write is done.

Follows pageout and add_to_swap (Linux 6.12). A page whose copy in swap is still valid is dropped without a write, and
so is a page that was read ahead and never wanted. A huge folio is written whole to a free cluster, and split first on
a rotating device or when no cluster is free; it comes back as small pages. Writes finish in the order in which they
were submitted. `disk_copies` of a guest says which of the pages of a word hold an unmodified copy of a disk block.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from hinting._core.costs cimport costs_t
from hinting._core.host.cgroup cimport swap_room
from hinting._core.host.device cimport request_io
from hinting._core.host.frames cimport give, take
from hinting._core.host.lru cimport lru_del, lru_del_huge, lru_split_huge
from hinting._core.host.reclaim_state cimport (
    CLUSTER_SLOTS,
    DEVICE_WRITE,
    MAX_WRITES,
    UNIT_WORDS,
    aged_t,
    reclaim_t,
    write_t,
)
from hinting._core.host.slots cimport free_slot, take_huge, take_slots
from hinting._core.host.state cimport (
    BLOCK_ORDER,
    BLOCK_PAGES,
    BLOCK_WORDS,
    EFFECT_SILENT_WRITE,
    FOLIO_SMALL,
    PMD_TABLE,
    WORD_PAGES,
    backing_t,
    block_t,
    host_t,
)
from hinting._core.host.words cimport fill_block, first_bit, popcount
from hinting._core.mm.pages cimport TAG_ORDER, covering, tag_is_buddy, tag_is_pcp

cdef inline int64_t time_of(const host_t *h, const double *ns) noexcept nogil:
    return h.now + <int64_t>ns[0]

cdef inline backing_t *guest_by_id(const host_t *h, uint32_t number) noexcept nogil:
    """The living guest with this launch number, or NULL: guests are kept in the order of launch."""
    cdef int lo = 0, hi = h.nr_guests, mid
    while lo < hi:
        mid = (lo + hi) // 2
        if h.guests[mid].id < number:
            lo = mid + 1
        else:
            hi = mid
    return h.guests[lo] if lo < h.nr_guests and h.guests[lo].id == number else NULL

# Writes in flight

cdef inline void settle_writes(host_t *h, int64_t now) noexcept nogil:
    """Free the frames of all writes that are done."""
    cdef reclaim_t *r = h.reclaim
    cdef write_t *io
    cdef backing_t *b
    cdef aged_t *a
    cdef int64_t n
    while r.nr_writes:
        io = &r.writes[r.first_write]
        if io.done > now:
            return
        b = guest_by_id(h, io.guest) if io.pages else NULL
        if b != NULL:
            a = &b.aged[io.word // UNIT_WORDS]
            a.cached[io.word % UNIT_WORDS] &= ~io.pages
            a.writing[io.word % UNIT_WORDS] &= ~io.pages
            n = popcount(io.pages)
            b.swap_cache -= n
            r.pages_in_flight -= n
            give(h, n)
        r.first_write = (r.first_write + 1) % MAX_WRITES
        r.nr_writes -= 1

cdef inline void wait_write(host_t *h, double *ns) noexcept nogil:
    """Wait for the oldest write."""
    cdef int64_t now = time_of(h, ns)
    cdef int64_t done = h.reclaim.writes[h.reclaim.first_write].done
    if done > now:
        h.reclaim.waited += <double>(done - now)
        ns[0] += <double>(done - now)
        now = done
    settle_writes(h, now)

cdef inline void make_write_room(host_t *h, int words, double *ns) noexcept nogil:
    """The queue of the device is short: whoever writes waits for room in it."""
    while h.reclaim.nr_writes + words > MAX_WRITES:
        wait_write(h, ns)

cdef inline void push_write(host_t *h, const backing_t *b, uint32_t word, uint64_t pages, int64_t done) noexcept nogil:
    cdef reclaim_t *r = h.reclaim
    cdef write_t *io = &r.writes[(r.first_write + r.nr_writes) % MAX_WRITES]
    if r.nr_writes:
        done = max(done, r.writes[(r.first_write + r.nr_writes - 1) % MAX_WRITES].done)
    io.guest = b.id
    io.word = word
    io.pages = pages
    io.done = done
    r.nr_writes += 1
    r.pages_in_flight += popcount(pages)

cdef inline int64_t count_in_flight(const host_t *h) noexcept nogil:
    """Recount of pages_in_flight."""
    cdef int i
    cdef int64_t n = 0
    for i in range(h.reclaim.nr_writes):
        n += popcount(h.reclaim.writes[(h.reclaim.first_write + i) % MAX_WRITES].pages)
    return n

cdef inline void cancel_writes(host_t *h, backing_t *b, uint32_t word, uint64_t pages) noexcept nogil:
    """Pages of a word need their frames after all, or are gone: the end of their writes frees nothing."""
    cdef reclaim_t *r = h.reclaim
    cdef int i
    cdef write_t *io
    for i in range(r.nr_writes):
        io = &r.writes[(r.first_write + i) % MAX_WRITES]
        if io.word == word and io.guest == b.id:
            r.pages_in_flight -= popcount(io.pages & pages)
            io.pages &= ~pages
    b.aged[word // UNIT_WORDS].writing[word % UNIT_WORDS] &= ~pages

# Slots of a guest

cdef inline void free_slots(host_t *h, backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Give the slots of pages of a word back."""
    cdef uint64_t first = (i << BLOCK_ORDER) + w * WORD_PAGES
    b.swap_slots -= popcount(pages)
    while pages:
        free_slot(&h.reclaim.slots, b.slots[first + first_bit(pages)])
        pages &= pages - 1

cdef inline void drop_copies(host_t *h, backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """The guest writes to present pages: their copies in swap are no longer valid."""
    pages &= b.aged[i].copied[w]
    if pages:
        free_slots(h, b, i, w, pages)
        b.aged[i].copied[w] &= ~pages

cdef inline void forget_swapped(host_t *h, backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Swapped pages of a word are not wanted any more: their slots and frames are free at once, without I/O."""
    cdef aged_t *a = &b.aged[i]
    cdef int64_t frames = popcount(pages & a.cached[w])
    if pages & a.cached[w] & ~a.writing[w]:
        lru_del(b, i, w, pages & a.cached[w] & ~a.writing[w])
    if pages & a.writing[w]:
        cancel_writes(h, b, <uint32_t>(i * UNIT_WORDS + w), pages & a.writing[w])
    free_slots(h, b, i, w, pages)
    a.cached[w] &= ~pages
    a.swapped[w] &= ~pages
    b.swap_cache -= frames
    b.swapped_pages -= popcount(pages)
    give(h, frames)

cdef inline void own_slots(host_t *h, backing_t *b, uint64_t first, uint64_t pages, int64_t slot) noexcept nogil:
    """Contiguous slots belong to these pages of the word that begins at page `first`."""
    cdef uint64_t page
    while pages:
        page = first + first_bit(pages)
        b.slots[page] = <uint32_t>slot
        h.reclaim.slots.page[slot] = <uint32_t>page
        h.reclaim.slots.guest[slot] = b.id
        h.reclaim.slots.shadow[slot] = b.evictions
        b.evictions += 1
        b.swap_slots += 1
        slot += 1
        pages &= pages - 1

cdef inline int64_t count_free_in_guest(const backing_t *b, uint64_t first, uint64_t pages) noexcept nogil:
    """How many of these pages of a word are free in the guest: on a free list or a per-CPU list."""
    cdef uint32_t head = 0
    cdef uint8_t t
    cdef int64_t n = 0
    if b.mm == NULL:
        return 0
    while pages:
        t = covering(b.mm, <uint32_t>(first + first_bit(pages)), &head)
        if tag_is_buddy(t) and (t & TAG_ORDER) >= 6:
            return n + popcount(pages)
        n += tag_is_buddy(t) or tag_is_pcp(t)
        pages &= pages - 1
    return n

# Eviction

cdef inline uint64_t lowest(uint64_t pages, int64_t n) noexcept nogil:
    """The n lowest of the bits."""
    cdef uint64_t rest = pages
    while n and rest:
        rest &= rest - 1
        n -= 1
    return pages & ~rest

cdef inline void unmap_pages(backing_t *b, block_t *block, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Present small pages become swapped ones; their frames are the caller's."""
    cdef int64_t n = popcount(pages)
    lru_del(b, i, w, pages)
    block.present[w] &= ~pages
    block.ept[w] &= ~pages
    b.aged[i].swapped[w] |= pages
    b.rss_pages -= n
    b.held_frames -= n
    b.swapped_pages += n

cdef inline int64_t drop_clean(host_t *h, backing_t *b, block_t *block, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Evict pages that swap already holds: no I/O. Returns how many."""
    cdef aged_t *a = &b.aged[i]
    cdef uint64_t copied = pages & a.copied[w], ahead = pages & a.cached[w]
    cdef int64_t n = popcount(copied)
    if copied:
        unmap_pages(b, block, i, w, copied)
        a.copied[w] &= ~copied
        b.n.dropped_copies += n
    if ahead:
        lru_del(b, i, w, ahead)
        a.cached[w] &= ~ahead
        b.swap_cache -= popcount(ahead)
        n += popcount(ahead)
    give(h, n)
    return n

cdef inline void write_pages(
    host_t *h, backing_t *b, uint64_t i, int w, uint64_t pages, int64_t slot, int64_t n, double *ns
) noexcept nogil:
    """Write n pages of a word to contiguous slots; frames of a disk block's unmodified copy may be free at once."""
    cdef uint64_t copies = 0
    cdef aged_t *a = &b.aged[i]
    if b.disk_copies != NULL:
        copies = b.disk_copies(b.guest, (i << BLOCK_ORDER) + w * WORD_PAGES, pages)
    if copies and not h.effects & EFFECT_SILENT_WRITE:
        a.cached[w] &= ~copies
        a.writing[w] &= ~copies
        b.swap_cache -= popcount(copies)
        give(h, popcount(copies))
        pages &= ~copies
        n -= popcount(copies)
        copies = 0
    b.n.silent_swap_writes += popcount(copies)
    b.n.swapped_out += n
    h.vm.pswpout += n
    if pages:
        push_write(h, b, <uint32_t>(i * UNIT_WORDS + w), pages,
                   request_io(&h.reclaim.device, DEVICE_WRITE, slot, n, time_of(h, ns)))

cdef inline int64_t evict_pages(
    host_t *h, backing_t *b, const costs_t *c, uint64_t i, int w, uint64_t pages, double *ns
) noexcept nogil:
    """Evict small pages of a word that are on its lists, as far as there are slots; returns how many."""
    cdef block_t *block = &b.blocks[i]
    cdef reclaim_t *r = h.reclaim
    cdef uint64_t first = (i << BLOCK_ORDER) + w * WORD_PAGES
    cdef uint64_t dirty = pages & block.present[w] & ~b.aged[i].copied[w], part
    cdef int64_t evicted = drop_clean(h, b, block, i, w, pages & ~dirty)
    cdef int64_t n, slot = 0
    while dirty:
        make_write_room(h, 1, ns)
        n = min(popcount(dirty), swap_room(h, b))
        if n:
            n = take_slots(&r.slots, n, &slot)
        if n == 0:
            break
        part = lowest(dirty, n)
        dirty &= ~part
        own_slots(h, b, first, part, slot)
        unmap_pages(b, block, i, w, part)
        b.aged[i].cached[w] |= part
        b.aged[i].writing[w] |= part
        b.swap_cache += n
        b.n.free_page_swap_writes += count_free_in_guest(b, first, part)
        evicted += n
        ns[0] += <double>n * c.swap_out_cpu_4k
        write_pages(h, b, i, w, part, slot, n, ns)
    return evicted

cdef inline void break_pmd(host_t *h, backing_t *b, block_t *block) noexcept nogil:
    """A huge entry becomes a table; the notifier takes the whole block out of the second level."""
    block.pmd = PMD_TABLE
    block.folio = FOLIO_SMALL
    block.ept_huge = 0
    fill_block(block.ept, 0)
    b.huge_blocks -= 1
    if not h.thp_deposit:
        b.host_tables += 1
        take(h, 1)

cdef inline int64_t evict_huge(host_t *h, backing_t *b, const costs_t *c, uint64_t i, double *ns) noexcept nogil:
    """Evict a huge folio whole; 0 if it was split instead, or if the table for it cannot be had."""
    cdef block_t *block = &b.blocks[i]
    cdef aged_t *a = &b.aged[i]
    cdef reclaim_t *r = h.reclaim
    cdef int64_t slot = -1, done
    cdef int w
    if not h.thp_deposit and h.frames_free == 0:
        return 0
    if not r.device.rotating and swap_room(h, b) >= BLOCK_PAGES:
        slot = take_huge(&r.slots)
    if slot < 0:
        h.vm.thp_swpout_fallback += 1
        h.vm.thp_split_page += 1
        b.n.folio_splits += 1
        break_pmd(h, b, block)
        lru_split_huge(b, i)
        ns[0] += c.host_thp_split_folio
        return 0
    lru_del_huge(b, i)
    break_pmd(h, b, block)
    make_write_room(h, BLOCK_WORDS, ns)
    ns[0] += BLOCK_PAGES * c.swap_out_cpu_4k
    done = request_io(&r.device, DEVICE_WRITE, slot, CLUSTER_SLOTS, time_of(h, ns))
    for w in range(BLOCK_WORDS):
        own_slots(h, b, (i << BLOCK_ORDER) + w * WORD_PAGES, ~<uint64_t>0, slot + w * WORD_PAGES)
        b.n.free_page_swap_writes += count_free_in_guest(b, (i << BLOCK_ORDER) + w * WORD_PAGES, ~<uint64_t>0)
        if b.disk_copies != NULL:
            b.n.silent_swap_writes += popcount(
                b.disk_copies(b.guest, (i << BLOCK_ORDER) + w * WORD_PAGES, ~<uint64_t>0))
        push_write(h, b, <uint32_t>(i * UNIT_WORDS + w), ~<uint64_t>0, done)
    fill_block(block.present, 0)
    fill_block(a.swapped, ~<uint64_t>0)
    fill_block(a.cached, ~<uint64_t>0)
    fill_block(a.writing, ~<uint64_t>0)
    b.rss_pages -= BLOCK_PAGES
    b.held_frames -= BLOCK_PAGES
    b.swapped_pages += BLOCK_PAGES
    b.swap_cache += BLOCK_PAGES
    b.n.swapped_out += BLOCK_PAGES
    h.vm.pswpout += BLOCK_PAGES
    h.vm.thp_swpout += 1
    return BLOCK_PAGES

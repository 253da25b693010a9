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
from hinting._core.host.discard cimport zap_huge, zap_words
from hinting._core.host.frames cimport clear_freed_ns, clear_huge_ns, give, take
from hinting._core.host.lru cimport lru_del, lru_del_huge, lru_split_huge
from hinting._core.host.reclaim_state cimport CLUSTER_SLOTS, DEVICE_WRITE, UNIT_WORDS, aged_t, reclaim_t
from hinting._core.host.slots cimport take_huge, take_slots
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
from hinting._core.host.swapcache cimport make_write_room, push_write, time_of
from hinting._core.host.words cimport fill_block, first_bit, popcount
from hinting._core.mm.pages cimport TAG_ORDER, covering, tag_is_buddy, tag_is_pcp

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

cdef inline int64_t drop_lazy(host_t *h, backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Take the frames of lazily freed pages of a word; returns how many."""
    cdef uint64_t words[BLOCK_WORDS]
    fill_block(words, 0)
    words[w] = pages
    b.n.lazily_dropped += popcount(pages)
    return zap_words(h, b, i, words)

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
    cdef uint64_t dirty, part, lazy = b.lazy[i].pages[w] & pages if b.lazy != NULL else 0
    cdef int64_t evicted = drop_lazy(h, b, i, w, lazy) if lazy else 0
    cdef int64_t n, slot = 0
    pages &= ~lazy
    dirty = pages & block.present[w] & ~b.aged[i].copied[w]
    evicted += drop_clean(h, b, block, i, w, pages & ~dirty)
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
        ns[0] += <double>n * c.swap_out_cpu_4k + clear_freed_ns(h, c, n)
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
    if b.lazy != NULL and b.lazy[i].pages[0]:
        b.n.lazily_dropped += BLOCK_PAGES
        zap_huge(h, b, i)
        return BLOCK_PAGES
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
    ns[0] += BLOCK_PAGES * c.swap_out_cpu_4k + clear_huge_ns(h, c, 1)
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

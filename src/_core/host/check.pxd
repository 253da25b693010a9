"""Recount of everything that the host keeps as a number: slow, and independent of how the numbers were kept."""

from libc.stdint cimport int64_t, uint64_t

from hinting._core.host.check_swap cimport swap_check
from hinting._core.host.deferred cimport folio_mapped
from hinting._core.host.hugetlb cimport pool_frames
from hinting._core.host.state cimport (
    BLOCK_ORDER,
    BLOCK_PAGES,
    BLOCK_WORDS,
    DIRECTORY_EPT,
    DIRECTORY_HOST,
    DIRECTORY_ORDER,
    FOLIO_HUGE,
    FOLIO_HUGE_PARTIAL,
    FOLIO_SMALL,
    PMD_HUGE,
    PMD_NONE,
    PMD_TABLE,
    WORD_PAGES,
    backing_t,
    block_t,
    host_t,
)
from hinting._core.host.words cimport leading_zeros, popcount

cdef enum:
    CHECK_OK = 0
    CHECK_IDENTITY = 1
    CHECK_NEGATIVE = 2
    CHECK_BLOCK_STATE = 3
    CHECK_MAPPED_NOT_PRESENT = 4
    CHECK_BEYOND_END = 5
    CHECK_RSS = 6
    CHECK_HELD = 7
    CHECK_TABLES = 8
    CHECK_QUEUE = 9
    CHECK_DIRECTORY = 10
    CHECK_LAZY = 11
    CHECK_POOL = 12
    CHECK_SWAP = 12                     # + SWAP_*

ctypedef struct recount_t:
    int64_t rss_pages
    int64_t held_frames
    int64_t host_tables
    int64_t ept_tables
    int64_t huge_blocks
    int64_t deferred_blocks
    int64_t deferred_frames
    int64_t lazy_pages

cdef inline int recount_block(const host_t *h, const backing_t *b, uint64_t i, recount_t *r) noexcept nogil:
    """Check one block and add it to the sums."""
    cdef const block_t *block = &b.blocks[i]
    cdef int w, present = 0, mapped = 0, of_folio
    cdef uint64_t bad = 0
    for w in range(BLOCK_WORDS):
        present += popcount(block.present[w])
        mapped += popcount(block.ept[w])
        bad |= block.ept[w] & ~block.present[w]
        if block.present[w] and (i << BLOCK_ORDER) + w * WORD_PAGES + 63 - leading_zeros(block.present[w]) >= b.npfn:
            return CHECK_BEYOND_END
    if bad:
        return CHECK_MAPPED_NOT_PRESENT
    if block.ept_huge and (block.pmd != PMD_HUGE or mapped != BLOCK_PAGES or block.ept_table):
        return CHECK_BLOCK_STATE
    if not block.ept_huge and mapped and not block.ept_table:
        return CHECK_BLOCK_STATE
    if block.pmd == PMD_NONE and (present or block.folio != FOLIO_SMALL):
        return CHECK_BLOCK_STATE
    if (block.pmd == PMD_HUGE) != (block.folio == FOLIO_HUGE) or (block.pmd == PMD_HUGE and present != BLOCK_PAGES):
        return CHECK_BLOCK_STATE
    if b.pool_blocks and (present % BLOCK_PAGES or (present and mapped != present and mapped)):
        return CHECK_BLOCK_STATE
    if b.pool_blocks and block.pmd != b.blocks[i & ~<uint64_t>(b.pool_blocks - 1)].pmd:
        return CHECK_BLOCK_STATE
    if b.pool_blocks > 1:               # no page directory below a page of 1 GiB
        r.rss_pages += present
        r.held_frames += present
        r.huge_blocks += block.pmd == PMD_HUGE
        return CHECK_OK
    if present and not b.directories[i >> (DIRECTORY_ORDER - BLOCK_ORDER)] & DIRECTORY_HOST:
        return CHECK_DIRECTORY
    if mapped and not b.directories[i >> (DIRECTORY_ORDER - BLOCK_ORDER)] & DIRECTORY_EPT:
        return CHECK_DIRECTORY
    if b.lazy != NULL:
        for w in range(BLOCK_WORDS):
            if b.lazy[i].pages[w] & (block.ept[w] | ~block.present[w]):
                return CHECK_LAZY
            r.lazy_pages += popcount(b.lazy[i].pages[w])
            if b.lazy[i].pages[w] and not b.lazy[i].queued:
                return CHECK_LAZY
    r.rss_pages += present
    r.held_frames += present
    if block.folio == FOLIO_HUGE_PARTIAL:
        of_folio = folio_mapped(block)
        if block.pmd != PMD_TABLE or not 0 < of_folio < BLOCK_PAGES:
            return CHECK_BLOCK_STATE
        r.held_frames += BLOCK_PAGES - of_folio
        r.deferred_frames += BLOCK_PAGES - of_folio
        r.deferred_blocks += 1
    r.huge_blocks += block.pmd == PMD_HUGE
    r.host_tables += block.pmd == PMD_TABLE or (block.pmd == PMD_HUGE and h.thp_deposit)
    r.ept_tables += block.ept_table
    return CHECK_OK

cdef inline bint is_queue_sound(const backing_t *b) noexcept nogil:
    """Whether the deferred-split queue links deferred_blocks blocks, all HUGE_PARTIAL, in both directions."""
    cdef int64_t n = 0
    cdef unsigned int at = b.deferred_head, prev = 0
    while at:
        if n == b.deferred_blocks or at > b.nblocks:
            return False
        if b.blocks[at - 1].folio != FOLIO_HUGE_PARTIAL or b.blocks[at - 1].prev != prev:
            return False
        prev = at
        at = b.blocks[at - 1].next
        n += 1
    return n == b.deferred_blocks and prev == b.deferred_tail

cdef inline int backing_check(const host_t *h, const backing_t *b) noexcept nogil:
    """CHECK_OK, or what does not hold for this guest."""
    cdef recount_t r
    cdef uint64_t i
    cdef int result
    r.rss_pages = r.held_frames = r.host_tables = r.ept_tables = 0
    r.huge_blocks = r.deferred_blocks = r.deferred_frames = r.lazy_pages = 0
    for i in range(b.nblocks):
        result = recount_block(h, b, i, &r)
        if result != CHECK_OK:
            return result
    for i in range((b.npfn >> DIRECTORY_ORDER) + 1):
        r.host_tables += (b.directories[i] & DIRECTORY_HOST) != 0
        r.ept_tables += (b.directories[i] & DIRECTORY_EPT) != 0
    if r.rss_pages != b.rss_pages or r.huge_blocks != b.huge_blocks:
        return CHECK_RSS
    if r.held_frames != b.held_frames or b.held_frames != b.rss_pages + b.deferred_frames:
        return CHECK_HELD
    if r.lazy_pages != b.lazy_pages:
        return CHECK_LAZY
    if r.host_tables != b.host_tables or r.ept_tables != b.ept_tables:
        return CHECK_TABLES
    if r.deferred_blocks != b.deferred_blocks or r.deferred_frames != b.deferred_frames or not is_queue_sound(b):
        return CHECK_QUEUE
    return CHECK_OK

cdef inline int host_check(const host_t *h) noexcept nogil:
    """CHECK_OK, or what does not hold.

    frames_total = free + base + page cache + free huge pages + sum over guests of held + swap cache + VMM + tables.
    """
    cdef int64_t used = h.host_base_frames + h.page_cache + pool_frames(h)
    cdef int64_t taken = 0, reserved = 0
    cdef int i, result, dying = 0
    cdef const backing_t *b
    if h.frames_free < 0 or h.host_base_frames < 0 or h.page_cache < 0:
        return CHECK_NEGATIVE
    for i in range(h.nr_guests):
        b = h.guests[i]
        result = backing_check(h, b)
        if result != CHECK_OK:
            return result
        if b.pool_blocks:
            taken += b.held_frames // (b.pool_blocks * BLOCK_PAGES)
            reserved += b.pool_reserved
        dying += b.reaped_at != 0
        used += b.held_frames + b.swap_cache + b.vmm_frames + b.host_tables + b.ept_tables
    if dying != h.nr_dying:
        return CHECK_NEGATIVE
    if h.pool.free + taken != h.pool.total or reserved != h.pool.reserved or h.pool.reserved > h.pool.free:
        return CHECK_POOL
    if h.reclaim != NULL:
        result = swap_check(h)
        if result:
            return CHECK_SWAP + result
    return CHECK_OK if used + h.frames_free == h.frames_total else CHECK_IDENTITY

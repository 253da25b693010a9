"""khugepaged: blocks of small pages become huge pages again, also where the guest uses only a few of them.

Follows khugepaged_scan_mm_slot and collapse_huge_page (Linux 6.12): one thread a host, that goes round over the page
tables of all guests, 4096 entries a round. A block is collapsed if at most 511 of its entries are empty, at most 64 are
in swap, one was accessed and a huge frame can be had; swapped pages are read first. On a host that cannot swap the age of
pages is not kept: accessed means mapped at the second level.
"""

from libc.stdint cimport int64_t, uint64_t

from hinting._core.costs cimport costs_t
from hinting._core.host.cgroup cimport can_have
from hinting._core.host.frames cimport clear_freed_ns, give, huge_frame_exists, take
from hinting._core.host.lru cimport lru_add_huge, lru_del, on_lists
from hinting._core.host.reclaim_state cimport INACTIVE
from hinting._core.host.state cimport (
    BLOCK_ORDER,
    BLOCK_PAGES,
    BLOCK_WORDS,
    FOLIO_HUGE,
    FOLIO_SMALL,
    PMD_HUGE,
    PMD_TABLE,
    backing_t,
    block_t,
    host_t,
)
from hinting._core.host.swapcache cimport drop_copies
from hinting._core.host.swapin cimport swap_fault_ns, swap_in
from hinting._core.host.words cimport fill_block, first_bit, popcount, popcount_block

cdef enum:
    PAGES_TO_SCAN = 4096
    MAX_PTES_NONE = 511
    MAX_PTES_SWAP = 64
    SCAN_SLEEP_NS = 10000000000
    ALLOC_SLEEP_NS = 60000000000

cdef inline bint may_collapse(const backing_t *b, uint64_t i) noexcept nogil:
    cdef const block_t *block = &b.blocks[i]
    cdef int present, swapped = 0, w
    cdef bint accessed = False
    if block.pmd != PMD_TABLE or block.folio != FOLIO_SMALL or (i + 1) << BLOCK_ORDER > b.npfn:
        return False
    present = popcount_block(block.present)
    if b.aged != NULL:
        swapped = popcount_block(b.aged[i].swapped)
    for w in range(BLOCK_WORDS):
        if b.lazy != NULL and b.lazy[i].pages[w]:
            return False
        accessed = accessed or (b.aged[i].accessed[w] if b.aged != NULL else block.ept[w]) != 0
    return accessed and swapped <= MAX_PTES_SWAP and 0 < present and BLOCK_PAGES - present - swapped <= MAX_PTES_NONE

cdef inline bint collapse(host_t *h, backing_t *b, const costs_t *c, uint64_t i, double *ns) noexcept nogil:
    """Collapse a block; False if no huge frame can be had."""
    cdef block_t *block = &b.blocks[i]
    cdef uint64_t pages
    cdef int64_t present
    cdef int w
    block.thp_attempts += 1
    if not can_have(h, b, BLOCK_PAGES + MAX_PTES_SWAP):
        return False
    if not huge_frame_exists(h, b, <unsigned int>i, block.thp_attempts):
        return False
    for w in range(BLOCK_WORDS):
        pages = b.aged[i].swapped[w] if b.aged != NULL else 0
        while pages:
            swap_in(h, b, <unsigned int>((i << BLOCK_ORDER) + w * 64 + first_bit(pages)), 0, swap_fault_ns(c), ns)
            pages &= pages - 1
    if not can_have(h, b, BLOCK_PAGES):
        return False
    present = popcount_block(block.present)
    for w in range(BLOCK_WORDS):
        if b.aged != NULL:
            drop_copies(h, b, i, w, block.present[w])
            lru_del(b, i, w, on_lists(block, &b.aged[i], w))
    take(h, BLOCK_PAGES)
    give(h, present)
    fill_block(block.present, ~<uint64_t>0)
    fill_block(block.ept, 0)
    fill_block(block.gone, 0)
    block.pmd = PMD_HUGE
    block.folio = FOLIO_HUGE
    if not h.thp_deposit:
        b.host_tables -= 1
        give(h, 1)
    b.rss_pages += BLOCK_PAGES - present
    b.held_frames += BLOCK_PAGES - present
    b.huge_blocks += 1
    b.n.collapses += 1
    h.vm.thp_collapse_alloc += 1
    if b.aged != NULL:
        lru_add_huge(b, i, INACTIVE)
        b.aged[i].accessed[0] |= 1
    ns[0] += c.fault_collapse_2m + clear_freed_ns(h, c, present)
    b.locked_until = h.now + <int64_t>ns[0]
    return True

cdef inline int64_t khugepaged_round(host_t *h, const costs_t *c, double *ns) noexcept nogil:
    """Look at the next 4096 entries; returns how long to sleep then, ns."""
    cdef int64_t left = PAGES_TO_SCAN
    cdef backing_t *b
    cdef int wrapped = 0
    while left > 0 and wrapped <= h.nr_guests:
        if h.scan_guest >= h.nr_guests:
            h.scan_guest = 0
            h.scan_block = 0
            if h.nr_guests == 0:
                break
        b = h.guests[h.scan_guest]
        if h.scan_block >= b.nblocks or not b.thp:
            h.scan_guest += 1
            h.scan_block = 0
            wrapped += 1
            continue
        if b.blocks[h.scan_block].pmd == PMD_TABLE:
            left -= BLOCK_PAGES
            ns[0] += BLOCK_PAGES * c.swap_scan_page
            if may_collapse(b, h.scan_block) and not collapse(h, b, c, h.scan_block, ns):
                h.scan_block += 1
                h.vm.thp_collapse_alloc_failed += 1
                return ALLOC_SLEEP_NS
        h.scan_block += 1
    return SCAN_SLEEP_NS

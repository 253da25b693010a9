"""RAM made of hugetlbfs pages: a pool of huge pages that the host has set aside, each taken and given back whole.

Follows hugetlb_reserve_pages, hugetlb_fault and hugetlbfs_punch_hole (Linux 6.12) and ram_block_discard_range (QEMU 8.2).
A mapping reserves its pages; a hole gives page and reservation back, so that the page may be somebody else's when the
guest touches it again: then a bus error ends the VMM. Pages of the pool are on no LRU list and in no memory cgroup.
"""

from libc.stdint cimport int64_t, uint64_t

from hinting._core.host.state cimport (
    BLOCK_ORDER,
    BLOCK_PAGES,
    FOLIO_HUGE,
    FOLIO_SMALL,
    HOST_NOMEM,
    HOST_OK,
    PMD_HUGE,
    PMD_NONE,
    backing_t,
    host_t,
)
from hinting._core.host.words cimport fill_block, popcount_block

cdef inline int64_t pool_frames(const host_t *h) noexcept nogil:
    """Frames of the pool's free pages."""
    return h.pool.free * h.pool.blocks * BLOCK_PAGES

cdef inline int reserve_pages(host_t *h, backing_t *b) noexcept nogil:
    """Set pages aside for all RAM of a new guest; HOST_NOMEM if the pool has not so many."""
    cdef int64_t page = h.pool.blocks * BLOCK_PAGES
    cdef int64_t pages = (<int64_t>b.ram_frames + page - 1) // page
    if h.pool.free - h.pool.reserved < pages:
        return HOST_NOMEM
    h.pool.reserved += pages
    b.pool_reserved = pages
    b.pool_blocks = h.pool.blocks
    return HOST_OK

cdef inline bint is_set_aside(const backing_t *b, uint64_t i) noexcept nogil:
    """Whether the page that begins at block i was never touched."""
    return b.blocks[i].gone[0] == 0

cdef inline bint may_take_page(const host_t *h, const backing_t *b, uint64_t i) noexcept nogil:
    return is_set_aside(b, i) or h.pool.free > h.pool.reserved

cdef inline void take_page(host_t *h, backing_t *b, uint64_t i) noexcept nogil:
    """Take a page, the one set aside if there is one."""
    if is_set_aside(b, i):
        h.pool.reserved -= 1
        b.pool_reserved -= 1
    h.pool.free -= 1

cdef inline void fill_page(backing_t *b, uint64_t i) noexcept nogil:
    """The page that begins at block i is backed and mapped."""
    cdef int64_t k
    for k in range(b.pool_blocks):
        b.n.refaulted_pages += popcount_block(b.blocks[i + k].gone)
        fill_block(b.blocks[i + k].gone, 0)
        fill_block(b.blocks[i + k].present, ~<uint64_t>0)
        fill_block(b.blocks[i + k].ept, ~<uint64_t>0)
        b.blocks[i + k].pmd = PMD_HUGE
        b.blocks[i + k].folio = FOLIO_HUGE
        b.blocks[i + k].ept_huge = 1
    b.rss_pages += b.pool_blocks * BLOCK_PAGES
    b.held_frames += b.pool_blocks * BLOCK_PAGES
    b.huge_blocks += b.pool_blocks
    b.n.faults_pool += 1

cdef inline void drop_page(host_t *h, backing_t *b, uint64_t i) noexcept nogil:
    """Give the page that begins at block i back to the pool."""
    cdef int64_t k
    for k in range(b.pool_blocks):
        fill_block(b.blocks[i + k].present, 0)
        fill_block(b.blocks[i + k].ept, 0)
        fill_block(b.blocks[i + k].gone, ~<uint64_t>0)
        b.blocks[i + k].pmd = PMD_NONE
        b.blocks[i + k].folio = FOLIO_SMALL
        b.blocks[i + k].ept_huge = 0
    b.rss_pages -= b.pool_blocks * BLOCK_PAGES
    b.held_frames -= b.pool_blocks * BLOCK_PAGES
    b.huge_blocks -= b.pool_blocks
    h.pool.free += 1

cdef inline int64_t drop_range(host_t *h, backing_t *b, uint64_t at, uint64_t end) noexcept nogil:
    """Give whole pages back; returns how many there were. A range that is none of whole pages: -1, and nothing happens."""
    cdef uint64_t page = b.pool_blocks * BLOCK_PAGES
    cdef int64_t n = 0
    if at % page or end % page:
        return -1
    while at < end:
        if b.blocks[at >> BLOCK_ORDER].pmd == PMD_HUGE:
            drop_page(h, b, at >> BLOCK_ORDER)
            n += 1
        at += page
    return n

cdef inline void leave_pool(host_t *h, backing_t *b) noexcept nogil:
    """The guest is gone: its pages, and those set aside for it, are anybody's."""
    h.pool.free += b.held_frames // (b.pool_blocks * BLOCK_PAGES)
    h.pool.reserved -= b.pool_reserved
    b.held_frames = b.pool_reserved = 0

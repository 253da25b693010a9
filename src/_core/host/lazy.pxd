"""Lazily freed pages (MADV_FREE): they keep their frames until the host needs them or the guest writes to them.

Follows madvise_free_pte_range, madvise_free_huge_pmd and the reclaim of clean anonymous pages (Linux 6.12). KVM's
notifier takes the pages out of the second level, so that the next touch is a fault, which finds the frame still there
and makes the page an ordinary one. Reclaim takes whole blocks, first in, first out, from the oldest guest on; the real
list of inactive files that they would be on is not emulated.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hinting._core.common cimport pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.deferred cimport split_folio
from hinting._core.host.discard cimport price_zap, split_pmd, zap_huge, zap_swapped, zap_t, zap_words
from hinting._core.host.frames cimport clear_freed_ns, take
from hinting._core.host.state cimport (
    BLOCK_ORDER,
    BLOCK_PAGES,
    BLOCK_WORDS,
    PMD_HUGE,
    PMD_NONE,
    WORD_PAGES,
    backing_t,
    block_t,
    host_t,
    lazy_t,
)
from hinting._core.host.swapcache cimport drop_copies
from hinting._core.host.words cimport fill_block, popcount, popcount_block, span
from hinting._core.memory cimport zero_pages

cdef inline bint lazy_init(backing_t *b) noexcept nogil:
    """Make room for the marks of lazily freed pages; False without memory."""
    if b.lazy == NULL:
        b.lazy = <lazy_t *>zero_pages(b.nblocks * sizeof(lazy_t))
    return b.lazy != NULL

cdef inline void enqueue_lazy(backing_t *b, uint32_t i) noexcept nogil:
    if b.lazy[i].queued:
        return
    b.lazy[i].queued = True
    b.lazy[i].next = 0
    if b.lazy_tail:
        b.lazy[b.lazy_tail - 1].next = i + 1
    else:
        b.lazy_head = i + 1
    b.lazy_tail = i + 1

cdef inline void mark_huge(backing_t *b, uint64_t i, zap_t *z) noexcept nogil:
    cdef block_t *block = &b.blocks[i]
    b.lazy_pages += BLOCK_PAGES - popcount_block(b.lazy[i].pages)
    fill_block(b.lazy[i].pages, ~<uint64_t>0)
    fill_block(block.ept, 0)
    block.ept_huge = 0
    if b.aged != NULL:
        fill_block(b.aged[i].accessed, 0)
    z.huge += 1

cdef inline int64_t mark_small(host_t *h, backing_t *b, uint64_t i, int lo, int hi) noexcept nogil:
    """Mark pages lo .. hi - 1 that have frames of their own; returns how many were not marked before. Swap forgets them."""
    cdef block_t *block = &b.blocks[i]
    cdef uint64_t hit
    cdef int64_t marked = 0
    cdef int w, first, last
    for w in range(lo // WORD_PAGES, (hi - 1) // WORD_PAGES + 1):
        first = lo - w * WORD_PAGES if lo > w * WORD_PAGES else 0
        last = hi - w * WORD_PAGES if hi < (w + 1) * WORD_PAGES else WORD_PAGES
        hit = block.present[w] & span(first, last) & ~b.lazy[i].pages[w]
        b.lazy[i].pages[w] |= hit
        block.ept[w] &= ~hit
        marked += popcount(hit)
        if b.aged != NULL:
            b.aged[i].accessed[w] &= ~hit
            drop_copies(h, b, i, w, hit)
            zap_swapped(h, b, i, w, span(first, last))
    b.lazy_pages += marked
    return marked

cdef inline bint make_small(host_t *h, backing_t *b, uint64_t i, zap_t *z) noexcept nogil:
    """Split a huge page of which only a part is freed; False without a frame for its table, and nothing is freed.

    The real table was set aside when the page was mapped: no watermark counts.
    """
    if not h.thp_deposit:
        if h.frames_free == 0:
            return False
        take(h, 1)
        b.host_tables += 1
    split_pmd(h, b, i)
    split_folio(h, b, &b.blocks[i])
    z.pmd_splits += 1
    z.folio_splits += 1
    return True

cdef inline void free_call(host_t *h, backing_t *b, uint64_t at, uint64_t end, zap_t *z, int64_t *marked) noexcept nogil:
    """One madvise call over pages at .. end - 1."""
    cdef uint64_t i
    cdef int lo, hi
    z.calls += 1
    while at < end:
        i = at >> BLOCK_ORDER
        lo = at & (BLOCK_PAGES - 1)
        hi = <int>(lo + end - at) if lo + end - at < BLOCK_PAGES else BLOCK_PAGES
        at += hi - lo
        if b.blocks[i].pmd == PMD_NONE:
            continue
        if b.blocks[i].pmd == PMD_HUGE and hi - lo == BLOCK_PAGES:
            mark_huge(b, i, z)
        elif b.blocks[i].pmd != PMD_HUGE or make_small(h, b, i, z):
            marked[0] += mark_small(h, b, i, lo, hi)
        enqueue_lazy(b, <uint32_t>i)
    z.hits += 1

cdef inline void backing_free_lazily(
    host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, uint64_t npages, uint64_t call_pages,
    int running_vcpus, double *host_ns, double *stolen_ns,
) noexcept nogil:
    """Free a range lazily by calls of call_pages each, in address order; arguments as of backing_discard.

    lazy_init must have been called; RAM must be anonymous. A huge page that is marked whole is charged as one page.
    """
    cdef zap_t z
    cdef uint64_t at = pfn, end = at + npages, stop
    cdef int64_t marked = 0
    if b.locked:
        b.n.ignored_pages += npages
        return
    z.calls = z.gathers = z.hits = z.small = z.huge = z.pmd_splits = z.folio_splits = 0
    while at < end:
        stop = at + call_pages if call_pages < end - at else end
        free_call(h, b, at, stop, &z, &marked)
        at = stop
    host_ns[0] += <double>(marked + z.huge) * c.host_madvise_free_4k
    z.huge = 0
    b.n.discard_calls += z.calls
    b.n.discard_pages += npages
    price_zap(c, &z, running_vcpus, host_ns, stolen_ns)

cdef inline int64_t drop_block(host_t *h, backing_t *b, uint64_t i) noexcept nogil:
    """Take the frames of the block's lazily freed pages; how many pages."""
    cdef block_t *block = &b.blocks[i]
    cdef uint64_t pages[BLOCK_WORDS]
    cdef int64_t n = popcount_block(b.lazy[i].pages)
    cdef int w
    if n == 0:
        return 0
    b.n.lazily_dropped += n
    if not b.lazy[i].dropped:
        b.lazy[i].dropped = True
        b.lazy[i].next_dropped = b.dropped_head
        b.dropped_head = <uint32_t>i + 1
    if block.pmd == PMD_HUGE:
        zap_huge(h, b, i)
        return n
    for w in range(BLOCK_WORDS):
        pages[w] = b.lazy[i].pages[w]
    zap_words(h, b, i, pages)
    return n

cdef inline void reclaim_lazy(host_t *h, const costs_t *c, int64_t goal, double *ns) noexcept nogil:
    """Take frames of lazily freed pages until the host has `goal` free frames or none is left. Adds its time to ns."""
    cdef int g
    cdef uint32_t i
    cdef backing_t *b
    cdef int64_t n, free
    for g in range(h.nr_guests):
        b = h.guests[g]
        while b.lazy_head and h.frames_free < goal:
            i = b.lazy_head - 1
            b.lazy_head = b.lazy[i].next
            if b.lazy_head == 0:
                b.lazy_tail = 0
            b.lazy[i].queued = False
            free = h.frames_free
            n = drop_block(h, b, i)
            ns[0] += c.host_zap_2m_thp if n == BLOCK_PAGES else <double>n * c.host_zap_4k_bulk
            ns[0] += clear_freed_ns(h, c, h.frames_free - free)

"""Giving guest memory back to the host: MADV_DONTNEED by the VMM.

Follows madvise_dontneed_single_vma, zap_pmd_range and __split_huge_pmd (Linux 6.12) with KVM's notifier, and
ram_block_discard_range (QEMU 8.2): a hole is punched into shared memory before the call, and only a hole into hugetlbfs. One
IPI round a call serves the second-level flush and the host's.
"""

from libc.stdint cimport int64_t, uint64_t

from hinting._core.common cimport pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.deferred cimport dequeue_deferred, enqueue_deferred, folio_mapped, split_folio
from hinting._core.host.frames cimport clear_freed_ns, clear_huge_ns, give, take
from hinting._core.host.hugetlb cimport drop_range
from hinting._core.host.lru cimport lru_del, lru_del_huge, lru_split_huge
from hinting._core.host.state cimport (
    BLOCK_ORDER,
    BLOCK_PAGES,
    BLOCK_WORDS,
    FOLIO_HUGE_PARTIAL,
    FOLIO_SMALL,
    PMD_HUGE,
    PMD_NONE,
    PMD_TABLE,
    RAM_SHARED,
    WORD_PAGES,
    backing_t,
    block_t,
    host_t,
)
from hinting._core.host.swapcache cimport drop_copies, forget_swapped
from hinting._core.host.words cimport fill_block, popcount, span

ctypedef struct zap_t:                  # what some calls did, before it is priced
    int64_t calls                       # madvise calls
    int64_t gathers                     # calls that removed entries, and freed what they mapped
    int64_t hits                        # calls that removed or aged entries, so flushed
    int64_t small                       # 4K entries removed
    int64_t huge                        # huge entries removed whole
    int64_t pmd_splits                  # huge entries split
    int64_t folio_splits

cdef inline double gather_ns(const costs_t *c) noexcept nogil:
    """What a call that removes entries costs beside the empty call and the entries: gather, flush, free."""
    cdef double ns = c.host_madvise_zap_4k_single - c.host_madvise_call_empty - c.host_zap_4k_bulk
    return ns if ns > 0 else 0

cdef inline double huge_entry_ns(const costs_t *c) noexcept nogil:
    """What each huge entry of a call costs; zap_2m_thp is that of a call with one, beside the empty call."""
    cdef double ns = c.host_zap_2m_thp - gather_ns(c)
    return ns if ns > 0 else 0

cdef inline double split_pmd_ns(const costs_t *c) noexcept nogil:
    """What splitting a huge entry adds to a call; thp_split_pmd is a whole call of one page."""
    cdef double ns = c.host_thp_split_pmd - c.host_madvise_zap_4k_single
    return ns if ns > 0 else 0

cdef inline void price_zap(
    const costs_t *c, const zap_t *z, int running_vcpus, double *host_ns, double *stolen_ns
) noexcept nogil:
    """Add the host's time and the time stolen from running vCPUs.

    A call of one page costs madvise_zap_4k_single + mmu_notifier_range, one of a whole huge page madvise_call_empty +
    mmu_notifier_range + zap_2m_thp; further entries of a call cost less, as it gathers and flushes once. A
    running vCPU loses one exit and a flush for each call that removed something.
    """
    cdef double ns = <double>z.calls * (c.host_madvise_call_empty + c.host_mmu_notifier_range)
    ns += <double>z.gathers * gather_ns(c) + <double>z.small * c.host_zap_4k_bulk
    ns += <double>z.huge * huge_entry_ns(c) + <double>z.pmd_splits * split_pmd_ns(c)
    ns += <double>z.folio_splits * c.host_thp_split_folio
    if running_vcpus > 0:
        ns += <double>z.hits * (c.host_tlb_shootdown_base + running_vcpus * c.host_tlb_shootdown_per_cpu)
        stolen_ns[0] += <double>z.hits * running_vcpus * (c.virt_vm_exit_entry + c.host_tlb_flush_local)
    host_ns[0] += ns

cdef inline void free_tables(host_t *h, backing_t *b, block_t *block) noexcept nogil:
    """After a call that covered the whole block."""
    if block.pmd == PMD_TABLE and h.pt_reclaim:
        block.pmd = PMD_NONE
        b.host_tables -= 1
        give(h, 1)
    if block.ept_table and h.ept_reclaim:
        block.ept_table = 0
        b.ept_tables -= 1
        give(h, 1)

cdef inline void forget_lazy(backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Pages lose their frames: they are no lazily freed ones any more."""
    if b.lazy != NULL:
        b.lazy_pages -= popcount(b.lazy[i].pages[w] & pages)
        b.lazy[i].pages[w] &= ~pages

cdef inline void zap_huge(host_t *h, backing_t *b, uint64_t i) noexcept nogil:
    """Remove a whole huge entry and free its folio."""
    cdef block_t *block = &b.blocks[i]
    cdef int w
    for w in range(BLOCK_WORDS):
        forget_lazy(b, i, w, ~<uint64_t>0)
    if b.aged != NULL:
        lru_del_huge(b, i)
    fill_block(block.present, 0)
    fill_block(block.ept, 0)
    fill_block(block.gone, ~<uint64_t>0)
    block.ept_huge = 0
    block.pmd = PMD_NONE
    block.folio = FOLIO_SMALL
    b.rss_pages -= BLOCK_PAGES
    b.held_frames -= BLOCK_PAGES
    b.huge_blocks -= 1
    b.host_tables -= h.thp_deposit
    give(h, BLOCK_PAGES + h.thp_deposit)

cdef inline void split_pmd(host_t *h, backing_t *b, uint64_t i) noexcept nogil:
    """Turn a huge entry into a table; the notifier takes the whole block out of the second level."""
    cdef block_t *block = &b.blocks[i]
    block.pmd = PMD_TABLE
    block.folio = FOLIO_HUGE_PARTIAL
    block.ept_huge = 0
    fill_block(block.ept, 0)
    b.huge_blocks -= 1
    b.n.thp_splits += 1
    h.vm.thp_split_pmd += 1
    enqueue_deferred(h, b, <unsigned int>i)
    if b.aged != NULL:
        lru_split_huge(b, i)

cdef inline int64_t zap_swapped(host_t *h, backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Discard pages of a word that live in swap: slots are free at once and nothing is read. Returns their number."""
    cdef int64_t n
    pages &= b.aged[i].swapped[w]
    if pages == 0:
        return 0
    n = popcount(pages)
    forget_swapped(h, b, i, w, pages)
    b.blocks[i].gone[w] |= pages
    b.n.discarded_swapped += n
    return n

cdef inline int64_t zap_words(host_t *h, backing_t *b, uint64_t i, const uint64_t *pages) noexcept nogil:
    """Remove the 4K entries, and those of swapped pages, of the pages whose bits are set; returns the number of all."""
    cdef block_t *block = &b.blocks[i]
    cdef int64_t removed = 0, of_folio = 0, swapped = 0, freed
    cdef uint64_t hit
    cdef int w
    for w in range(BLOCK_WORDS):
        hit = block.present[w] & pages[w]
        if b.aged != NULL and pages[w]:
            swapped += zap_swapped(h, b, i, w, pages[w])
            if hit:
                lru_del(b, i, w, hit)
                drop_copies(h, b, i, w, hit)
        if hit:
            removed += popcount(hit)
            if block.folio == FOLIO_HUGE_PARTIAL:
                of_folio += popcount(hit & ~block.gone[w])
            block.present[w] &= ~hit
            block.ept[w] &= ~hit
            block.gone[w] |= hit
            forget_lazy(b, i, w, hit)
    freed = removed - of_folio
    b.deferred_frames += of_folio
    if of_folio and folio_mapped(block) == 0:
        dequeue_deferred(b, block)
        block.folio = FOLIO_SMALL
        b.deferred_frames -= BLOCK_PAGES
        freed += BLOCK_PAGES
    b.rss_pages -= removed
    b.held_frames -= freed
    h.freed_small += freed
    give(h, freed)
    return removed + swapped

cdef inline int64_t zap_small(host_t *h, backing_t *b, uint64_t i, int lo, int hi) noexcept nogil:
    """Remove the 4K entries of pages lo .. hi - 1, and those of swapped pages; returns the number of all."""
    cdef uint64_t pages[BLOCK_WORDS]
    cdef int w
    fill_block(pages, 0)
    for w in range(lo // WORD_PAGES, (hi - 1) // WORD_PAGES + 1):
        pages[w] = span(lo - w * WORD_PAGES if lo > w * WORD_PAGES else 0,
                        hi - w * WORD_PAGES if hi < (w + 1) * WORD_PAGES else WORD_PAGES)
    return zap_words(h, b, i, pages)

cdef inline int64_t zap_block(host_t *h, backing_t *b, uint64_t i, int lo, int hi, bint whole, zap_t *z) noexcept nogil:
    """Remove pages lo .. hi - 1 of block i; whole: one call covers the block. Returns the 4K entries removed."""
    cdef block_t *block = &b.blocks[i]
    cdef int64_t removed = 0, backed
    cdef bint is_split
    if block.pmd == PMD_HUGE and whole:
        zap_huge(h, b, i)
        z.huge += 1
        b.n.discarded_pages += BLOCK_PAGES
    elif block.pmd != PMD_NONE:
        is_split = block.pmd == PMD_HUGE
        if is_split:
            split_pmd(h, b, i)
            z.pmd_splits += 1
        backed = b.rss_pages
        removed = zap_small(h, b, i, lo, hi)
        b.n.discarded_pages += backed - b.rss_pages
        if is_split and not h.thp_deposit:
            if h.frames_free == 0:  # the table needs a frame, and the folio has just given up some
                split_folio(h, b, block)
                z.folio_splits += 1
            b.host_tables += 1
            take(h, 1)
        z.small += removed
    if whole:
        free_tables(h, b, block)
    return removed

cdef inline void zap_call(host_t *h, backing_t *b, uint64_t at, uint64_t end, zap_t *z) noexcept nogil:
    """One madvise call over pages at .. end - 1."""
    cdef int64_t small = 0, huge = z.huge
    cdef int lo, hi
    while at < end:
        lo = at & (BLOCK_PAGES - 1)
        hi = <int>(lo + end - at) if lo + end - at < BLOCK_PAGES else BLOCK_PAGES
        small += zap_block(h, b, at >> BLOCK_ORDER, lo, hi, hi - lo == BLOCK_PAGES, z)
        at += hi - lo
    z.calls += 1
    z.gathers += small > 0 or z.huge > huge
    z.hits += small > 0 or z.huge > huge

cdef inline void zap_singles(host_t *h, backing_t *b, uint64_t at, uint64_t end, zap_t *z) noexcept nogil:
    """One madvise call for each of pages at .. end - 1, a block at a time."""
    cdef int64_t small
    cdef int lo, hi
    while at < end:
        lo = at & (BLOCK_PAGES - 1)
        hi = <int>(lo + end - at) if lo + end - at < BLOCK_PAGES else BLOCK_PAGES
        small = zap_block(h, b, at >> BLOCK_ORDER, lo, hi, False, z)
        z.calls += hi - lo
        z.gathers += small
        z.hits += small
        at += hi - lo

cdef inline void zap_pool(host_t *h, backing_t *b, uint64_t at, uint64_t end, uint64_t call_pages, zap_t *z) noexcept nogil:
    """Holes in hugetlbfs, of call_pages each; one that is none of whole pages is not punched."""
    cdef uint64_t stop
    cdef int64_t n
    while at < end:
        stop = at + call_pages if call_pages < end - at else end
        n = drop_range(h, b, at, stop)
        if n < 0:
            b.n.ignored_pages += stop - at
        else:
            b.n.discard_pages += stop - at
            b.n.discarded_pages += n * b.pool_blocks * BLOCK_PAGES
            z.calls += 1
            z.gathers += n > 0
            z.hits += n > 0
            z.huge += n
        at = stop

cdef inline void backing_discard(
    host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, uint64_t npages, uint64_t call_pages,
    int running_vcpus, double *host_ns, double *stolen_ns,
) noexcept nogil:
    """Discard a range by calls of call_pages each (the last may be shorter), in address order.

    call_pages: 1 for a loop over single pages, npages for one call. running_vcpus: vCPUs of the guest in guest mode.
    The range must lie below npfn, call_pages must not be 0. Adds the VMM thread's kernel time to host_ns and the time
    that running vCPUs lose, summed over them, to stolen_ns. Nothing happens to locked RAM.
    """
    cdef zap_t z
    cdef uint64_t at = pfn, end = at + npages
    cdef int64_t held = b.held_frames
    z.calls = z.gathers = z.hits = z.small = z.huge = z.pmd_splits = z.folio_splits = 0
    if b.locked:
        b.n.ignored_pages += npages
        return
    if b.pool_blocks:
        zap_pool(h, b, at, end, call_pages, &z)
        npages = 0
    elif call_pages == 1:
        zap_singles(h, b, at, end, &z)
    else:
        while at < end:
            zap_call(h, b, at, at + call_pages if call_pages < end - at else end, &z)
            at += call_pages if call_pages < end - at else end - at
    b.n.discard_calls += z.calls
    b.n.discard_pages += npages
    if b.made_of == RAM_SHARED:
        host_ns[0] += <double>z.calls * (c.host_madvise_call_empty + c.host_mmu_notifier_range)
    if not b.pool_blocks:
        host_ns[0] += clear_freed_ns(h, c, held - b.held_frames - z.huge * BLOCK_PAGES) + clear_huge_ns(h, c, z.huge)
    if running_vcpus > 0:
        b.n.flush_exits += z.hits * running_vcpus
    price_zap(c, &z, running_vcpus, host_ns, stolen_ns)

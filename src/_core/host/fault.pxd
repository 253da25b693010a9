"""Second-level faults: a guest touches a page that the second level does not map.

Follows the EPT violation path of KVM (kvm_tdp_mmu_map) and the anonymous fault of the host mm
(do_huge_pmd_anonymous_page, do_anonymous_page), Linux 6.12. Every touch counts as a write; swap, KSM and the shared
zero page are left out. All times are the guest's stall, ns.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hinting._core.common cimport pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.frames cimport can_take, give, huge_frame_exists, take
from hinting._core.host.lazy cimport reclaim_lazy
from hinting._core.host.reclaim cimport reclaim_for
from hinting._core.host.state cimport (
    BLOCK_ORDER,
    BLOCK_PAGES,
    DIRECTORY_EPT,
    DIRECTORY_HOST,
    DIRECTORY_ORDER,
    FOLIO_HUGE,
    HOST_NOMEM,
    HOST_OK,
    PMD_HUGE,
    PMD_NONE,
    PMD_TABLE,
    WORD_PAGES,
    backing_t,
    block_t,
    host_t,
)
from hinting._core.host.words cimport fill_block, first_bit, popcount, popcount_block, span

cdef inline bint backing_is_mapped(const backing_t *b, pfn_t pfn) noexcept nogil:
    """Whether the guest can touch the page without an exit."""
    return b.blocks[pfn >> BLOCK_ORDER].ept[pfn >> 6 & 7] >> (pfn & 63) & 1

cdef inline bint backing_is_present(const backing_t *b, pfn_t pfn) noexcept nogil:
    """Whether the page has a frame."""
    return b.blocks[pfn >> BLOCK_ORDER].present[pfn >> 6 & 7] >> (pfn & 63) & 1

cdef inline double fault_4k_ns(const costs_t *c) noexcept nogil:
    """Fault that takes one frame: what fault.ept_4k_total sums up."""
    return (
        c.virt_vm_exit_entry
        + c.fault_gup_path_4k
        + c.guest_pcp_alloc_hit
        + c.fault_memcg_charge
        + c.mem_clear_4k
        + c.fault_tdp_map
    )

cdef inline double fault_2m_ns(const costs_t *c) noexcept nogil:
    """Fault that takes a huge frame: what fault.ept_2m_total sums up (its allocation includes the charge)."""
    return c.virt_vm_exit_entry + c.fault_gup_path_4k + c.fault_thp_alloc + c.mem_clear_2m + c.fault_tdp_map

cdef inline double fault_map_ns(const costs_t *c) noexcept nogil:
    """Fault on a page that has a frame."""
    return c.virt_vm_exit_entry + c.fault_tdp_map

cdef inline int directories_missing(const backing_t *b, pfn_t pfn, int levels) noexcept nogil:
    """Page directories, of the levels DIRECTORY_*, that a mapping of the page still needs."""
    levels &= ~b.directories[pfn >> DIRECTORY_ORDER]
    return ((levels & DIRECTORY_HOST) != 0) + ((levels & DIRECTORY_EPT) != 0)

cdef inline void add_directories(backing_t *b, pfn_t pfn, int levels) noexcept nogil:
    levels &= ~b.directories[pfn >> DIRECTORY_ORDER]
    b.host_tables += (levels & DIRECTORY_HOST) != 0
    b.ept_tables += (levels & DIRECTORY_EPT) != 0
    b.directories[pfn >> DIRECTORY_ORDER] |= levels

cdef inline void written(backing_t *b, pfn_t pfn, uint64_t pages) noexcept nogil:
    """Lazily freed pages of the word of pfn are ordinary ones again: a touch counts as a write."""
    cdef uint64_t *lazy
    if b.lazy != NULL:
        lazy = &b.lazy[pfn >> BLOCK_ORDER].pages[pfn >> 6 & 7]
        b.lazy_pages -= popcount(lazy[0] & pages)
        lazy[0] &= ~pages

cdef inline void block_written(backing_t *b, pfn_t pfn) noexcept nogil:
    if b.lazy != NULL:
        b.lazy_pages -= popcount_block(b.lazy[pfn >> BLOCK_ORDER].pages)
        fill_block(b.lazy[pfn >> BLOCK_ORDER].pages, 0)

cdef inline void map_2m(host_t *h, backing_t *b, block_t *block) noexcept nogil:
    """Install a 2M second-level entry; a table in its place is freed."""
    fill_block(block.ept, ~<uint64_t>0)
    block.ept_huge = 1
    if block.ept_table:
        block.ept_table = 0
        b.ept_tables -= 1
        give(h, 1)

cdef inline void map_4k(backing_t *b, block_t *block, pfn_t pfn) noexcept nogil:
    """Install a 4K second-level entry; its table page was taken before."""
    block.ept[pfn >> 6 & 7] |= <uint64_t>1 << (pfn & 63)
    b.ept_tables += not block.ept_table
    block.ept_table = 1

cdef inline int fault_map(host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, double *ns) noexcept nogil:
    """The page has a frame: only the second-level entry is missing."""
    cdef block_t *block = &b.blocks[pfn >> BLOCK_ORDER]
    cdef bint is_huge = block.pmd == PMD_HUGE
    cdef int64_t tables = directories_missing(b, pfn, DIRECTORY_EPT) + (not is_huge and not block.ept_table)
    if reclaim_for(h, c, tables, ns) != HOST_OK:
        return HOST_NOMEM
    take(h, tables)
    add_directories(b, pfn, DIRECTORY_EPT)
    if is_huge:
        map_2m(h, b, block)
        block_written(b, pfn)
    else:
        map_4k(b, block, pfn)
        written(b, pfn, <uint64_t>1 << (pfn & 63))
    b.n.map_faults += 1
    ns[0] += fault_map_ns(c)
    return HOST_OK

cdef inline bint fault_2m(host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, double *ns) noexcept nogil:
    """Try to back the block with a huge frame; False means that the fault falls back to one page."""
    cdef uint32_t i = pfn >> BLOCK_ORDER
    cdef block_t *block = &b.blocks[i]
    cdef int64_t tables = directories_missing(b, pfn, DIRECTORY_HOST | DIRECTORY_EPT) + h.thp_deposit
    block.thp_attempts += 1
    if not can_take(h, BLOCK_PAGES + tables):
        reclaim_lazy(h, c, h.wmark_min + BLOCK_PAGES + tables, ns)
    if not can_take(h, BLOCK_PAGES + tables) or not huge_frame_exists(h, b, i, block.thp_attempts):
        b.n.thp_fallbacks += 1
        h.vm.thp_fault_fallback += 1
        if h.thp_defrag:
            ns[0] += c.fault_thp_alloc_high
        return False
    take(h, BLOCK_PAGES + tables)
    add_directories(b, pfn, DIRECTORY_HOST | DIRECTORY_EPT)
    b.host_tables += h.thp_deposit
    b.n.refaulted_pages += popcount_block(block.gone)
    fill_block(block.gone, 0)
    fill_block(block.present, ~<uint64_t>0)
    block.pmd = PMD_HUGE
    block.folio = FOLIO_HUGE
    map_2m(h, b, block)
    b.rss_pages += BLOCK_PAGES
    b.held_frames += BLOCK_PAGES
    b.huge_blocks += 1
    b.n.faults_2m += 1
    h.vm.pgfault += 1
    h.vm.thp_fault_alloc += 1
    ns[0] += fault_2m_ns(c)
    return True

cdef inline void back_page(host_t *h, backing_t *b, block_t *block, int w, uint64_t bit) noexcept nogil:
    """Give a page its frame, which was taken before."""
    block.present[w] |= bit
    b.rss_pages += 1
    b.held_frames += 1
    b.n.faults_4k += 1
    b.n.refaulted_pages += (block.gone[w] & bit) != 0
    h.vm.pgfault += 1

cdef inline int fault_4k(host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, double *ns) noexcept nogil:
    """Back one page."""
    cdef block_t *block = &b.blocks[pfn >> BLOCK_ORDER]
    cdef uint64_t bit = <uint64_t>1 << (pfn & 63)
    cdef int w = pfn >> 6 & 7
    cdef int64_t tables = directories_missing(b, pfn, DIRECTORY_HOST | DIRECTORY_EPT)
    tables += (block.pmd == PMD_NONE) + (not block.ept_table)
    if reclaim_for(h, c, 1 + tables, ns) != HOST_OK:
        return HOST_NOMEM
    take(h, 1 + tables)
    add_directories(b, pfn, DIRECTORY_HOST | DIRECTORY_EPT)
    if block.pmd == PMD_NONE:
        block.pmd = PMD_TABLE
        b.host_tables += 1
    back_page(h, b, block, w, bit)
    map_4k(b, block, pfn)
    ns[0] += fault_4k_ns(c)
    return HOST_OK

cdef inline int backing_fault(host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, double *ns) noexcept nogil:
    """Handle the second-level fault of one page that is not mapped; adds the guest's stall to ns.

    A block whose host page table is a TABLE cannot take a huge fault, even if all its entries are empty. Returns
    HOST_OK, or HOST_NOMEM if somebody has to be killed; the fault can then be repeated.
    """
    cdef uint64_t i = pfn >> BLOCK_ORDER
    if backing_is_present(b, pfn):
        return fault_map(h, b, c, pfn, ns)
    if b.blocks[i].pmd == PMD_NONE and h.thp and (i + 1) << BLOCK_ORDER <= b.npfn and fault_2m(h, b, c, pfn, ns):
        return HOST_OK
    return fault_4k(h, b, c, pfn, ns)

cdef inline int backing_touch_page(host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, double *ns) noexcept nogil:
    """Touch one page: as backing_touch, with a short way for a page of a block that has both tables."""
    cdef block_t *block = &b.blocks[pfn >> BLOCK_ORDER]
    cdef uint64_t bit = <uint64_t>1 << (pfn & 63)
    cdef int w = pfn >> 6 & 7
    if block.ept[w] & bit:
        return HOST_OK
    if block.pmd != PMD_TABLE or not block.ept_table or block.present[w] & bit or not can_take(h, 1):
        return backing_fault(h, b, c, pfn, ns)
    take(h, 1)
    back_page(h, b, block, w, bit)
    block.ept[w] |= bit
    ns[0] += fault_4k_ns(c)
    return HOST_OK

cdef inline void fault_word(
    host_t *h, backing_t *b, const costs_t *c, block_t *block, pfn_t pfn, uint64_t missing, double *ns
) noexcept nogil:
    """Faults of many pages of the word of pfn at once, where both tables exist and frames are plenty."""
    cdef int w = pfn >> 6 & 7
    cdef int64_t taken = popcount(missing & ~block.present[w])
    cdef int64_t mapped = popcount(missing & block.present[w])
    take(h, taken)
    b.rss_pages += taken
    b.held_frames += taken
    b.n.faults_4k += taken
    b.n.map_faults += mapped
    b.n.refaulted_pages += popcount(missing & ~block.present[w] & block.gone[w])
    h.vm.pgfault += taken
    block.present[w] |= missing
    block.ept[w] |= missing
    written(b, pfn, missing)
    ns[0] += <double>taken * fault_4k_ns(c) + <double>mapped * fault_map_ns(c)

cdef inline int backing_touch(
    host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, uint64_t npages, double *ns
) noexcept nogil:
    """Touch a range in address order, faulting where it is not mapped; adds the guest's stall to ns.

    The range must lie below npfn. HOST_NOMEM stops at the page that could not be had; the same call again goes on
    from there.
    """
    cdef uint64_t at = pfn, end = at + npages, wanted, todo
    cdef block_t *block
    cdef int w, lo, hi, bit
    while at < end:
        block = &b.blocks[at >> BLOCK_ORDER]
        if block.ept_huge:
            at = (at | (BLOCK_PAGES - 1)) + 1
            continue
        w = at >> 6 & 7
        lo = at & 63
        hi = <int>(lo + end - at) if lo + end - at < WORD_PAGES else WORD_PAGES
        wanted = span(lo, hi)
        while True:
            todo = wanted & ~block.ept[w]
            if todo == 0:
                break
            if block.pmd == PMD_TABLE and block.ept_table and can_take(h, popcount(todo & ~block.present[w])):
                fault_word(h, b, c, block, <pfn_t>at, todo, ns)
                break
            bit = first_bit(todo)
            if backing_fault(h, b, c, <pfn_t>((at & ~<uint64_t>63) + bit), ns) != HOST_OK:
                return HOST_NOMEM
            wanted &= ~((<uint64_t>2 << bit) - 1)
        at += hi - lo
    return HOST_OK

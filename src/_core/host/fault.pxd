"""Second-level faults: a guest touches a page that the second level does not map.

Follows the EPT violation path of KVM (kvm_tdp_mmu_map) and the anonymous fault of the host mm
(do_huge_pmd_anonymous_page, do_anonymous_page, do_swap_page), Linux 6.12. A first touch always counts as a write; KSM
and the shared zero page are left out. All times are the guest's stall, ns.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hinting._core.common cimport pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.cgroup cimport can_have
from hinting._core.host.frames cimport can_take, give, huge_frame_exists, take
from hinting._core.host.hugetlb cimport fill_page, may_take_page, take_page
from hinting._core.host.lazy cimport reclaim_lazy
from hinting._core.host.lru cimport lru_add, lru_add_huge
from hinting._core.host.reclaim cimport frames_for, look_at_high
from hinting._core.host.reclaim_state cimport INACTIVE
from hinting._core.host.state cimport (
    BLOCK_ORDER,
    BLOCK_PAGES,
    DIRECTORY_EPT,
    DIRECTORY_HOST,
    DIRECTORY_ORDER,
    FOLIO_HUGE,
    HOST_AGAIN,
    HOST_NOMEM,
    HOST_OK,
    PMD_HUGE,
    PMD_NONE,
    EFFECT_FALSE_READ,
    EFFECT_STALE_READ,
    PMD_TABLE,
    TOUCH_DISK,
    TOUCH_WHOLE,
    TOUCH_WRITES,
    WORD_PAGES,
    backing_t,
    block_t,
    host_t,
)
from hinting._core.host.swapin cimport is_cached, is_swapped, swap_fault_ns, swap_in
from hinting._core.host.swapcache cimport drop_copies, forget_swapped, settle_writes, time_of
from hinting._core.host.words cimport fill_block, first_bit, popcount, popcount_block, span

cdef inline bint backing_is_mapped(const backing_t *b, pfn_t pfn) noexcept nogil:
    """Whether the guest can touch the page without an exit."""
    return b.blocks[pfn >> BLOCK_ORDER].ept[pfn >> 6 & 7] >> (pfn & 63) & 1

cdef inline bint backing_is_present(const backing_t *b, pfn_t pfn) noexcept nogil:
    """Whether the page has a frame."""
    return b.blocks[pfn >> BLOCK_ORDER].present[pfn >> 6 & 7] >> (pfn & 63) & 1

cdef inline double fault_4k_ns(const host_t *h, const costs_t *c) noexcept nogil:
    """Fault that takes one frame: what fault.ept_4k_total sums up, less the clearing if freed frames are clear."""
    return (
        c.virt_vm_exit_entry
        + c.fault_gup_path_4k
        + c.guest_pcp_alloc_hit
        + c.fault_memcg_charge
        + (0 if h.init_on_free else c.mem_clear_4k)
        + c.fault_tdp_map
    )

cdef inline double fault_2m_ns(const host_t *h, const costs_t *c) noexcept nogil:
    """Fault that takes a huge frame: what fault.ept_2m_total sums up (its allocation includes the charge)."""
    return (c.virt_vm_exit_entry + c.fault_gup_path_4k + c.fault_thp_alloc + (0 if h.init_on_free else c.mem_clear_2m)
            + c.fault_tdp_map)

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

cdef inline void written(backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Lazily freed pages of a word are ordinary ones again: a touch counts as a write."""
    if b.lazy != NULL:
        b.lazy_pages -= popcount(b.lazy[i].pages[w] & pages)
        b.lazy[i].pages[w] &= ~pages

cdef inline void block_written(backing_t *b, uint64_t i) noexcept nogil:
    if b.lazy != NULL:
        b.lazy_pages -= popcount_block(b.lazy[i].pages)
        fill_block(b.lazy[i].pages, 0)

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

cdef inline void note_access(
    host_t *h, backing_t *b, const costs_t *c, uint64_t i, int w, uint64_t pages, int flags, double *ns
) noexcept nogil:
    """The guest touches mapped pages of a word. The first write to a page whose copy is valid faults."""
    cdef int64_t slots = b.swap_slots
    b.aged[i].accessed[w] |= pages
    if flags & TOUCH_WRITES:
        drop_copies(h, b, i, w, pages)
        ns[0] += <double>(slots - b.swap_slots) * fault_map_ns(c)

cdef inline int fault_map(host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, double *ns) noexcept nogil:
    """The page has a frame: only the second-level entry is missing. HOST_AGAIN if reclaim took the page meanwhile."""
    cdef block_t *block = &b.blocks[pfn >> BLOCK_ORDER]
    cdef int64_t tables
    while True:
        tables = directories_missing(b, pfn, DIRECTORY_EPT) + (block.pmd != PMD_HUGE and not block.ept_table)
        if tables == 0 or can_have(h, b, tables):
            break
        if frames_for(h, b, c, tables, ns) != HOST_OK:
            return HOST_NOMEM
        if not backing_is_present(b, pfn):
            return HOST_AGAIN
    take(h, tables)
    add_directories(b, pfn, DIRECTORY_EPT)
    if block.pmd == PMD_HUGE:
        map_2m(h, b, block)
        block_written(b, pfn >> BLOCK_ORDER)
    else:
        map_4k(b, block, pfn)
        written(b, pfn >> BLOCK_ORDER, pfn >> 6 & 7, <uint64_t>1 << (pfn & 63))
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
    if not can_have(h, b, BLOCK_PAGES + tables) or not huge_frame_exists(h, b, i, block.thp_attempts):
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
    if b.aged != NULL:
        lru_add_huge(b, i, INACTIVE)
        b.aged[i].accessed[pfn >> 6 & 7] |= <uint64_t>1 << (pfn & 63)
    h.vm.pgfault += 1
    h.vm.thp_fault_alloc += 1
    ns[0] += fault_2m_ns(h, c)
    return True

cdef inline int fault_pool(host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, double *ns) noexcept nogil:
    """Back a page of the host's pool; HOST_NOMEM and no_page if it has none left for this guest."""
    cdef uint64_t i = pfn >> BLOCK_ORDER & ~<uint64_t>(b.pool_blocks - 1)
    cdef int64_t tables = directories_missing(b, pfn, DIRECTORY_HOST | DIRECTORY_EPT) if b.pool_blocks == 1 else 0
    if not may_take_page(h, b, i):
        b.no_page = True
        return HOST_NOMEM
    if frames_for(h, b, c, tables, ns) != HOST_OK:
        return HOST_NOMEM
    take(h, tables)
    if tables:
        add_directories(b, pfn, DIRECTORY_HOST | DIRECTORY_EPT)
    take_page(h, b, i)
    fill_page(b, i)
    h.vm.pgfault += 1
    ns[0] += c.virt_vm_exit_entry + c.fault_gup_path_4k + <double>b.pool_blocks * c.mem_clear_2m + c.fault_tdp_map
    return HOST_OK

cdef inline void back_pages(host_t *h, backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Give pages of a word their frames, which were taken before."""
    cdef block_t *block = &b.blocks[i]
    cdef int64_t n = popcount(pages)
    block.present[w] |= pages
    b.rss_pages += n
    b.held_frames += n
    b.n.faults_4k += n
    b.n.refaulted_pages += popcount(pages & block.gone[w])
    h.vm.pgfault += n
    if b.aged != NULL:
        lru_add(b, i, w, pages, INACTIVE)
        b.aged[i].accessed[w] |= pages

cdef inline int fault_4k(host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, double *ns) noexcept nogil:
    """Back one page."""
    cdef block_t *block = &b.blocks[pfn >> BLOCK_ORDER]
    cdef uint64_t bit = <uint64_t>1 << (pfn & 63)
    cdef int w = pfn >> 6 & 7
    cdef int64_t tables = directories_missing(b, pfn, DIRECTORY_HOST | DIRECTORY_EPT)
    tables += (block.pmd == PMD_NONE) + (not block.ept_table)
    if frames_for(h, b, c, 1 + tables, ns) != HOST_OK:
        return HOST_NOMEM
    take(h, 1 + tables)
    add_directories(b, pfn, DIRECTORY_HOST | DIRECTORY_EPT)
    if block.pmd == PMD_NONE:
        block.pmd = PMD_TABLE
        b.host_tables += 1
    back_pages(h, b, pfn >> BLOCK_ORDER, w, bit)
    map_4k(b, block, pfn)
    ns[0] += fault_4k_ns(h, c)
    return HOST_OK

cdef inline bint needs_no_read(const host_t *h, int flags) noexcept nogil:
    """Whether the host is told that a swapped page is overwritten, so that it need not read it."""
    if flags & TOUCH_WHOLE:
        return not h.effects & EFFECT_FALSE_READ
    return flags & TOUCH_DISK and not h.effects & EFFECT_STALE_READ

cdef inline int fault_swap(
    host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, int flags, double *ns
) noexcept nogil:
    """The page is in swap: read it, or find it in the swap cache."""
    cdef block_t *block = &b.blocks[pfn >> BLOCK_ORDER]
    cdef int64_t need
    cdef double waited
    while True:
        settle_writes(h, time_of(h, ns))
        need = directories_missing(b, pfn, DIRECTORY_EPT) + (not block.ept_table) + (not is_cached(b, pfn))
        if need == 0 or can_have(h, b, need):
            break
        if frames_for(h, b, c, need, ns) != HOST_OK:
            return HOST_NOMEM
    take(h, need - (not is_cached(b, pfn)))
    waited = h.reclaim.waited
    swap_in(h, b, pfn, flags, swap_fault_ns(c), ns)
    b.swap_stall += h.reclaim.waited - waited
    add_directories(b, pfn, DIRECTORY_EPT)
    map_4k(b, block, pfn)
    return HOST_OK

cdef inline int vmm_read(host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, double *ns) noexcept nogil:
    """The VMM reads a page that is in swap: it has a frame again, and no second-level entry."""
    while True:
        settle_writes(h, time_of(h, ns))
        if is_cached(b, pfn) or can_have(h, b, 1):
            break
        if frames_for(h, b, c, 1, ns) != HOST_OK:
            return HOST_NOMEM
    swap_in(h, b, pfn, 0, c.swap_in_cpu_4k, ns)
    return HOST_OK

cdef inline int backing_fault(host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, int flags, double *ns) noexcept nogil:
    """Handle the second-level fault of one page that is not mapped; adds the guest's stall to ns.

    A block whose host page table is a TABLE cannot take a huge fault, even if all its entries are empty. Returns
    HOST_OK, or HOST_NOMEM if somebody has to be killed; the fault can then be repeated.
    """
    cdef uint64_t i = pfn >> BLOCK_ORDER
    cdef int w = pfn >> 6 & 7
    cdef int result
    if b.locked_until > time_of(h, ns):
        ns[0] += <double>(b.locked_until - time_of(h, ns))
    if backing_is_present(b, pfn):
        result = fault_map(h, b, c, pfn, ns)
        if result == HOST_OK and b.aged != NULL:
            note_access(h, b, c, i, w, <uint64_t>1 << (pfn & 63), flags, ns)
        if result != HOST_AGAIN:
            return result
    if is_swapped(b, pfn):
        if not needs_no_read(h, flags):
            return fault_swap(h, b, c, pfn, flags, ns)
        forget_swapped(h, b, i, w, <uint64_t>1 << (pfn & 63))
    if b.blocks[i].pmd == PMD_NONE:
        if b.pool_blocks:
            return fault_pool(h, b, c, pfn, ns)
        if b.thp and (i + 1) << BLOCK_ORDER <= b.npfn and fault_2m(h, b, c, pfn, ns):
            return HOST_OK
    return fault_4k(h, b, c, pfn, ns)

cdef inline int backing_touch_page(
    host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, int flags, double *ns
) noexcept nogil:
    """Touch one page: as backing_touch, with a short way for a page of a block that has both tables."""
    cdef uint64_t i = pfn >> BLOCK_ORDER, bit = <uint64_t>1 << (pfn & 63)
    cdef block_t *block = &b.blocks[i]
    cdef int w = pfn >> 6 & 7
    if block.ept[w] & bit:
        if b.aged != NULL:
            note_access(h, b, c, i, w, bit, flags, ns)
        return HOST_OK
    if block.pmd != PMD_TABLE or not block.ept_table or block.present[w] & bit or is_swapped(b, pfn) or not can_have(h, b, 1):
        return backing_fault(h, b, c, pfn, flags, ns)
    take(h, 1)
    back_pages(h, b, i, w, bit)
    block.ept[w] |= bit
    ns[0] += fault_4k_ns(h, c)
    if b.limited:
        look_at_high(h, b, c, ns)
    return HOST_OK

cdef inline void fault_word(
    host_t *h, backing_t *b, const costs_t *c, uint64_t i, int w, uint64_t missing, int flags, double *ns
) noexcept nogil:
    """Faults of many pages of a word at once, where both tables exist, frames are plenty and none is swapped."""
    cdef block_t *block = &b.blocks[i]
    cdef uint64_t present = missing & block.present[w]
    cdef int64_t taken = popcount(missing & ~present), mapped = popcount(present)
    take(h, taken)
    b.n.map_faults += mapped
    if b.aged != NULL:
        note_access(h, b, c, i, w, present, flags, ns)
    back_pages(h, b, i, w, missing & ~present)
    block.ept[w] |= missing
    written(b, i, w, missing)
    ns[0] += <double>taken * fault_4k_ns(h, c) + <double>mapped * fault_map_ns(c)

cdef inline int backing_touch(
    host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, uint64_t npages, int flags, double *ns
) noexcept nogil:
    """Touch a range in address order, faulting where it is not mapped; adds the guest's stall to ns.

    The range must lie below npfn. flags: TOUCH_*. HOST_NOMEM stops at the page that could not be had; the same call
    again goes on from there.
    """
    cdef uint64_t at = pfn, end = at + npages, wanted, todo, i, swapped
    cdef block_t *block
    cdef int w, lo, hi, bit
    while at < end:
        i = at >> BLOCK_ORDER
        block = &b.blocks[i]
        w = at >> 6 & 7
        if block.ept_huge:
            if b.aged != NULL:
                note_access(h, b, c, i, w, <uint64_t>1 << (at & 63), flags, ns)
            at = (at | (BLOCK_PAGES - 1)) + 1
            continue
        lo = at & 63
        hi = <int>(lo + end - at) if lo + end - at < WORD_PAGES else WORD_PAGES
        wanted = span(lo, hi)
        if b.aged != NULL and wanted & block.ept[w]:
            note_access(h, b, c, i, w, wanted & block.ept[w], flags, ns)
        while True:
            todo = wanted & ~block.ept[w]
            if todo == 0:
                break
            swapped = b.aged[i].swapped[w] if b.aged != NULL else 0
            if (block.pmd == PMD_TABLE and block.ept_table and todo & swapped == 0
                    and can_have(h, b, popcount(todo & ~block.present[w]))):
                fault_word(h, b, c, i, w, todo, flags, ns)
                break
            bit = first_bit(todo)
            if backing_fault(h, b, c, <pfn_t>((at & ~<uint64_t>63) + bit), flags, ns) != HOST_OK:
                return HOST_NOMEM
            wanted &= ~((<uint64_t>2 << bit) - 1)
        if b.limited:
            look_at_high(h, b, c, ns)
        at += hi - lo
    return HOST_OK

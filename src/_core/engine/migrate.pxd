"""Moving pages in use out of a range of a guest's memory, as alloc_contig_range's migration does.

Pages of processes and movable pages of kernel slots move: each gets a new page from the allocator, is copied, and its
old place is isolated. Who owns a page is found by looking through all mappings, as there is no reverse map here. A huge
page moves whole or not at all.
"""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport NO_PFN, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, pfn_t
from hinting._core.engine.charge cimport charge_kernel
from hinting._core.engine.machine cimport machine_t, slot_t, vcpu_t
from hinting._core.engine.memory cimport get_pages, use_pages
from hinting._core.engine.process cimport PTE_HUGE, TABLE_PAGES, process_t, region_t
from hinting._core.mm.pages cimport TAG_ISOLATED, TAG_KIND, TAG_MOVABLE, tag_clear, tag_get, tag_set

cdef inline pfn_t move_block(machine_t *g, vcpu_t *v, int cpu, pfn_t pfn, int order, uint32_t gfp) noexcept nogil:
    """Give a block in use a new place; NO_PFN if there is none."""
    cdef pfn_t new = get_pages(g, v, cpu, order, gfp)
    if new == NO_PFN:
        return NO_PFN
    tag_set(g.mm, new, order, tag_get(g.mm, pfn, order) & TAG_KIND)
    charge_kernel(g, v, g.costs.mem_copy_4k * (1 << order))
    use_pages(g, v, cpu, new, <int64_t>1 << order)
    tag_clear(g.mm, pfn, order)
    tag_set(g.mm, pfn, order, TAG_ISOLATED)
    return new

cdef inline int64_t move_region(
    machine_t *g, vcpu_t *v, int cpu, region_t *r, pfn_t first, pfn_t end,
) noexcept nogil:
    cdef int64_t page = 0, moved = 0
    cdef uint32_t entry
    cdef pfn_t new
    while page < r.pages:
        entry = r.pte[page]
        if entry & PTE_HUGE:
            if first <= (entry & ~<uint32_t>PTE_HUGE) < end:
                new = move_block(g, v, cpu, entry & ~<uint32_t>PTE_HUGE, PAGEBLOCK_ORDER, g.gfp_huge)
                if new != NO_PFN:
                    r.pte[page] = new | PTE_HUGE
                    moved += PAGEBLOCK_PAGES
            page += TABLE_PAGES
            continue
        if page & (TABLE_PAGES - 1) == 0 and r.table[page // TABLE_PAGES] == 0:
            page += TABLE_PAGES
            continue
        if entry and first <= entry < end:
            new = move_block(g, v, cpu, entry, 0, g.gfp_user)
            if new != NO_PFN:
                r.pte[page] = new
                moved += 1
        page += 1
    return moved

cdef inline int64_t move_slot(machine_t *g, vcpu_t *v, int cpu, slot_t *s, pfn_t first, pfn_t end) noexcept nogil:
    cdef int64_t i, moved = 0
    cdef pfn_t new
    for i in range(s.n):
        if not first <= s.pfn[i] < end or not tag_get(g.mm, s.pfn[i], s.order[i]) & TAG_MOVABLE:
            continue
        new = move_block(g, v, cpu, s.pfn[i], s.order[i], g.gfp_user)
        if new != NO_PFN:
            s.pfn[i] = new
            moved += <int64_t>1 << s.order[i]
    return moved

cdef inline int64_t move_range(machine_t *g, vcpu_t *v, int cpu, pfn_t first, int64_t pages) noexcept nogil:
    """Move what is in use in a range whose free pages are isolated; pages that moved. The rest could not."""
    cdef pfn_t end = first + <pfn_t>pages
    cdef uint32_t i, k
    cdef int64_t moved = 0
    cdef process_t *p
    for i in range(g.nr_processes):
        p = &g.process[i]
        if not p.alive:
            continue
        for k in range(p.nr_regions):
            if p.region[k].pte != NULL:
                moved += move_region(g, v, cpu, &p.region[k], first, end)
    for i in range(g.nr_slots):
        moved += move_slot(g, v, cpu, &g.slot[i], first, end)
    return moved

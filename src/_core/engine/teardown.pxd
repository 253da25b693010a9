"""Taking pages out of address spaces: ranges, whole mappings, and all of a process that ends."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport PAGEBLOCK_ORDER, pfn_t
from hinting._core.engine.charge cimport charge_free, charge_kernel, charge_lists, charge_strategy
from hinting._core.engine.machine cimport machine_t, vcpu_t
from hinting._core.engine.process cimport (
    PTE_SHARED,
    TABLE_HUGE,
    TABLE_PAGES,
    drop_process,
    drop_region,
    gather,
    gather_flush,
    process_t,
    region_t,
)
from hinting._core.engine.sharing cimport (
    LEFT_HUGE,
    LEFT_SINGLE,
    PARTS,
    WHOLE,
    count_huge,
    huge_head,
    unmap_counted,
    unmap_whole,
)
from hinting._core.mm.alloc cimport free_pages

cdef inline void split_mapping(machine_t *g, region_t *r, int64_t index) noexcept nogil:
    """A mapping of 2 MiB becomes 512 entries of the table that was kept for this; the huge page stays whole."""
    cdef int64_t base = index * TABLE_PAGES
    cdef pfn_t head = r.pte[base] & ~<uint32_t>PTE_SHARED
    cdef int i
    if not r.pte[base] & PTE_SHARED:
        count_huge(g.mm, head)
    for i in range(TABLE_PAGES):
        r.pte[base + i] = (head + i) | PTE_SHARED
        g.mm.link[head + PARTS].next += g.mm.link[head + i].prev == 0
        g.mm.link[head + i].prev += 1
    g.mm.link[head + WHOLE].next -= 1
    r.table[index] &= ~<uint32_t>TABLE_HUGE
    g.thp_mapping_splits += 1

cdef inline void drop_entry(machine_t *g, int cpu, uint32_t entry) noexcept nogil:
    """A table entry is gone: gather the page if it was the last."""
    cdef pfn_t pfn = entry & ~<uint32_t>PTE_SHARED
    cdef int left = LEFT_SINGLE
    if entry & PTE_SHARED:
        left = unmap_counted(g.mm, &g.split_queue, pfn)
    if left == LEFT_SINGLE:
        gather(g.mm, cpu, &g.gather, pfn, False)
    elif left == LEFT_HUGE:
        gather(g.mm, cpu, &g.gather, huge_head(g.mm, pfn), True)

cdef inline void drop_huge(machine_t *g, vcpu_t *v, int cpu, process_t *p, region_t *r, int64_t index) noexcept nogil:
    """Take a mapping of 2 MiB out; the table kept for its split is freed at once."""
    cdef uint32_t entry = r.pte[index * TABLE_PAGES]
    cdef pfn_t head = entry & ~<uint32_t>PTE_SHARED
    r.pte[index * TABLE_PAGES] = 0
    if not entry & PTE_SHARED or unmap_whole(g.mm, &g.split_queue, head) == LEFT_HUGE:
        gather(g.mm, cpu, &g.gather, head, True)
    free_pages(g.mm, cpu, r.table[index] & ~<uint32_t>TABLE_HUGE, 0)
    r.table[index] = 0
    p.tables -= 1
    p.rss_pages -= TABLE_PAGES
    charge_free(g, v, PAGEBLOCK_ORDER)

cdef inline void unmap_pages(
    machine_t *g, vcpu_t *v, int cpu, process_t *p, region_t *r, int64_t first, int64_t end,
) noexcept nogil:
    """Take pages [first, end) of a mapping out of it and gather those that nobody else maps; table pages stay."""
    cdef int64_t page = first, base, index, stop
    cdef uint32_t entry
    cdef int64_t n = 0
    while page < end:
        index = page // TABLE_PAGES
        base = index * TABLE_PAGES
        stop = base + TABLE_PAGES if base + TABLE_PAGES < end else end
        if r.table[index] & TABLE_HUGE:
            if page == base and stop == base + TABLE_PAGES:
                drop_huge(g, v, cpu, p, r, index)
                page = stop
                continue
            split_mapping(g, r, index)
        if r.table[index] == 0:
            page = stop
            continue
        while page < stop:
            entry = r.pte[page]
            if entry:
                r.pte[page] = 0
                drop_entry(g, cpu, entry)
                n += 1
            page += 1
    p.rss_pages -= n
    charge_kernel(g, v, n * g.costs.guest_rcu_batch_free_4k)

cdef inline void gather_tables(machine_t *g, int cpu, process_t *p, region_t *r) noexcept nogil:
    """The table and directory pages of a mapping whose pages are out."""
    cdef int64_t i
    for i in range(r.tables + r.directories):
        if r.table[i]:
            gather(g.mm, cpu, &g.gather, r.table[i], False)
            r.table[i] = 0
            p.tables -= 1

cdef inline void flush(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """Free what was gathered, and charge what that cost."""
    gather_flush(g.mm, cpu, &g.gather)
    charge_lists(g, v)
    charge_strategy(g, v)

cdef inline bint unmap_step(machine_t *g, vcpu_t *v, int cpu, process_t *p) noexcept nogil:
    """Unmap one table's worth of a process whose mappings all go; True when all pages are out.

    Each step ends at a scheduling point, as the kernel's teardown has one for each table page.
    """
    cdef region_t *r
    cdef int64_t end
    while p.at_region < p.nr_regions:
        r = &p.region[p.at_region]
        if r.pte == NULL or p.at_page >= r.pages:
            p.at_region += 1
            p.at_page = 0
            continue
        end = p.at_page + TABLE_PAGES
        unmap_pages(g, v, cpu, p, r, p.at_page, end if end < r.pages else r.pages)
        p.at_page = end
        charge_lists(g, v)
        charge_strategy(g, v)
        return False
    return True

cdef inline bint clear_step(machine_t *g, vcpu_t *v, int cpu, process_t *p) noexcept nogil:
    """One step of unmapping everything; True when the address space is empty and its tables are free."""
    cdef uint32_t i
    if not unmap_step(g, v, cpu, p):
        return False
    for i in range(p.nr_regions):
        gather_tables(g, cpu, p, &p.region[i])
    flush(g, v, cpu)
    for i in range(p.nr_regions):
        drop_region(&p.region[i])
    p.at_region = 0
    p.at_page = 0
    return True

cdef inline bint teardown_step(machine_t *g, vcpu_t *v, int cpu, process_t *p) noexcept nogil:
    """One step of a process's end; True when all of it is free, its kernel stack too."""
    cdef int i
    if not clear_step(g, v, cpu, p):
        return False
    for i in range(p.nr_kernel):
        gather(g.mm, cpu, &g.gather, p.kernel[i], False)
    flush(g, v, cpu)
    drop_process(p)
    return True

cdef inline void unmap_region(machine_t *g, vcpu_t *v, int cpu, process_t *p, region_t *r) noexcept nogil:
    """A whole mapping goes, with its tables."""
    unmap_pages(g, v, cpu, p, r, 0, r.pages)
    gather_tables(g, cpu, p, r)
    flush(g, v, cpu)
    drop_region(r)

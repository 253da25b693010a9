"""Processes begin: by a spawn with an empty address space, or by a fork that shares all pages until they are written."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport pfn_t
from hinting._core.engine.charge cimport charge_kernel
from hinting._core.engine.machine cimport SIM_NO_MEMORY, machine_t, vcpu_t
from hinting._core.engine.memory cimport TOUCH_DONE, TOUCH_NO_PAGE, ensure_directory, ensure_table, get_kernel_page
from hinting._core.engine.ops cimport KIND_KERNEL
from hinting._core.engine.process cimport (
    KERNEL_PAGES,
    PTE_SHARED,
    STACK_PAGES,
    TABLE_HUGE,
    TABLE_PAGES,
    map_region,
    process_t,
    region_at,
    region_t,
)
from hinting._core.engine.sharing cimport WHOLE, count_huge

cdef inline int begin_process(machine_t *g, vcpu_t *v, int cpu, process_t *p) noexcept nogil:
    """Kernel stack and first page tables, one page at a time; TOUCH_DONE when all are there."""
    cdef int result
    p.alive = True
    p.busy = True
    while p.nr_kernel < KERNEL_PAGES:
        result = get_kernel_page(
            g, v, cpu, g.gfp_kind[KIND_KERNEL] if p.nr_kernel < STACK_PAGES else g.gfp_table, &p.kernel[p.nr_kernel])
        if result != TOUCH_DONE:
            return result
        p.nr_kernel += 1
    return TOUCH_DONE

cdef inline int64_t share_entries(machine_t *g, region_t *from_r, region_t *to_r, int64_t index) noexcept nogil:
    """Copy one table's entries; each page of it is shared from now on. Returns how many."""
    cdef int64_t page = index * TABLE_PAGES
    cdef int64_t end = page + TABLE_PAGES if page + TABLE_PAGES < from_r.pages else from_r.pages
    cdef uint32_t entry
    cdef int64_t n = 0
    while page < end:
        entry = from_r.pte[page]
        if entry:
            if entry & PTE_SHARED:
                g.mm.link[entry & ~<uint32_t>PTE_SHARED].prev += 1
            else:
                g.mm.link[entry].prev = 2
                entry |= PTE_SHARED
                from_r.pte[page] = entry
            to_r.pte[page] = entry
            n += 1
        page += 1
    return n

cdef inline void share_huge(machine_t *g, region_t *from_r, region_t *to_r, int64_t index) noexcept nogil:
    cdef uint32_t *entry = &from_r.pte[index * TABLE_PAGES]
    cdef pfn_t head = entry[0] & ~<uint32_t>PTE_SHARED
    if not entry[0] & PTE_SHARED:
        count_huge(g.mm, head)
        entry[0] |= PTE_SHARED
    g.mm.link[head + WHOLE].next += 1
    to_r.pte[index * TABLE_PAGES] = entry[0]
    to_r.table[index] |= TABLE_HUGE

cdef inline int fork_table(
    machine_t *g, vcpu_t *v, int cpu, process_t *child, region_t *from_r, region_t *to_r, int64_t index,
) noexcept nogil:
    """One table of the parent: a table page for the child, then its entries."""
    cdef int result = ensure_directory(g, v, cpu, child, to_r, index)
    if result == TOUCH_DONE:
        result = ensure_table(g, v, cpu, child, to_r, index)
    if result != TOUCH_DONE:
        return result
    if from_r.table[index] & TABLE_HUGE:
        share_huge(g, from_r, to_r, index)
        child.rss_pages += TABLE_PAGES
    else:
        child.rss_pages += share_entries(g, from_r, to_r, index)
    charge_kernel(g, v, g.costs.mem_copy_4k)
    return TOUCH_DONE

cdef inline int fork_step(
    machine_t *g, vcpu_t *v, int cpu, process_t *parent, process_t *child, bint *over,
) noexcept nogil:
    """Copy the next table of the parent to the child; over: True when the child is complete."""
    cdef region_t *r
    cdef int result = begin_process(g, v, cpu, child)
    over[0] = False
    if result != TOUCH_DONE:
        return result
    while child.at_region < parent.nr_regions:
        r = &parent.region[child.at_region]
        if r.pte != NULL and region_at(child, child.at_region) == NULL:
            if map_region(child, child.at_region, r.pages, r.thp) != 0:
                g.sim.error = SIM_NO_MEMORY
                return TOUCH_NO_PAGE
        if r.pte == NULL or child.region[child.at_region].pages != r.pages:
            child.at_region += 1        # not there, or another one since this fork began
            child.at_page = 0
            continue
        while child.at_page < r.tables:
            if r.table[child.at_page] == 0:
                child.at_page += 1
                continue
            result = fork_table(g, v, cpu, child, r, &child.region[child.at_region], child.at_page)
            if result == TOUCH_DONE:
                child.at_page += 1
            return result
        child.at_region += 1
        child.at_page = 0
    child.at_region = 0
    over[0] = True
    return TOUCH_DONE

"""A guest's memory in use: pages that are allocated and touched, and what both cost the guest and the host."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport COSTLY_ORDER, NO_PFN, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, pfn_t
from hinting._core.engine.charge cimport advance, charge_kernel, charge_lists
from hinting._core.engine.machine cimport machine_t, vcpu_t
from hinting._core.engine.process cimport PTE_HUGE, TABLE_PAGES, process_t, region_t
from hinting._core.engine.reclaim cimport direct_reclaim, wake_kswapd
from hinting._core.host.fault cimport backing_is_mapped, backing_touch, backing_touch_page
from hinting._core.host.state cimport HOST_OK
from hinting._core.mm.alloc cimport alloc_again, alloc_pages, drain_cpu

cdef enum:
    TOUCH_DONE = 0
    TOUCH_NO_FRAME = 1                  # the host has no frame: repeat once somebody was killed
    TOUCH_NO_PAGE = 2                   # the guest has no page: its OOM killer acts

cdef inline bint use_pages(machine_t *g, vcpu_t *v, pfn_t pfn, int64_t n) noexcept nogil:
    """The guest writes to n pages; False and host_oom if the host has no frame for one of them."""
    cdef double ns = 0
    if n == 1:
        if backing_is_mapped(g.backing, pfn):
            return True
        if backing_touch_page(g.sim.host, g.backing, g.costs, pfn, &ns) != HOST_OK:
            g.host_oom = True
    elif backing_touch(g.sim.host, g.backing, g.costs, pfn, n, &ns) != HOST_OK:
        g.host_oom = True
    g.account.guest_stall += ns
    advance(v, ns)
    return not g.host_oom

cdef inline void charge_alloc(machine_t *g, vcpu_t *v, int order) noexcept nogil:
    charge_lists(g, v)
    if order == PAGEBLOCK_ORDER:
        charge_kernel(g, v, g.costs.guest_buddy_alloc_order9)
    elif g.mm.k.pcp_orders >> order & 1:
        charge_kernel(g, v, g.costs.guest_pcp_alloc_hit)
    else:
        charge_kernel(g, v, g.costs.guest_buddy_alloc_direct)

cdef inline pfn_t get_pages(machine_t *g, vcpu_t *v, int cpu, int order, uint32_t gfp) noexcept nogil:
    """Allocate and charge, with kswapd woken and direct reclaim where the request may wait for it.

    NO_PFN once nothing can be reclaimed and the per-CPU lists were drained: the guest is out of memory.
    """
    cdef pfn_t pfn = alloc_pages(g.mm, cpu, order, gfp)
    cdef int other
    if pfn == NO_PFN and gfp & g.mm.k.gfp_direct_reclaim:
        while direct_reclaim(g, v, cpu):
            pfn = alloc_again(g.mm, cpu, order, gfp)
            if pfn != NO_PFN or order > COSTLY_ORDER:
                break
    if pfn == NO_PFN and order == 0:
        for other in range(g.ncpus):
            drain_cpu(g.mm, other, cpu)
        pfn = alloc_pages(g.mm, cpu, order, gfp)
    if g.mm.kswapd_wanted:
        wake_kswapd(g, v, cpu)
    charge_alloc(g, v, order)
    return pfn

cdef inline int ensure_table(machine_t *g, vcpu_t *v, int cpu, region_t *r, int64_t index) noexcept nogil:
    """The table page of one 2 MiB of a mapping, cleared when it is new."""
    cdef pfn_t pfn
    if r.table[index]:
        return TOUCH_DONE if use_pages(g, v, r.table[index], 1) else TOUCH_NO_FRAME
    pfn = get_pages(g, v, cpu, 0, g.gfp_table)
    if pfn == NO_PFN:
        return TOUCH_NO_PAGE
    r.table[index] = pfn
    charge_kernel(g, v, g.costs.mem_clear_4k)
    return TOUCH_DONE if use_pages(g, v, pfn, 1) else TOUCH_NO_FRAME

cdef inline bint fault_huge(machine_t *g, vcpu_t *v, int cpu, process_t *p, region_t *r, int64_t page) noexcept nogil:
    """Map 2 MiB at once if the guest has a free block for it; the table page kept for its split comes second."""
    cdef pfn_t pfn = get_pages(g, v, cpu, PAGEBLOCK_ORDER, g.gfp_huge)
    if pfn == NO_PFN:
        g.thp_fallbacks += 1
        return False
    r.pte[page] = pfn | PTE_HUGE
    g.thp_faults += 1
    g.touched_pages += PAGEBLOCK_PAGES
    p.rss_pages += PAGEBLOCK_PAGES
    charge_kernel(g, v, g.costs.guest_fault_path_2m + g.costs.mem_clear_2m)
    return True

cdef inline int touch_page(
    machine_t *g, vcpu_t *v, int cpu, process_t *p, region_t *r, int64_t page, int64_t *n,
) noexcept nogil:
    """Write to one page of a mapping, or to the rest of its 2 MiB if that is one huge page; n: pages written."""
    cdef int64_t base = page & ~<int64_t>(TABLE_PAGES - 1)
    cdef int64_t index = page // TABLE_PAGES
    cdef uint32_t entry
    cdef pfn_t pfn
    cdef int result
    n[0] = 0
    if r.thp and g.thp and r.table[index] == 0 and base + TABLE_PAGES <= r.pages and r.pte[base] == 0:
        fault_huge(g, v, cpu, p, r, base)
    entry = r.pte[base]
    if entry & PTE_HUGE:
        result = ensure_table(g, v, cpu, r, index)
        if result != TOUCH_DONE:
            return result
        if not use_pages(g, v, entry & ~<uint32_t>PTE_HUGE, PAGEBLOCK_PAGES):
            return TOUCH_NO_FRAME
        n[0] = base + TABLE_PAGES - page
        return TOUCH_DONE
    if page == base or r.table[index] == 0:
        result = ensure_table(g, v, cpu, r, index)
        if result != TOUCH_DONE:
            return result
    if r.pte[page] == 0:
        pfn = get_pages(g, v, cpu, 0, g.gfp_user)
        if pfn == NO_PFN:
            return TOUCH_NO_PAGE
        r.pte[page] = pfn
        p.rss_pages += 1
        g.touched_pages += 1
        charge_kernel(g, v, g.costs.guest_fault_path_4k + g.costs.mem_clear_4k)
    if not use_pages(g, v, r.pte[page], 1):
        return TOUCH_NO_FRAME
    n[0] = 1
    return TOUCH_DONE

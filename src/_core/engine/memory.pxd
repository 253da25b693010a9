"""A guest's memory in use: pages that are allocated and touched, and what both cost the guest and the host."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport NO_PFN, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, pfn_t
from hinting._core.engine.charge cimport advance, charge_kernel, charge_lists, charge_locked, clear_ns, next_costs
from hinting._core.engine.machine cimport PROGRAM_SLEEPS, machine_t, vcpu_t
from hinting._core.engine.meter cimport note_stall, note_touched, stalls_of
from hinting._core.engine.process cimport DIRECTORY_TABLES, PTE_SHARED, TABLE_HUGE, TABLE_PAGES, process_t, region_t
from hinting._core.engine.reclaim cimport direct_reclaim, wake_kswapd
from hinting._core.engine.sharing cimport huge_head, mappings, sole_whole, unmap_counted, unmap_whole
from hinting._core.engine.teardown cimport split_mapping
from hinting._core.host.fault cimport backing_is_mapped, backing_touch, backing_touch_page
from hinting._core.host.kswapd cimport wake_host_kswapd
from hinting._core.host.migration cimport mark_dirty
from hinting._core.host.state cimport HOST_OK, TOUCH_WHOLE, TOUCH_WRITES
from hinting._core.mm.alloc cimport alloc_reclaiming, free_pages
from hinting._core.mm.slowpath cimport reclaimer_t

cdef enum:
    TOUCH_DONE = 0
    TOUCH_NO_FRAME = 1                  # the host has no frame: repeat once somebody was killed
    TOUCH_NO_PAGE = 2                   # the guest has no page: its OOM killer acts

ctypedef struct asker_t:                # for whom the guest reclaims directly
    machine_t *g
    vcpu_t *v

cdef inline bint use_pages(machine_t *g, vcpu_t *v, int cpu, pfn_t pfn, int64_t n) noexcept nogil:
    """The guest writes to n pages; False and host_oom if the host has no frame for one of them."""
    return touch_pages(g, v, cpu, pfn, n, TOUCH_WRITES)

cdef inline void sleep_in_task(vcpu_t *v, double ns) noexcept nogil:
    """The program waits for a page; the vCPU is free for threads and timers meanwhile."""
    if v.program != PROGRAM_SLEEPS:
        v.program = PROGRAM_SLEEPS
        v.until = v.now
    v.until += <int64_t>ns

cdef inline bint touch_pages(machine_t *g, vcpu_t *v, int cpu, pfn_t pfn, int64_t n, int flags) noexcept nogil:
    """The same for any kind of touch, TOUCH_*."""
    cdef double ns = 0, waited = g.backing.swap_stall, stalled = stalls_of(g)
    cdef int64_t majors = g.backing.n.major_faults
    cdef int64_t refaulted = g.backing.n.refaulted_pages, backed = g.backing.rss_pages
    if g.backing.migration != NULL and flags & TOUCH_WRITES:
        mark_dirty(g.backing.migration, pfn, n)
    if n == 1 and g.backing.aged == NULL and backing_is_mapped(g.backing, pfn):
        return True
    g.sim.host.now = v.now
    if n == 1:
        if backing_touch_page(g.sim.host, g.backing, g.costs, pfn, flags, &ns) != HOST_OK:
            g.host_oom = True
    elif backing_touch(g.sim.host, g.backing, g.costs, pfn, n, flags, &ns) != HOST_OK:
        g.host_oom = True
    wake_host_kswapd(g.sim.host, v.now + <int64_t>g.costs.sched_wakeup_idle_cpu)
    if ns > 0:
        g.account.guest_stall += ns
        note_stall(g, v, stalls_of(g) - stalled)
        waited = g.backing.swap_stall - waited if g.async_pf else 0
        if waited > 0:
            charge_kernel(g, v, (<int64_t>g.backing.n.major_faults - majors) * g.costs.fault_async_pf)
            sleep_in_task(v, waited)
        advance(v, ns - waited)
        refaulted = g.backing.n.refaulted_pages - refaulted
        note_touched(g, v, cpu, pfn, n, ns, refaulted, g.backing.rss_pages - backed)
        next_costs(g)
    return not g.host_oom

cdef inline void populate(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """What an allocation reached into is backed first: a call to the VMM for each 2 MiB, which writes to it."""
    cdef int i, n = g.strategy.nr_populate
    g.strategy.nr_populate = 0
    g.installs += n
    for i in range(n):
        g.account.guest_stall += g.costs.virt_exit_to_user
        advance(v, g.costs.virt_exit_to_user)
        next_costs(g)
        use_pages(g, v, cpu, g.strategy.populate[i], PAGEBLOCK_PAGES)

cdef inline void charge_alloc(machine_t *g, vcpu_t *v, int order) noexcept nogil:
    charge_lists(g, v)
    if order == PAGEBLOCK_ORDER:
        charge_locked(g, v, g.costs.guest_buddy_alloc_order9)
    elif g.mm.k.pcp_orders >> order & 1:
        charge_kernel(g, v, g.costs.guest_pcp_alloc_hit)
    else:
        charge_locked(g, v, g.costs.guest_buddy_alloc_direct)

cdef inline bint reclaim_for(void *self, int cpu) noexcept nogil:
    """The slow path of a request asks for a round of direct reclaim."""
    cdef asker_t *a = <asker_t *>self
    return direct_reclaim(a.g, a.v, cpu)

cdef inline void let_reclaim(reclaimer_t *by, asker_t *asker, machine_t *g, vcpu_t *v) noexcept nogil:
    """Make a reclaimer for requests of a vCPU."""
    asker.g = g
    asker.v = v
    by.reclaim = reclaim_for
    by.self = asker

cdef inline pfn_t get_pages(machine_t *g, vcpu_t *v, int cpu, int order, uint32_t gfp) noexcept nogil:
    """Allocate and charge, with kswapd woken and direct reclaim where the request may wait for it.

    NO_PFN: the request fails, or the guest is out of memory if its kernel would kill for such a request.
    """
    cdef asker_t asker
    cdef reclaimer_t by
    cdef pfn_t pfn
    let_reclaim(&by, &asker, g, v)
    pfn = alloc_reclaiming(g.mm, cpu, order, gfp, &by)
    if pfn == NO_PFN and g.strategy != NULL and g.mm.isolated - g.strategy.gone + g.strategy.withheld > 0:
        g.meter.failed_while_isolated += 1
    if g.mm.kswapd_wanted:
        wake_kswapd(g, v, cpu)
    if g.strategy != NULL and g.strategy.nr_populate:
        populate(g, v, cpu)
    charge_alloc(g, v, order)
    return pfn

cdef inline int get_kernel_page(machine_t *g, vcpu_t *v, int cpu, uint32_t gfp, pfn_t *page) noexcept nogil:
    """A cleared page of the kernel's own, where `page` has none yet."""
    if page[0]:
        return TOUCH_DONE if use_pages(g, v, cpu, page[0], 1) else TOUCH_NO_FRAME
    page[0] = get_pages(g, v, cpu, 0, gfp)
    if page[0] == NO_PFN:
        page[0] = 0
        return TOUCH_NO_PAGE
    if not touch_pages(g, v, cpu, page[0], 1, TOUCH_WRITES | TOUCH_WHOLE):
        return TOUCH_NO_FRAME
    charge_kernel(g, v, clear_ns(g, page[0]))
    return TOUCH_DONE

cdef inline int get_table(machine_t *g, vcpu_t *v, int cpu, process_t *p, pfn_t *page) noexcept nogil:
    cdef bint is_new = page[0] == 0
    cdef int result = get_kernel_page(g, v, cpu, g.gfp_table, page)
    p.tables += is_new and page[0] != 0
    return result

cdef inline int ensure_directory(machine_t *g, vcpu_t *v, int cpu, process_t *p, region_t *r, int64_t index) noexcept nogil:
    """The directory page above a table; the first one belongs to the process."""
    cdef int64_t d = index // DIRECTORY_TABLES
    return get_table(g, v, cpu, p, &r.directory[d]) if d else TOUCH_DONE

cdef inline int ensure_table(machine_t *g, vcpu_t *v, int cpu, process_t *p, region_t *r, int64_t index) noexcept nogil:
    """The table page of one 2 MiB of a mapping, cleared when it is new."""
    cdef pfn_t table = r.table[index] & ~<uint32_t>TABLE_HUGE
    cdef int result = get_table(g, v, cpu, p, &table)
    r.table[index] |= table
    return result

cdef inline pfn_t get_huge(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """A huge page if the guest has a free block for it."""
    cdef pfn_t pfn = get_pages(g, v, cpu, PAGEBLOCK_ORDER, g.gfp_huge)
    if pfn == NO_PFN:
        g.thp_fallbacks += 1
    else:
        g.thp_faults += 1
    return pfn

cdef inline bint fault_huge(machine_t *g, vcpu_t *v, int cpu, process_t *p, region_t *r, int64_t index) noexcept nogil:
    """Map 2 MiB at once if the guest has a free block for it; the table page kept for its split comes second."""
    cdef pfn_t pfn = get_huge(g, v, cpu)
    cdef pfn_t table
    if pfn == NO_PFN:
        return False
    table = get_pages(g, v, cpu, 0, g.gfp_table)
    if table == NO_PFN:
        free_pages(g.mm, cpu, pfn, PAGEBLOCK_ORDER)
        return False
    r.pte[index * TABLE_PAGES] = pfn
    r.table[index] = table | TABLE_HUGE
    p.tables += 1
    p.rss_pages += PAGEBLOCK_PAGES
    g.touched_pages += PAGEBLOCK_PAGES
    g.minor_faults += 1
    charge_kernel(g, v, g.costs.guest_fault_path_2m + g.costs.mem_clear_2m + g.costs.mem_clear_4k)
    return True

cdef inline int own_huge(machine_t *g, vcpu_t *v, int cpu, region_t *r, int64_t index) noexcept nogil:
    """The first write to a shared huge page: the last process keeps it; others split their mapping, and copy by page.

    Kernels before 5.8 copy the whole huge page if they find a free block.
    """
    cdef int64_t base = index * TABLE_PAGES
    cdef pfn_t head = r.pte[base] & ~<uint32_t>PTE_SHARED, copy = NO_PFN
    g.minor_faults += 1
    charge_kernel(g, v, g.costs.guest_fault_path_2m)
    if sole_whole(g.mm, head):
        r.pte[base] = head
        return TOUCH_DONE
    if g.thp_cow_copies:
        copy = get_huge(g, v, cpu)
    if copy == NO_PFN:
        split_mapping(g, r, index)
        return TOUCH_DONE
    unmap_whole(g.mm, &g.split_queue, head)
    r.pte[base] = copy
    g.cow_pages += PAGEBLOCK_PAGES
    charge_kernel(g, v, PAGEBLOCK_PAGES * g.costs.mem_copy_4k)
    return TOUCH_DONE

cdef inline int own_page(machine_t *g, vcpu_t *v, int cpu, region_t *r, int64_t page, int *flags) noexcept nogil:
    """The first write to a counted page: the last process keeps it, others get a copy, written whole."""
    cdef pfn_t pfn = r.pte[page] & ~<uint32_t>PTE_SHARED, copy
    if mappings(g.mm, pfn) == 1:
        if huge_head(g.mm, pfn) == NO_PFN:
            r.pte[page] = pfn
            g.minor_faults += 1
            charge_kernel(g, v, g.costs.guest_fault_path_4k)
        return TOUCH_DONE
    copy = get_pages(g, v, cpu, 0, g.gfp_user)
    if copy == NO_PFN:
        return TOUCH_NO_PAGE
    g.minor_faults += 1
    charge_kernel(g, v, g.costs.guest_fault_path_4k + g.costs.mem_copy_4k)
    unmap_counted(g.mm, &g.split_queue, pfn)
    r.pte[page] = copy
    flags[0] |= TOUCH_WHOLE
    g.cow_pages += 1
    return TOUCH_DONE

cdef inline int touch_huge(
    machine_t *g, vcpu_t *v, int cpu, process_t *p, region_t *r, int64_t index, int flags, bint *still_huge,
) noexcept nogil:
    """Write to a huge page; still_huge: False if its mapping had to be split."""
    cdef int result = ensure_table(g, v, cpu, p, r, index)
    if result == TOUCH_DONE and r.pte[index * TABLE_PAGES] & PTE_SHARED:
        result = own_huge(g, v, cpu, r, index)
    still_huge[0] = (r.table[index] & TABLE_HUGE) != 0
    if result == TOUCH_DONE and still_huge[0] and not touch_pages(
            g, v, cpu, r.pte[index * TABLE_PAGES], PAGEBLOCK_PAGES, flags):
        result = TOUCH_NO_FRAME
    return result

cdef inline int touch_page(
    machine_t *g, vcpu_t *v, int cpu, process_t *p, region_t *r, int64_t page, int64_t *n,
) noexcept nogil:
    """Write to one page of a mapping, or to the rest of its 2 MiB if that is one huge page; n: pages written."""
    cdef int64_t index = page // TABLE_PAGES
    cdef int64_t base = index * TABLE_PAGES
    cdef pfn_t pfn
    cdef bint still_huge
    cdef bint is_new = False
    cdef int result, flags = TOUCH_WRITES
    n[0] = 0
    if r.table[index] == 0:
        result = ensure_directory(g, v, cpu, p, r, index)
        if result != TOUCH_DONE:
            return result
        if r.thp and g.thp and base + TABLE_PAGES <= r.pages and fault_huge(g, v, cpu, p, r, index):
            flags |= TOUCH_WHOLE
    if r.table[index] & TABLE_HUGE:
        result = touch_huge(g, v, cpu, p, r, index, flags, &still_huge)
        if result != TOUCH_DONE or still_huge:
            n[0] = base + TABLE_PAGES - page
            return result
    if page == base or r.table[index] == 0:
        result = ensure_table(g, v, cpu, p, r, index)
        if result != TOUCH_DONE:
            return result
    if r.pte[page] == 0:
        pfn = get_pages(g, v, cpu, 0, g.gfp_user)
        if pfn == NO_PFN:
            return TOUCH_NO_PAGE
        r.pte[page] = pfn
        flags |= TOUCH_WHOLE
        p.rss_pages += 1
        g.touched_pages += 1
        g.minor_faults += 1
        charge_kernel(g, v, g.costs.guest_fault_path_4k)
        is_new = True
    elif r.pte[page] & PTE_SHARED:
        result = own_page(g, v, cpu, r, page, &flags)
        if result != TOUCH_DONE:
            return result
    if not touch_pages(g, v, cpu, r.pte[page] & ~<uint32_t>PTE_SHARED, 1, flags):
        return TOUCH_NO_FRAME
    if is_new:
        charge_kernel(g, v, clear_ns(g, r.pte[page]))
    n[0] = 1
    return TOUCH_DONE

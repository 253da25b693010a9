"""Moving pages in use out of a range of a guest's memory, as alloc_contig_range's migration does.

Pages of processes, shared ones too, the page cache, and movable pages of kernel slots move: each gets a new page from the
allocator, is copied, and its old place is isolated. Who owns a page is found by looking through all mappings, as there is
no reverse map here. A huge page moves whole or not at all. The first page without a new place ends the attempt.
"""

from libc.stdint cimport int64_t, uint32_t, uint8_t

from hinting._core.common cimport NO_PFN, PAGEBLOCK_ORDER, pfn_t
from hinting._core.engine.charge cimport advance, next_costs
from hinting._core.engine.machine cimport machine_t, slot_t, vcpu_t
from hinting._core.engine.memory cimport get_pages, touch_pages
from hinting._core.engine.pagecache cimport cache_move, is_cached
from hinting._core.engine.process cimport PTE_SHARED, TABLE_HUGE, TABLE_PAGES, process_t, region_t
from hinting._core.engine.sharing cimport huge_head, move_counts
from hinting._core.host.state cimport TOUCH_WHOLE, TOUCH_WRITES
from hinting._core.mm.alloc cimport free_pages
from hinting._core.mm.pages cimport TAG_ISOLATED, TAG_KIND, TAG_MOVABLE, TAG_USED, covering, tag_get, tag_set
from hinting._core.mm.times cimport note_freed

ctypedef struct move_t:                 # an attempt to empty a range
    int cpu
    pfn_t first
    pfn_t end
    int64_t moved                       # pages
    bint over                           # a page found no new place

cdef inline pfn_t new_place(machine_t *g, vcpu_t *v, move_t *t, int order) noexcept nogil:
    """A free block to move to; NO_PFN ends the attempt."""
    cdef pfn_t new = NO_PFN
    if not t.over:
        new = get_pages(g, v, t.cpu, order, g.gfp_huge if order == PAGEBLOCK_ORDER else g.gfp_user)
        t.over = new == NO_PFN
    return new

cdef inline void charge_copy(machine_t *g, vcpu_t *v, int order) noexcept nogil:
    """Copying a block is the strategy's work."""
    cdef double ns = g.costs.mem_copy_4k * (1 << order)
    g.account.guest_report += ns
    advance(v, ns)
    next_costs(g)

cdef inline void move_to(machine_t *g, vcpu_t *v, move_t *t, pfn_t pfn, int order, pfn_t new) noexcept nogil:
    """Copy a block to its new place, and isolate the old one."""
    tag_set(g.mm, new, order, tag_get(g.mm, pfn, order) & TAG_KIND)
    charge_copy(g, v, order)
    touch_pages(g, v, t.cpu, pfn, <int64_t>1 << order, 0)
    touch_pages(g, v, t.cpu, new, <int64_t>1 << order, TOUCH_WRITES | TOUCH_WHOLE)
    if g.mm.times != NULL:
        note_freed(g.mm.times, pfn, order)
    tag_set(g.mm, pfn, order, TAG_ISOLATED)
    g.mm.isolated += <int64_t>1 << order
    t.moved += <int64_t>1 << order

cdef inline pfn_t moved_page(machine_t *g, vcpu_t *v, move_t *t, pfn_t pfn, int order, bint counted) noexcept nogil:
    """Where a mapped page is from now on, also if it has moved for another mapping of it; NO_PFN if it stays."""
    cdef pfn_t head = pfn, new
    cdef uint8_t tag
    if counted:
        if covering(g.mm, pfn, &head) & TAG_KIND == TAG_ISOLATED:
            return g.mm.link[pfn].next
        if huge_head(g.mm, pfn) != NO_PFN:
            order = PAGEBLOCK_ORDER
    tag = tag_get(g.mm, head, order)
    new = new_place(g, v, t, order)
    if new == NO_PFN:
        return NO_PFN
    if tag_get(g.mm, head, order) != tag:           # reclaim has split it meanwhile
        free_pages(g.mm, t.cpu, new, order)
        t.over = True
        return NO_PFN
    if counted:
        move_counts(g.mm, &g.split_queue, head, order, new)
    move_to(g, v, t, head, order, new)
    return new + (pfn - head)

cdef inline void move_region(machine_t *g, vcpu_t *v, move_t *t, region_t *r) noexcept nogil:
    cdef int64_t page = 0
    cdef uint32_t table
    cdef pfn_t pfn, new
    while page < r.pages:
        table = r.table[page // TABLE_PAGES]
        if table == 0:
            page += TABLE_PAGES
            continue
        pfn = r.pte[page] & ~<uint32_t>PTE_SHARED
        if r.pte[page] and t.first <= pfn < t.end:
            new = moved_page(g, v, t, pfn, PAGEBLOCK_ORDER if table & TABLE_HUGE else 0, r.pte[page] & PTE_SHARED != 0)
            if new != NO_PFN:
                r.pte[page] = new | r.pte[page] & <uint32_t>PTE_SHARED
        page += TABLE_PAGES if table & TABLE_HUGE else 1

cdef inline void move_cached(machine_t *g, vcpu_t *v, move_t *t) noexcept nogil:
    cdef pfn_t pfn, new
    for pfn in range(t.first, t.end):
        if g.mm.tag[pfn] != (TAG_USED | TAG_MOVABLE) or not is_cached(&g.cache, pfn):
            continue
        new = new_place(g, v, t, 0)
        if new == NO_PFN:
            return
        if not is_cached(&g.cache, pfn):            # reclaim has evicted it meanwhile
            free_pages(g.mm, t.cpu, new, 0)
            continue
        cache_move(g.mm, &g.cache, pfn, new)
        move_to(g, v, t, pfn, 0, new)

cdef inline void move_slot(machine_t *g, vcpu_t *v, move_t *t, slot_t *s) noexcept nogil:
    cdef int64_t i
    cdef pfn_t new
    for i in range(s.n):
        if not t.first <= s.pfn[i] < t.end or not tag_get(g.mm, s.pfn[i], s.order[i]) & TAG_MOVABLE:
            continue
        new = new_place(g, v, t, s.order[i])
        if new == NO_PFN:
            return
        move_to(g, v, t, s.pfn[i], s.order[i], new)
        s.pfn[i] = new

cdef inline int64_t move_range(machine_t *g, vcpu_t *v, int cpu, pfn_t first, int64_t pages) noexcept nogil:
    """Move what is in use in a range whose free pages are isolated; pages that moved. The rest could not."""
    cdef move_t t
    cdef uint32_t i, k
    cdef process_t *p
    t.cpu = cpu
    t.first = first
    t.end = first + <pfn_t>pages
    t.moved = 0
    t.over = False
    for i in range(g.nr_processes):
        p = &g.process[i]
        if not p.alive:
            continue
        for k in range(p.nr_regions):
            if p.region[k].pte != NULL:
                move_region(g, v, &t, &p.region[k])
    if g.cache.owner != NULL:
        move_cached(g, v, &t)
    for i in range(g.nr_slots):
        move_slot(g, v, &t, &g.slot[i])
    return t.moved

"""Reclaim in the guest: kswapd in the background, direct reclaim by whoever finds no page above the min watermark.

Page cache, objects of reclaimable kernel caches, unmapped parts of huge pages and what a strategy's shrinker gives back are
taken; the guest has no swap, so memory of processes stays. The lists are scanned from their old ends at a priority from 12
down, `pages >> priority` a round; the active list gives pages up while the inactive one is low. A page that is dirty is
written to the disk first, and whoever reclaims waits.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hinting._core.common cimport NR_ZONES, PAGEBLOCK_PAGES, pfn_t
from hinting._core.engine.charge cimport advance, charge_lists, charge_strategy, is_busy
from hinting._core.engine.machine cimport NEVER, PROGRAM_COMPUTES, PROGRAM_RUNS, kswapd_t, machine_t, vcpu_t
from hinting._core.engine.ops cimport KIND_RECLAIMABLE
from hinting._core.engine.pagecache cimport (
    CACHE_DIRTY,
    LRU_ACTIVE,
    LRU_INACTIVE,
    cache_del,
    cache_t,
    cached_pages,
    deactivate,
    inactive_is_low,
)
from hinting._core.engine.process cimport free_gathered_list
from hinting._core.engine.sharing cimport split_oldest
from hinting._core.engine.slab cimport TAKE_OLDEST, free_object, retire_current, slab_cache_t
from hinting._core.engine.writeback cimport clean, write_ns
from hinting._core.kernel cimport RESERVE_HARDER
from hinting._core.mm.alloc cimport free_pages
from hinting._core.mm.state cimport WM_HIGH, ZONE_RECLAIM_ACTIVE, mm_t
from hinting._core.mm.watermark cimport wm_ok, wmark

cdef enum:
    DEF_PRIORITY = 12
    CLUSTER = 32                        # pages that are isolated, and freed, at once
    KSWAPD_FAILURES = 16                # runs in vain until kswapd is left alone

ctypedef struct scan_t:                 # one pass over the lists
    int64_t scanned
    int64_t reclaimed
    double cpu_ns
    double disk_ns

cdef inline int64_t quota(int64_t pages, int priority) noexcept nogil:
    """Pages of a list to look at in one round; none of a short list at first, as in the recordings of 6.1."""
    return pages >> priority

cdef inline void shrink_active(machine_t *g, int64_t n, scan_t *s) noexcept nogil:
    """Move the n oldest pages of the active list to the inactive one."""
    cdef cache_t *c = &g.cache
    s.scanned += n
    s.cpu_ns += n * g.costs.swap_scan_page
    while n:
        deactivate(g.mm, c, c.lru[LRU_ACTIVE].oldest)
        n -= 1

cdef inline void shrink_inactive(machine_t *g, int cpu, int64_t n, scan_t *s) noexcept nogil:
    """Evict up to n of the oldest pages, 32 at a time; each lot is freed as one list."""
    cdef cache_t *c = &g.cache
    cdef int64_t lot, dirty
    cdef pfn_t pfn
    while n > 0 and c.lru[LRU_INACTIVE].n:
        lot = 0
        dirty = 0
        while lot < CLUSTER and lot < n and c.lru[LRU_INACTIVE].n:
            pfn = c.lru[LRU_INACTIVE].oldest
            if c.owner[pfn].file & CACHE_DIRTY:
                s.disk_ns += clean(g, pfn, g.mm.times.now)
                dirty += 1
            cache_del(g.mm, c, pfn, True)
            g.gather.list[lot] = pfn
            lot += 1
        s.cpu_ns += lot * g.costs.swap_scan_page + dirty * g.costs.swap_out_cpu_4k
        s.disk_ns += write_ns(g.costs, dirty)
        g.reclaim.written += dirty
        free_gathered_list(g.mm, cpu, &g.gather, lot)
        s.cpu_ns += lot * g.costs.guest_rcu_batch_free_4k
        s.scanned += lot
        s.reclaimed += lot
        n -= lot

cdef inline int64_t slab_objects(const machine_t *g) noexcept nogil:
    """Objects of the kernel caches that can be shrunk."""
    cdef int64_t n = 0
    cdef uint32_t i
    for i in range(g.nr_slab_caches):
        if g.slab_cache[i].kind == KIND_RECLAIMABLE:
            n += g.slab_cache[i].object.n
    return n

cdef inline int64_t shrinkable(const machine_t *g) noexcept nogil:
    """Pages that the strategy could give back."""
    if g.strategy == NULL or g.strategy.on_shrink == NULL:
        return 0
    return g.strategy.on_shrink(g.strategy.self, g.mm, 0, 0)

cdef inline bint is_reclaimable(const machine_t *g) noexcept nogil:
    """Whether reclaim could still take something: cached pages, huge pages in part, objects of kernel caches, a strategy's."""
    return cached_pages(&g.cache) or g.split_queue.n or slab_objects(g) or shrinkable(g)

cdef inline int64_t shrink_cache(mm_t *m, int cpu, slab_cache_t *c, int64_t n) noexcept nogil:
    """Free the n oldest objects of a kernel cache; returns the pages that went."""
    cdef int64_t pages = 0
    while n > 0 and c.object.n:
        pages += free_object(m, cpu, c, TAKE_OLDEST)
        n -= 1
    return pages if c.object.n else pages + retire_current(m, cpu, c)

cdef inline void shrink_slab(machine_t *g, int cpu, int priority, scan_t *s) noexcept nogil:
    """Take of each kernel cache that can be shrunk twice the share that is scanned of the page cache."""
    cdef slab_cache_t *c
    cdef uint32_t i
    cdef int64_t n, pages
    for i in range(g.nr_slab_caches):
        c = &g.slab_cache[i]
        if c.kind != KIND_RECLAIMABLE or c.object.n == 0:
            continue
        n = c.object.n * 2 >> priority
        n = n if n else 1
        pages = shrink_cache(g.mm, cpu, c, n)
        s.reclaimed += pages
        s.cpu_ns += n * g.costs.guest_pcp_free_hit
        g.reclaim.slab += pages

cdef inline void shrink_huge(machine_t *g, int cpu, int priority, scan_t *s) noexcept nogil:
    """Split huge pages of which a part is unmapped, oldest first; the free pages go back one by one."""
    cdef int64_t n = g.split_queue.n * 2 >> priority
    cdef pfn_t head
    cdef int i
    if n == 0 and g.split_queue.n:
        n = 1
    while n and g.split_queue.n:
        head = split_oldest(g.mm, &g.split_queue)
        for i in range(PAGEBLOCK_PAGES):
            if g.mm.link[head + i].prev == 0:
                free_pages(g.mm, cpu, head + i, 0)
                s.reclaimed += 1
        s.scanned += PAGEBLOCK_PAGES
        s.cpu_ns += PAGEBLOCK_PAGES * g.costs.guest_pcp_free_hit
        g.thp_page_splits += 1
        n -= 1

cdef inline void shrink_strategy(machine_t *g, int cpu, int priority, scan_t *s) noexcept nogil:
    """Ask the strategy's shrinker for the same share as a kernel cache; its work is charged as the strategy's."""
    cdef int64_t pages = shrinkable(g)
    if pages:
        pages = pages * 2 >> priority
        s.reclaimed += g.strategy.on_shrink(g.strategy.self, g.mm, cpu, pages if pages else 1)

cdef inline void shrink(machine_t *g, int cpu, int priority, scan_t *s) noexcept nogil:
    """One round over both lists."""
    cdef cache_t *c = &g.cache
    cdef int64_t active = quota(c.lru[LRU_ACTIVE].n, priority)
    cdef int64_t inactive = quota(c.lru[LRU_INACTIVE].n, priority)
    if inactive_is_low(c):
        shrink_active(g, active, s)
    shrink_inactive(g, cpu, inactive, s)
    shrink_slab(g, cpu, priority, s)
    shrink_huge(g, cpu, priority, s)
    shrink_strategy(g, cpu, priority, s)

cdef inline bint is_balanced(mm_t *m) noexcept nogil:
    """Some zone passes its high watermark."""
    cdef int i
    for i in range(NR_ZONES):
        if m.zone[i].populated and wm_ok(
                m, &m.zone[i], 0, wmark(&m.zone[i], WM_HIGH), NR_ZONES - 1, 0, m.zone[i].counter):
            return True
    return False

cdef inline int64_t boosts(const mm_t *m) noexcept nogil:
    cdef int i
    cdef int64_t n = 0
    for i in range(NR_ZONES):
        n += m.zone[i].boost
    return n

cdef inline int64_t kswapd_target(mm_t *m) noexcept nogil:
    """Pages that one round of kswapd is after."""
    cdef int64_t n = 0, high
    cdef int i
    for i in range(NR_ZONES):
        if m.zone[i].populated:
            high = wmark(&m.zone[i], WM_HIGH)
            n += high if high > CLUSTER else CLUSTER
    return n

cdef inline int idle_cpu(machine_t *g, int cpu) noexcept nogil:
    """Where kswapd runs: on a vCPU with nothing to do, else on the one that woke it."""
    cdef int i
    for i in range(g.ncpus):
        if not is_busy(&g.vcpu[i]):
            return i
    return cpu

cdef inline void mark_active(mm_t *m, bint active) noexcept nogil:
    """6.x: per-CPU lists stay short while kswapd works, so that what it frees counts."""
    cdef int i
    if m.k.reserves == RESERVE_HARDER:
        return
    for i in range(NR_ZONES):
        if active and m.zone[i].populated:
            m.zone[i].flags |= ZONE_RECLAIM_ACTIVE
        else:
            m.zone[i].flags &= ~<uint32_t>ZONE_RECLAIM_ACTIVE

cdef inline void wake_kswapd(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """A request found no page above the low watermark, or a fallback boosted it: kswapd starts, if there is anything to take.

    It does not while it runs, after it found nothing 16 times, or if a zone is above its high watermark unboosted.
    """
    cdef kswapd_t *k = &g.kswapd
    g.mm.kswapd_wanted = False
    if g.kswapd_at == NEVER:
        g.kswapd_at = v.now + g.sim.kswapd_ns
    if k.now != NEVER or not is_reclaimable(g) or k.failures >= KSWAPD_FAILURES:
        return
    k.boost_left = boosts(g.mm)
    if k.boost_left == 0 and is_balanced(g.mm):
        return
    k.cpu = idle_cpu(g, cpu)
    k.now = v.now + <int64_t>(g.costs.sched_wakeup_same_cpu if k.cpu == cpu else g.costs.sched_wakeup_idle_cpu)
    k.priority = DEF_PRIORITY
    k.reclaimed = 0
    k.runs += 1
    mark_active(g.mm, True)

cdef inline void charge_reclaim(machine_t *g, const scan_t *s) noexcept nogil:
    g.account.guest_reclaim += s.cpu_ns
    g.account.guest_disk += s.disk_ns

cdef inline void guest_kswapd_slice(machine_t *g, int64_t until) noexcept nogil:
    """Reclaim round by round until a zone is above its high watermark or nothing is left; the vCPU loses the CPU time."""
    cdef scan_t s
    cdef kswapd_t *k = &g.kswapd
    cdef vcpu_t *v = &g.vcpu[k.cpu]
    while k.now < until:
        if k.boost_left <= 0 and is_balanced(g.mm) or k.priority < 1 or not is_reclaimable(g):
            k.failures = 0 if k.reclaimed else k.failures + 1
            k.now = NEVER
            mark_active(g.mm, False)
            return
        memset(&s, 0, sizeof(s))
        g.mm.times.now = k.now
        shrink(g, k.cpu, k.priority, &s)
        g.reclaim.scanned_kswapd += s.scanned
        g.reclaim.stolen_kswapd += s.reclaimed
        k.reclaimed += s.reclaimed
        k.boost_left = k.boost_left - s.reclaimed if s.reclaimed else 0
        if s.scanned < kswapd_target(g.mm) or s.reclaimed == 0:
            k.priority -= 1
        charge_reclaim(g, &s)
        k.now += <int64_t>(s.cpu_ns + s.disk_ns)
        if v.program == PROGRAM_RUNS:
            advance(v, s.cpu_ns)
        else:
            if v.program == PROGRAM_COMPUTES:
                v.until += <int64_t>s.cpu_ns
            if v.now < k.now:
                v.now = k.now
        charge_lists(g, v)
        charge_strategy(g, v)

cdef inline bint direct_reclaim(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """Reclaim 32 pages before the request goes on; False if there was nothing to reclaim."""
    cdef scan_t s
    cdef int priority = DEF_PRIORITY
    if g.strategy != NULL and g.strategy.submit_waits and g.strategy.nr_submitted:
        return False                    # pages are on their way, the request waits for them
    memset(&s, 0, sizeof(s))
    while priority >= 0 and s.reclaimed < CLUSTER and is_reclaimable(g):
        shrink(g, cpu, priority, &s)
        priority -= 1
    if s.reclaimed == 0:
        return False
    g.reclaim.stalls += 1
    g.reclaim.scanned_direct += s.scanned
    g.reclaim.stolen_direct += s.reclaimed
    g.kswapd.failures = 0
    charge_reclaim(g, &s)
    advance(v, s.cpu_ns + s.disk_ns)
    return True

"""Asking the host's policy: what it sees, what becomes of a report, which blocks of it are one range."""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport qsort, realloc

from hinting._core.common cimport MAX_ORDER
from hinting._core.engine.machine cimport SIM_NO_MEMORY, machine_t, simulation_t
from hinting._core.engine.meter cimport held_by_guest, rss_of_vmm
from hinting._core.engine.policy_state cimport (
    DECIDE_DEFER,
    DECIDE_DISCARD,
    DECIDE_FREE,
    guest_view_t,
    host_view_t,
    policy_t,
    range_t,
    ranges_t,
)
from hinting._core.host.lazy cimport lazy_init
from hinting._core.host.state cimport host_t
from hinting._core.strategies.hooks cimport HOST_IGNORE, block_t

cdef inline void see_host(policy_t *p, const host_t *h, int64_t now) noexcept nogil:
    cdef host_view_t *v = p.host
    v.now_ns = now
    v.pages = h.frames_total
    v.free = h.frames_free
    v.wmark_min = h.wmark_min
    v.wmark_low = h.wmark_low
    v.wmark_high = h.wmark_high
    v.swap = h.reclaim.slots.total if h.reclaim != NULL else 0
    v.swap_used = h.reclaim.slots.used if h.reclaim != NULL else 0

cdef inline void see_guest(policy_t *p, const machine_t *g) noexcept nogil:
    cdef guest_view_t *v = &p.guest[g.number]
    v.number = g.number
    v.memory = g.backing.ram_frames
    v.held = held_by_guest(g)
    v.rss = rss_of_vmm(g)
    v.swapped = g.backing.swapped_pages
    v.deferred = g.backing.lazy_pages
    v.discarded = <int64_t>(g.backing.n.discarded_pages + g.backing.n.lazily_dropped)
    v.refaulted = <int64_t>g.backing.n.refaulted_pages

cdef inline bint is_about_free_memory(const machine_t *g, const block_t *blocks, int64_t n) noexcept nogil:
    """Whether a request names free blocks for the host to take: no device of its own handles them."""
    return (n > 0 and g.strategy.device == NULL and not g.strategy.by_host and g.strategy.host_action != HOST_IGNORE
            and blocks[0].order <= MAX_ORDER)

cdef inline int decide(machine_t *g, const block_t *blocks, int64_t n, int64_t now) noexcept nogil:
    """What becomes of a report that the VMM takes up now: DECIDE_*."""
    cdef simulation_t *s = g.sim
    cdef policy_t *p = s.policy
    cdef int decision = DECIDE_DISCARD
    if p.on_report != NULL:
        see_host(p, s.host, now)
        see_guest(p, g)
        decision = p.on_report(p.state, p.host, &p.guest[g.number], blocks, n)
    if decision == DECIDE_DISCARD and p.lazily:
        decision = DECIDE_FREE
    if (decision == DECIDE_DEFER or decision == DECIDE_FREE) and not lazy_init(g.backing):
        s.error = SIM_NO_MEMORY
        return DECIDE_DISCARD
    return decision

cdef inline int by_address(const void *a, const void *b) noexcept nogil:
    cdef const range_t *x = <const range_t *>a
    cdef const range_t *y = <const range_t *>b
    return (x.pfn > y.pfn) - (x.pfn < y.pfn)

cdef inline bint merge_blocks(ranges_t *r, const block_t *blocks, int64_t n) noexcept nogil:
    """Make ranges of the blocks of a report; False without memory."""
    cdef range_t *grown
    cdef uint64_t *words
    cdef int64_t i, most = 0
    if n > r.size:
        grown = <range_t *>realloc(r.range, n * sizeof(range_t))
        if grown == NULL:
            return False
        r.range = grown
        r.size = n
    for i in range(n):
        r.range[i].pfn = blocks[i].pfn
        r.range[i].pages = <int64_t>1 << blocks[i].order
    qsort(r.range, n, sizeof(range_t), by_address)
    r.n = 0
    for i in range(n):
        if r.n and r.range[r.n - 1].pfn + r.range[r.n - 1].pages == r.range[i].pfn:
            r.range[r.n - 1].pages += r.range[i].pages
        else:
            r.range[r.n] = r.range[i]
            r.n += 1
        most = max(most, r.range[r.n - 1].pages)
    most = most / 64 + 2
    if most > r.seen_size:
        words = <uint64_t *>realloc(r.seen, most * sizeof(uint64_t))
        if words == NULL:
            return False
        r.seen = words
        r.seen_size = most
    return True

"""Time: moving a clock by a cost, and charging a strategy's counted work."""

from libc.stdint cimport int64_t

from hinting._core.common cimport PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, pfn_t
from hinting._core.costs cimport costs_t, direct_free_ns, draw_card, struct_page_ns
from hinting._core.engine.machine cimport PROGRAM_COMPUTES, PROGRAM_RUNS, machine_t, vcpu_t
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.hooks cimport strategy_t, work_t

cdef enum:
    COST_BATCH = 63                     # entries of the batch that the cost profile speaks of

cdef inline void advance(vcpu_t *v, double ns) noexcept nogil:
    """Let a vCPU's clock run on; parts of a nanosecond are kept."""
    cdef double t = v.carry + ns
    cdef int64_t whole = <int64_t>t
    v.now += whole
    v.carry = t - whole

cdef inline bint is_busy(const vcpu_t *v) noexcept nogil:
    """The vCPU runs its program."""
    return v.program == PROGRAM_RUNS or v.program == PROGRAM_COMPUTES

cdef inline void price_holds(strategy_t *s, const costs_t *c) noexcept nogil:
    """Tell a strategy what its holds of the zone lock cost."""
    s.entry_ns = c.guest_scan_free_list_entry
    s.lock_ns = c.guest_zone_lock_uncontended
    s.isolate_ns = c.guest_isolate_page
    s.put_back_ns = c.guest_putback_page

cdef inline void next_costs(machine_t *g) noexcept nogil:
    """A charge is over: where costs vary, the next one has others."""
    if g.deck.card != NULL:
        g.costs = draw_card(&g.deck)
        if g.strategy != NULL:
            price_holds(g.strategy, g.costs)

cdef inline double clear_ns(const machine_t *g, pfn_t pfn) noexcept nogil:
    """What clearing a page takes that the host backs: within a huge page its share of 2 MiB, which are cleared as a stream."""
    return g.costs.mem_clear_2m / PAGEBLOCK_PAGES if g.backing.blocks[pfn >> PAGEBLOCK_ORDER].ept_huge else g.costs.mem_clear_4k

cdef inline double work_ns(const work_t *now, const work_t *before, const costs_t *c) noexcept nogil:
    """Guest CPU time of the work done between two counts."""
    return (
        (now.captured - before.captured) * c.guest_scan_free_list_entry
        + (now.probes - before.probes) * c.guest_scan_free_list_entry
        + (now.compares - before.compares) * c.guest_scan_bitmap_page
        + (now.locks - before.locks) * c.guest_zone_lock_uncontended
        + (now.isolated - before.isolated) * c.guest_isolate_page
        + (now.returned - before.returned) * c.guest_putback_page
        + (now.drained - before.drained) * c.guest_pcp_free_hit
        + (now.allocated - before.allocated) * c.guest_pcp_alloc_hit
        + (now.allocated_blocks - before.allocated_blocks) * c.guest_buddy_alloc_order9
        + (now.freed - before.freed) * c.guest_pcp_free_hit
        + (now.freed_blocks - before.freed_blocks) * c.guest_buddy_free_direct
        + (now.struct_pages - before.struct_pages) * struct_page_ns(c)
        + (now.cleared - before.cleared) * c.mem_clear_2m
        + (now.config_writes - before.config_writes) * c.virt_exit_to_user
    )

cdef inline double lock_wait(machine_t *g, vcpu_t *v, double takes, double held) noexcept nogil:
    """Time to wait for the zone lock, which is taken so often and held for so long, ns.

    A taker waits zone_lock_handoff with the probability that another vCPU holds the lock, which is the share of time that the
    others have held it since the launch; charged is the mean. Zones count as one.
    """
    cdef double others = g.held_lock_ns - v.held_lock_ns, ns
    cdef int64_t elapsed = v.now - g.meter.launched_at
    g.held_lock_ns += held
    v.held_lock_ns += held
    if not g.contends or elapsed <= 0:
        return 0
    ns = takes * g.costs.guest_zone_lock_handoff * min(others / <double>elapsed, 1.0)
    g.lock_wait_ns += ns
    return ns

cdef inline void charge_strategy(machine_t *g, vcpu_t *v) noexcept nogil:
    """Charge what the strategy has done since the last charge to this vCPU."""
    cdef double ns
    if g.strategy == NULL:
        return
    ns = work_ns(&g.strategy.work, &g.charged, g.costs)
    if ns > 0:
        ns += lock_wait(g, v, <double>(g.strategy.work.locks - g.charged.locks), g.strategy.hold_sum_ns - g.holds_charged)
        g.holds_charged = g.strategy.hold_sum_ns
        g.charged = g.strategy.work
        g.account.guest_report += ns
        advance(v, ns)
        g.mm.times.now = v.now
        next_costs(g)

cdef inline void charge_kernel(machine_t *g, vcpu_t *v, double ns) noexcept nogil:
    g.account.guest_kernel += ns
    advance(v, ns)
    g.mm.times.now = v.now
    next_costs(g)

cdef inline void charge_lists(machine_t *g, vcpu_t *v) noexcept nogil:
    """Charge refills and drains of per-CPU lists since the last charge; their costs are those of a batch of 63 entries."""
    cdef int64_t refilled = g.mm.refilled - g.refilled_charged
    cdef int64_t drained = g.mm.drained - g.drained_charged
    cdef double ns
    if refilled | drained:
        g.refilled_charged = g.mm.refilled
        g.drained_charged = g.mm.drained
        ns = (refilled * g.costs.guest_pcp_refill_batch + drained * g.costs.guest_pcp_drain_batch) / COST_BATCH
        charge_kernel(g, v, ns + lock_wait(g, v, <double>(refilled + drained) / COST_BATCH, ns))

cdef inline void charge_locked(machine_t *g, vcpu_t *v, double ns) noexcept nogil:
    """Kernel work that is done under the zone lock, taken once."""
    charge_kernel(g, v, ns + lock_wait(g, v, 1, ns))

cdef inline void charge_free(machine_t *g, vcpu_t *v, int order) noexcept nogil:
    """One block freed; what draining per-CPU lists costs comes extra."""
    if order < PAGEBLOCK_ORDER and g.mm.k.pcp_orders >> order & 1:
        charge_kernel(g, v, g.costs.guest_pcp_free_hit)
    else:
        charge_locked(g, v, direct_free_ns(g.costs, order))

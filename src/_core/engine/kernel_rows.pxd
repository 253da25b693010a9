"""Rows on memory of the kernel itself, step by step up to the next scheduling point."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport realloc

from hinting._core.common cimport COSTLY_ORDER, NO_PFN, pfn_t
from hinting._core.engine.charge cimport charge_free, charge_kernel, charge_lists, charge_strategy, clear_ns
from hinting._core.engine.machine cimport SIM_NO_MEMORY, machine_t, slot_t, vcpu_t
from hinting._core.engine.memory cimport get_pages, use_pages
from hinting._core.engine.meter cimport note_latency
from hinting._core.engine.oom cimport out_of_memory
from hinting._core.engine.ops cimport KIND_ATOMIC, OPF_KIND, op_t
from hinting._core.engine.schedule cimport note_wake, yields
from hinting._core.engine.slab cimport add_object, add_slab, find_place, free_object, retire_current, slab_cache_t
from hinting._core.engine.vmm cimport must_wait
from hinting._core.mm.alloc cimport free_pages

cdef inline bint hold_block(machine_t *g, slot_t *s, pfn_t pfn, int order) noexcept nogil:
    cdef pfn_t *pfns
    cdef uint8_t *orders
    cdef int64_t size
    if s.n == s.size:
        size = s.size * 2 + 64
        pfns = <pfn_t *>realloc(s.pfn, size * sizeof(pfn_t))
        if pfns != NULL:
            s.pfn = pfns
        orders = <uint8_t *>realloc(s.order, size)
        if orders != NULL:
            s.order = orders
        if pfns == NULL or orders == NULL:
            g.sim.error = SIM_NO_MEMORY
            return False
        s.size = size
    s.pfn[s.n] = pfn
    s.order[s.n] = <uint8_t>order
    s.n += 1
    return True

cdef inline bint may_oom(int order, int kind) noexcept nogil:
    """Whether the kernel calls its OOM killer before such a request fails."""
    return order <= COSTLY_ORDER and kind != KIND_ATOMIC

cdef inline bint alloc_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    cdef slot_t *s = &g.slot[op.proc]
    cdef pfn_t pfn
    while v.done < op.b:
        if not v.unwritten:
            if v.asked_at < 0:
                v.asked_at = v.now
            if must_wait(g, v):
                return False
            pfn = get_pages(g, v, cpu, op.order, g.gfp_kind[op.flags & OPF_KIND])
            if pfn == NO_PFN:
                if may_oom(op.order, op.flags & OPF_KIND) and out_of_memory(g, v, cpu):
                    continue
                g.failed_allocations += 1
                v.asked_at = -1
            elif hold_block(g, s, pfn, op.order):
                v.unwritten = True
        if v.unwritten:
            if not use_pages(g, v, cpu, s.pfn[s.n - 1], <int64_t>1 << op.order):
                return False
            v.unwritten = False
            charge_kernel(g, v, clear_ns(g, s.pfn[s.n - 1]) * (1 << op.order))
            note_latency(g, v, True)
        v.done += 1
        if yields(g, v, until):
            break
    return v.done >= op.b

cdef inline bint free_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    cdef slot_t *s = &g.slot[op.proc]
    while s.n and (op.b == 0 or v.done < op.b):
        s.n -= 1
        free_pages(g.mm, cpu, s.pfn[s.n], s.order[s.n])
        charge_free(g, v, s.order[s.n])
        charge_lists(g, v)
        charge_strategy(g, v)
        note_wake(g, v, cpu)
        v.done += 1
        if yields(g, v, until):
            break
    return s.n == 0 or (op.b != 0 and v.done >= op.b)

cdef inline bint slab_grow_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with an OP_SLAB_GROW, object by object; a new slab is written before its first object is there."""
    cdef slab_cache_t *c = &g.slab_cache[op.proc]
    cdef pfn_t pfn
    while v.done < op.a:
        if must_wait(g, v):
            return False
        if not find_place(c):
            pfn = get_pages(g, v, cpu, c.order, g.gfp_kind[c.kind])
            if pfn == NO_PFN:
                if may_oom(c.order, c.kind) and out_of_memory(g, v, cpu):
                    continue
                g.failed_allocations += 1
                return True
            if not add_slab(c, pfn):
                g.sim.error = SIM_NO_MEMORY
                return True
        if not use_pages(g, v, cpu, c.slab[c.current].pfn, <int64_t>1 << c.order):
            return False
        if not add_object(c):
            g.sim.error = SIM_NO_MEMORY
            return True
        charge_kernel(g, v, g.costs.guest_pcp_alloc_hit)
        v.done += 1
        note_wake(g, v, cpu)
        if yields(g, v, until):
            break
    return v.done >= op.a

cdef inline bint slab_shrink_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with an OP_SLAB_SHRINK, object by object."""
    cdef slab_cache_t *c = &g.slab_cache[op.proc]
    while c.object.n and (op.a == 0 or v.done < op.a):
        free_object(g.mm, cpu, c, op.flags)
        charge_kernel(g, v, g.costs.guest_pcp_free_hit)
        charge_lists(g, v)
        charge_strategy(g, v)
        note_wake(g, v, cpu)
        v.done += 1
        if yields(g, v, until):
            break
    if c.object.n == 0:
        retire_current(g.mm, cpu, c)
        return True
    return op.a != 0 and v.done >= op.a

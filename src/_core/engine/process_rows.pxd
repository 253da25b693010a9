"""Rows of processes, step by step up to the next scheduling point.

A row of a process that does not live, or of a mapping that does not exist, is passed over: it was killed, or another
vCPU ended it, or has not made it yet.
"""

from libc.stdint cimport int64_t

from hinting._core.engine.charge cimport charge_kernel
from hinting._core.engine.fork cimport begin_process, fork_step
from hinting._core.engine.machine cimport SIM_NO_MEMORY, machine_t, vcpu_t
from hinting._core.engine.memory cimport TOUCH_DONE, touch_page
from hinting._core.engine.meter cimport begin_exit, end_exit, note_latency
from hinting._core.engine.oom cimport out_of_memory
from hinting._core.engine.ops cimport (
    OP_EXEC,
    OP_EXIT,
    OP_FORK,
    OP_MUNMAP,
    OP_SPAWN,
    OP_TOUCH,
    OP_UNMAP,
    OPF_NO_THP,
    op_t,
)
from hinting._core.engine.process cimport map_region, process_t, region_at, region_t
from hinting._core.engine.schedule cimport note_wake, yields
from hinting._core.engine.teardown cimport clear_step, flush, teardown_step, unmap_pages, unmap_region
from hinting._core.engine.vmm cimport must_wait

cdef inline process_t *process_of(machine_t *g, const op_t *op) noexcept nogil:
    """The process of a row, NULL if it does not live, or begins or ends on another vCPU."""
    cdef process_t *p = &g.process[op.proc]
    if p.alive and not p.busy:
        return p
    g.passed_over += 1
    return NULL

cdef inline region_t *region_of(machine_t *g, const op_t *op) noexcept nogil:
    """The mapping of a row, NULL if there is none, or it is too small."""
    cdef process_t *p = process_of(g, op)
    cdef region_t *r
    if p == NULL:
        return NULL
    r = region_at(p, op.region)
    if r != NULL and (op.op == OP_MUNMAP or op.a + op.b <= r.pages):
        return r
    g.passed_over += 1
    return NULL

cdef inline bint touch_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with an OP_TOUCH; True when the row is done."""
    cdef process_t *p = &g.process[op.proc]
    cdef region_t *r = region_of(g, op)
    cdef int64_t n = 0, touched
    cdef int result
    if r == NULL:
        return True
    while v.done < op.b:
        if v.asked_at < 0:
            v.asked_at = v.now
        if must_wait(g, v):
            return False
        touched = g.touched_pages
        result = touch_page(g, v, cpu, p, r, op.a + v.done, &n)
        if not g.host_oom:
            note_latency(g, v, g.touched_pages != touched)
        if result != TOUCH_DONE:
            if g.host_oom:
                return False
            if not out_of_memory(g, v, cpu) or not p.alive:
                return True
            continue
        v.done += n
        note_wake(g, v, cpu)
        if yields(g, v, until):
            return v.done >= op.b
    return True

cdef inline bint end_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with the end of a process (EXIT), or of its address space only (EXEC)."""
    cdef process_t *p = &g.process[op.proc] if v.done else process_of(g, op)
    cdef bint over = False
    if p == NULL or not p.alive:
        end_exit(g, v)                  # nothing, or what began here was finished by the OOM killer
        return True
    if v.done == 0 and op.op == OP_EXIT:
        begin_exit(g, v)
    v.done = 1
    p.busy = True
    while not over:
        over = clear_step(g, v, cpu, p) if op.op == OP_EXEC else teardown_step(g, v, cpu, p)
        note_wake(g, v, cpu)
        if yields(g, v, until):
            break
    if over:
        end_exit(g, v)
        p.busy = False
    return over

cdef inline void end_now(machine_t *g, vcpu_t *v, int cpu, process_t *p) noexcept nogil:
    """End a process, if it lives, without a scheduling point."""
    while p.alive and not teardown_step(g, v, cpu, p):
        pass

cdef inline bint spawn_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op) noexcept nogil:
    """A new process; one of this number that still lives ends first."""
    cdef process_t *p = &g.process[op.proc]
    cdef int result
    if v.done == 0:
        end_now(g, v, cpu, p)
        charge_kernel(g, v, g.costs.sched_syscall)
        v.done = 1
    while True:
        if must_wait(g, v):
            return False
        result = begin_process(g, v, cpu, p)
        note_wake(g, v, cpu)
        if result == TOUCH_DONE:
            p.busy = False
            return True
        if g.host_oom:
            return False
        if not out_of_memory(g, v, cpu) or not p.alive:
            end_now(g, v, cpu, p)
            return True

cdef inline bint fork_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with an OP_FORK; a child of this number that still lives ends first. A child without its parent ends, too."""
    cdef process_t *parent = process_of(g, op)
    cdef process_t *child = &g.process[op.a]
    cdef bint over = False
    cdef int result
    if parent == NULL or v.done and not child.alive:
        if v.done:
            end_now(g, v, cpu, child)
        return True
    if v.done == 0:
        end_now(g, v, cpu, child)
        charge_kernel(g, v, g.costs.sched_syscall)
        g.forks += 1
        v.done = 1
    while not over:
        if must_wait(g, v):
            return False
        result = fork_step(g, v, cpu, parent, child, &over)
        if result != TOUCH_DONE:
            if g.host_oom:
                return False
            if not out_of_memory(g, v, cpu) or not parent.alive or not child.alive:
                end_now(g, v, cpu, child)
                return True
            continue
        note_wake(g, v, cpu)
        if yields(g, v, until):
            break
    if over:
        child.busy = False
    return over

cdef inline void map_row(machine_t *g, vcpu_t *v, process_t *p, const op_t *op) noexcept nogil:
    charge_kernel(g, v, g.costs.sched_syscall)
    if region_at(p, op.region) != NULL:
        g.passed_over += 1
    elif map_region(p, op.region, op.a, not op.flags & OPF_NO_THP) != 0:
        g.sim.error = SIM_NO_MEMORY

cdef inline void unmap_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op) noexcept nogil:
    """Pages of a mapping go (UNMAP), or all of it with its tables (MUNMAP)."""
    cdef region_t *r = region_of(g, op)
    cdef process_t *p = &g.process[op.proc]
    if r == NULL:
        return
    if op.op == OP_MUNMAP:
        unmap_region(g, v, cpu, p, r)
    else:
        unmap_pages(g, v, cpu, p, r, op.a, op.a + op.b)
        flush(g, v, cpu)
    note_wake(g, v, cpu)

cdef inline bint process_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with a row of a process; True when it is done."""
    cdef process_t *p
    if op.op == OP_TOUCH:
        return touch_row(g, v, cpu, op, until)
    if op.op == OP_SPAWN:
        return spawn_row(g, v, cpu, op)
    if op.op == OP_FORK:
        return fork_row(g, v, cpu, op, until)
    if op.op == OP_UNMAP or op.op == OP_MUNMAP:
        unmap_row(g, v, cpu, op)
        return True
    if op.op == OP_EXIT or op.op == OP_EXEC:
        return end_row(g, v, cpu, op, until)
    p = process_of(g, op)
    if p != NULL:
        map_row(g, v, p, op)
    return True

"""Rows on files, step by step up to the next scheduling point."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.engine.files cimport (
    FILE_DONE,
    FILE_NO_FRAME,
    drop_slab_step,
    drop_step,
    read_page,
    truncate_step,
    wait_for_disk,
    write_page,
)
from hinting._core.engine.machine cimport machine_t, vcpu_t
from hinting._core.engine.oom cimport out_of_memory
from hinting._core.engine.ops cimport OP_READ, OP_TRUNCATE, OP_WRITE, OPF_SLAB, op_t
from hinting._core.engine.schedule cimport note_wake, yields
from hinting._core.engine.vmm cimport must_wait
from hinting._core.engine.writeback cimport flush_until, throttle_ns

cdef inline bint file_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with an OP_READ or OP_WRITE; a page that the guest cannot find even after a kill is passed over."""
    cdef int result
    flush_until(g, v.now)
    while v.done < op.b:
        if must_wait(g, v):
            return False
        if op.op == OP_READ:
            result = read_page(g, v, cpu, op.file, <uint32_t>(op.a + v.done))
        else:
            result = write_page(g, v, cpu, op.file, <uint32_t>(op.a + v.done))
        if result == FILE_NO_FRAME:
            return False
        if result != FILE_DONE:
            if out_of_memory(g, v, cpu):
                continue
            g.failed_allocations += 1
        v.done += 1
        note_wake(g, v, cpu)
        if yields(g, v, until):
            break
    if op.op == OP_WRITE:
        wait_for_disk(g, v, throttle_ns(g, v.now))
    return v.done >= op.b

cdef inline bint forget_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with an OP_TRUNCATE or OP_DROP_CACHES."""
    cdef bint over = False
    flush_until(g, v.now)
    while not over:
        if op.op == OP_TRUNCATE:
            over = truncate_step(g, v, cpu, op)
        else:
            over = drop_step(g, v, cpu) and (not op.flags & OPF_SLAB or drop_slab_step(g, v, cpu))
        note_wake(g, v, cpu)
        if yields(g, v, until):
            break
    return over

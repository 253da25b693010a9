"""Executing a vCPU's op array, row by row, up to the next scheduling point that matters."""

from libc.stdint cimport int64_t
from libc.stdlib cimport realloc

from hinting._core.common cimport pfn_t
from hinting._core.engine.file_rows cimport file_row, forget_row
from hinting._core.engine.files cimport wait_for_disk
from hinting._core.engine.kernel_rows cimport alloc_row, free_row, slab_grow_row, slab_shrink_row
from hinting._core.engine.log cimport LOG_ROW, LOG_SLEEP, log_span
from hinting._core.engine.machine cimport (
    NEVER,
    PROGRAM_COMPUTES,
    PROGRAM_ENDED,
    PROGRAM_RUNS,
    PROGRAM_SLEEPS,
    PROGRAM_WAITS,
    SIM_NO_MEMORY,
    machine_t,
    mark_t,
    vcpu_t,
)
from hinting._core.engine.memory cimport use_pages
from hinting._core.engine.meter cimport held_by_guest, used_by_host
from hinting._core.engine.ops cimport (
    OP_ALLOC,
    OP_BACK,
    OP_COMPUTE,
    OP_DROP_CACHES,
    OP_EXEC,
    OP_EXIT,
    OP_FORK,
    OP_FREE,
    OP_MARK,
    OP_MMAP,
    OP_MUNMAP,
    OP_READ,
    OP_RESIZE,
    OP_SLAB_GROW,
    OP_SLAB_SHRINK,
    OP_SLEEP,
    OP_SPAWN,
    OP_SYNC,
    OP_TOUCH,
    OP_TRUNCATE,
    OP_UNMAP,
    OP_WAIT,
    OP_WRITE,
    OPF_ALL_FILES,
    OPF_SINCE_MARK,
    op_t,
)
from hinting._core.engine.process_rows cimport process_row
from hinting._core.engine.schedule cimport yields
from hinting._core.engine.vmm cimport resize
from hinting._core.engine.writeback cimport flush_until, sync_ns

cdef inline void wake_waiting(machine_t *g, const vcpu_t *v) noexcept nogil:
    """Let the vCPUs that wait for marks look again, from the moment when this one was set."""
    cdef int cpu
    for cpu in range(g.ncpus):
        if g.vcpu[cpu].program == PROGRAM_WAITS:
            g.vcpu[cpu].program = PROGRAM_RUNS
            if g.vcpu[cpu].now < v.now:
                g.vcpu[cpu].now = v.now

cdef inline void set_mark(machine_t *g, vcpu_t *v, int64_t number) noexcept nogil:
    cdef mark_t *grown
    if g.nr_marks == g.marks_size:
        grown = <mark_t *>realloc(g.mark, (g.marks_size * 2 + 16) * sizeof(mark_t))
        if grown == NULL:
            g.sim.error = SIM_NO_MEMORY
            return
        g.mark = grown
        g.marks_size = g.marks_size * 2 + 16
    g.mark[g.nr_marks].number = number
    g.mark[g.nr_marks].t_ns = v.now
    g.mark[g.nr_marks].host_used = used_by_host(g.sim)
    g.mark[g.nr_marks].held = held_by_guest(g)
    g.nr_marks += 1
    wake_waiting(g, v)

cdef inline bint mark_was_set(const machine_t *g, int64_t number, int64_t times) noexcept nogil:
    cdef int64_t i, n = 0
    for i in range(g.nr_marks):
        n += g.mark[i].number == number
    return n >= (times if times else 1)

cdef inline int64_t last_set(const machine_t *g, int64_t number, int64_t otherwise) noexcept nogil:
    """When a mark was last set."""
    cdef int64_t i
    for i in range(g.nr_marks - 1, -1, -1):
        if g.mark[i].number == number:
            return g.mark[i].t_ns
    return otherwise

cdef inline int64_t later(int64_t t, int64_t ns) noexcept nogil:
    """t + ns, but before the end of time."""
    return t + ns if ns < <int64_t>NEVER - t else NEVER - 1

cdef inline void next_row(vcpu_t *v) noexcept nogil:
    v.pc += 1
    v.done = 0

cdef inline bint run_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with a row; True when it is done. Stops early at a scheduling point, or when the host has no frame."""
    if (op.op == OP_TOUCH or OP_SPAWN <= op.op <= OP_EXIT or op.op == OP_FORK or op.op == OP_EXEC
            or op.op == OP_MUNMAP):
        return process_row(g, v, cpu, op, until)
    if op.op == OP_READ or op.op == OP_WRITE:
        return file_row(g, v, cpu, op, until)
    if op.op == OP_TRUNCATE or op.op == OP_DROP_CACHES:
        return forget_row(g, v, cpu, op, until)
    if op.op == OP_ALLOC:
        return alloc_row(g, v, cpu, op, until)
    if op.op == OP_FREE:
        return free_row(g, v, cpu, op, until)
    if op.op == OP_SLAB_GROW:
        return slab_grow_row(g, v, cpu, op, until)
    if op.op == OP_SLAB_SHRINK:
        return slab_shrink_row(g, v, cpu, op, until)
    if op.op == OP_BACK:
        return use_pages(g, v, cpu, <pfn_t>op.a, op.b)
    if op.op == OP_SLEEP:
        v.program = PROGRAM_SLEEPS
        v.until = later(last_set(g, op.b, v.now) if op.flags & OPF_SINCE_MARK else v.now, op.a)
    elif op.op == OP_WAIT:
        if not mark_was_set(g, op.a, op.b):
            v.program = PROGRAM_WAITS
            return False
    elif op.op == OP_COMPUTE:
        g.account.guest_user += op.a
        v.program = PROGRAM_COMPUTES
        v.until = later(v.now, op.a)
    elif op.op == OP_MARK:
        set_mark(g, v, op.a)
    elif op.op == OP_RESIZE:
        resize(g, v.now, op.a)
    elif op.op == OP_SYNC:
        flush_until(g, v.now)
        wait_for_disk(g, v, sync_ns(g, -1 if op.flags & OPF_ALL_FILES else <int64_t>op.file, v.now))
    return True

cdef inline void log_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op) noexcept nogil:
    """A row is done; marks and rows without time are left out."""
    if op.op == OP_SLEEP:
        log_span(g, LOG_SLEEP, cpu, v.now, v.until, op.op, op.a)
    elif op.op == OP_COMPUTE:
        log_span(g, LOG_ROW, cpu, v.row_at, v.until, op.op, op.b)
    elif v.now > v.row_at:
        log_span(g, LOG_ROW, cpu, v.row_at, v.now, op.op, op.b)
    v.row_at = -1

cdef inline void run_program(machine_t *g, vcpu_t *v, int cpu, int64_t until) noexcept nogil:
    """Run rows until the stretch ends, the program sleeps or ends, or the host has no frame."""
    while v.program == PROGRAM_RUNS and not yields(g, v, until):
        if v.pc >= v.nr_ops:
            v.program = PROGRAM_ENDED
            break
        if v.row_at < 0:
            v.row_at = v.now
        if run_row(g, v, cpu, &v.ops[v.pc], until):
            log_row(g, v, cpu, &v.ops[v.pc])
            next_row(v)
        elif g.host_oom or v.stalled:
            break

"""Scheduling points: what a vCPU looks at between two steps of what it does."""

from libc.stdint cimport int64_t

from hinting._core.engine.machine cimport PROGRAM_RUNS, THREAD_IDLE, THREAD_WOKEN, machine_t, vcpu_t
from hinting._core.engine.vmm cimport take_submitted

cdef inline bint thread_due(const vcpu_t *v) noexcept nogil:
    """The thread may go on: its wake-up latency is over, or the host's answer is there."""
    return v.thread != THREAD_IDLE and v.thread_at <= v.now

cdef inline void note_wake(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """What the strategy's hooks asked for: reports go out, and a woken thread may run after its latency."""
    if g.strategy == NULL:
        return
    if g.strategy.nr_submitted:
        take_submitted(g, v, cpu)
    if g.strategy.wake[cpu] and v.thread == THREAD_IDLE:
        v.thread = THREAD_WOKEN
        v.thread_at = v.now + g.strategy.wake_latency_ns

cdef inline bint yields(const machine_t *g, const vcpu_t *v, int64_t until) noexcept nogil:
    """Whether this stretch of the vCPU ends here: its time is up, its thread is due, it spins or waits, or kswapd is behind."""
    return (v.now >= until or thread_due(v) or v.waits or v.program != PROGRAM_RUNS
            or g.kswapd.now <= v.now)

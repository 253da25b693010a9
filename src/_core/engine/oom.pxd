"""A guest out of memory: its OOM notifier, then its OOM killer. The process that holds most is ended, and the run goes on."""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport realloc

from hinting._core.engine.machine cimport SIM_NO_MEMORY, kill_t, machine_t, vcpu_t
from hinting._core.engine.meter cimport begin_exit, end_exit
from hinting._core.engine.process cimport process_t
from hinting._core.engine.schedule cimport note_wake
from hinting._core.engine.teardown cimport teardown_step

cdef inline int64_t badness(const process_t *p) noexcept nogil:
    """Pages that a kill sets free, as the kernel counts them: resident pages and page tables."""
    return p.rss_pages + p.tables

cdef inline process_t *biggest_process(machine_t *g) noexcept nogil:
    """The process that is killed, the one with the lower number of two alike; NULL without any."""
    cdef process_t *victim = NULL
    cdef uint32_t i
    for i in range(g.nr_processes):
        if g.process[i].alive and (victim == NULL or badness(&g.process[i]) > badness(victim)):
            victim = &g.process[i]
    return victim

cdef inline bint note_kill(machine_t *g, vcpu_t *v, const process_t *p) noexcept nogil:
    """Remember who was killed; False without memory."""
    cdef kill_t *grown = <kill_t *>realloc(g.kill, (g.guest_oom_kills + 1) * sizeof(kill_t))
    if grown == NULL:
        g.sim.error = SIM_NO_MEMORY
        return False
    g.kill = grown
    grown[g.guest_oom_kills].t_ns = v.now
    grown[g.guest_oom_kills].process = p - g.process
    grown[g.guest_oom_kills].rss_pages = p.rss_pages
    g.guest_oom_kills += 1
    return True

cdef inline bint oom_notified(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """The OOM notifier, before anybody is killed: True if the strategy gives pages back, for which this CPU may have to wait."""
    if g.strategy == NULL or g.strategy.on_oom == NULL or g.strategy.on_oom(g.strategy.self, g.mm, cpu) == 0:
        return False
    note_wake(g, v, cpu)
    return True

cdef inline bint out_of_memory(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """The strategy gives pages back, or the process with the most memory is torn down now and the rest of its rows is skipped.

    False if there is no process left to kill. The row that needs memory tries again, once its CPU need not wait.
    """
    cdef process_t *p
    if oom_notified(g, v, cpu):
        return True
    p = biggest_process(g)
    if p == NULL or not note_kill(g, v, p):
        return False
    p.at_region = 0
    p.at_page = 0
    begin_exit(g, v)
    while not teardown_step(g, v, cpu, p):
        pass
    end_exit(g, v)
    note_wake(g, v, cpu)
    return True

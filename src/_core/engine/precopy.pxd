"""The thread of the VMM that sends a guest's pages to another host, on the engine's clock."""

from libc.stdint cimport int64_t

from hinting._core.engine.machine cimport machine_t
from hinting._core.engine.meter cimport VMM_CLOCK, last_change, note
from hinting._core.engine.stepping cimport settle_oom
from hinting._core.host.backing cimport HOST_OK, wake_host_kswapd
from hinting._core.host.migration cimport send

cdef inline void send_pages(machine_t *g, int64_t now, int64_t most, double within, double *ns) noexcept nogil:
    """Send up to `most` pages from `now` on, for as long as `within` ns. ns: what it took, waits for the swap device included."""
    cdef int64_t sent = 0, until
    cdef int result
    cdef double waited
    if g.sim.host.reclaim == NULL:
        send(g.backing.migration, g.sim.host, g.backing, g.costs, most, within, ns, &sent)
        return
    waited = g.sim.host.reclaim.waited
    g.sim.host.now = now
    result = send(g.backing.migration, g.sim.host, g.backing, g.costs, most, within, ns, &sent)
    g.account.vmm += ns[0] - (g.sim.host.reclaim.waited - waited)
    wake_host_kswapd(g.sim.host, now + <int64_t>g.costs.sched_wakeup_idle_cpu)
    note(g, last_change(g.sim, g, now), VMM_CLOCK)
    if result != HOST_OK:
        until = settle_oom(g.sim, g, now)
        if until > now + <int64_t>ns[0]:
            ns[0] = <double>(until - now)

"""What gives frames back on a host without swap: lazily freed pages first, then huge folios that wait for their split."""

from libc.stdint cimport int64_t

from hinting._core.costs cimport costs_t
from hinting._core.host.deferred cimport shrink_deferred
from hinting._core.host.frames cimport can_take
from hinting._core.host.lazy cimport reclaim_lazy
from hinting._core.host.state cimport HOST_NOMEM, HOST_OK, host_t

cdef inline void reclaim_until(host_t *h, const costs_t *c, int64_t goal, double *ns) noexcept nogil:
    """Reclaim until the host has `goal` free frames or nothing is left to reclaim. Adds its time to ns.

    kswapd calls it with goal = wmark_high when wakes_kswapd(), on its own account.
    """
    reclaim_lazy(h, c, goal, ns)
    shrink_deferred(h, c, goal, ns)

cdef inline int reclaim_for(host_t *h, const costs_t *c, int64_t frames, double *ns) noexcept nogil:
    """Make room for `frames` by direct reclaim."""
    if frames <= 0 or can_take(h, frames):
        return HOST_OK
    h.vm.allocstall += 1
    reclaim_until(h, c, h.wmark_min + frames, ns)
    return HOST_OK if can_take(h, frames) else HOST_NOMEM

"""Everything another core needs of the host, in one place."""

from hinting._core.host.check cimport backing_check, host_check
from hinting._core.host.deferred cimport shrink_deferred
from hinting._core.host.discard cimport backing_discard
from hinting._core.host.fault cimport (
    backing_fault,
    backing_is_mapped,
    backing_is_present,
    backing_touch,
    backing_touch_page,
)
from hinting._core.host.frames cimport can_take, wakes_kswapd
from hinting._core.host.guest cimport (
    backing_free,
    backing_init,
    host_add_guest,
    host_find_guest,
    host_remove_guest,
    host_set_base,
    vmm_frames_of,
)
from hinting._core.host.lazy cimport backing_free_lazily, lazy_init
from hinting._core.host.oom cimport (
    dying_until,
    host_admits,
    host_end_guest,
    host_kill,
    host_oom_kill,
    host_oom_victim,
    host_reap,
    next_reaped,
    oom_badness,
)
from hinting._core.host.kswapd cimport kswapd_step, wake_host_kswapd
from hinting._core.host.reclaim cimport reclaim_for, reclaim_until
from hinting._core.host.state cimport (
    HOST_NOMEM,
    HOST_OK,
    TOUCH_DISK,
    TOUCH_WHOLE,
    TOUCH_WRITEBACK,
    TOUCH_WRITES,
    backing_t,
    block_t,
    host_t,
)

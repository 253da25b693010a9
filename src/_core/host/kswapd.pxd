"""kswapd: reclaim on its own time, from the low watermark up to the high one.

Follows balance_pgdat and kswapd_try_to_sleep (Linux 6.12). A round at a priority goes over all guests; the next one
looks harder if this one looked at less than the high watermark's worth or found nothing.
"""

from libc.stdint cimport int64_t

from hinting._core.costs cimport costs_t
from hinting._core.host.reclaim cimport (
    anon_share,
    drop_text,
    note_anon_cost,
    reclaim_until,
    scan_share,
    scan_t,
    scan_targets,
    shrink_page_cache,
    shrink_step,
)
from hinting._core.host.reclaim_state cimport DEF_PRIORITY, KSWAPD_RETRIES, kswapd_t
from hinting._core.host.state cimport backing_t, host_t
from hinting._core.host.swapcache cimport settle_writes, time_of, wait_write

cdef inline void begin_round(kswapd_t *k) noexcept nogil:
    k.turn = 0
    k.begun = False
    k.scanned = k.reclaimed = 0

cdef inline void wake_host_kswapd(host_t *h, int64_t at) noexcept nogil:
    """Wake kswapd if an allocation now would; it runs from time `at` on."""
    cdef kswapd_t *k
    if h.reclaim == NULL or h.frames_free > h.wmark_low:
        return
    k = &h.reclaim.kswapd
    if k.awake or k.failures >= KSWAPD_RETRIES:
        return
    k.awake = True
    k.priority = DEF_PRIORITY
    k.now = max(k.now, at)
    k.total = 0
    begin_round(k)

cdef inline int64_t will_be_free(const host_t *h) noexcept nogil:
    """Free frames once all writes are done."""
    return h.frames_free + h.reclaim.pages_in_flight

cdef inline void end_round(host_t *h, double *ns) noexcept nogil:
    """Sleep when the high watermark is reached, wait when the writes in flight will reach it, else go on harder."""
    cdef kswapd_t *k = &h.reclaim.kswapd
    k.total += k.reclaimed
    note_anon_cost(h, k.reclaimed)
    settle_writes(h, time_of(h, ns))
    while h.frames_free < h.wmark_high and will_be_free(h) >= h.wmark_high:
        wait_write(h, ns)
    if h.frames_free >= h.wmark_high:
        k.awake = k.ignore_low = False
        k.failures = 0
    elif k.scanned == 0 and not k.ignore_low:
        k.ignore_low = True
    elif k.scanned < h.wmark_high or k.reclaimed == 0:
        k.priority -= 1
        if k.priority < 1:
            k.priority = DEF_PRIORITY
            k.failures = k.failures + 1 if k.total == 0 else 0
            k.total = 0
            k.awake = k.failures < KSWAPD_RETRIES
            k.ignore_low = False
    begin_round(k)

cdef inline void kswapd_step(host_t *h, const costs_t *c, double *ns) noexcept nogil:
    """One batch of kswapd's work; adds its time to ns. It must be awake.

    A round goes over all guests, from where the last one ended, and ends early when enough frames are free or on
    their way.
    """
    cdef kswapd_t *k = &h.reclaim.kswapd
    cdef backing_t *b
    cdef scan_t s
    cdef double share, mine
    s.kswapd = True
    s.scanned = s.reclaimed = 0
    settle_writes(h, time_of(h, ns))
    share = anon_share(h)
    if k.turn == 0 and not k.begun:
        reclaim_until(h, c, h.wmark_high, ns)
        if h.page_cache and share < 1:
            shrink_page_cache(h, c, k.priority, 1 - share, &s, ns)
    if k.turn < h.nr_guests and share > 0 and will_be_free(h) < h.wmark_high:
        if k.guest >= h.nr_guests:
            k.guest = 0
        b = h.guests[k.guest]
        if not k.begun:
            mine = scan_share(h, b, k.ignore_low)
            if mine > 0:
                drop_text(h, b, c, k.priority, &s, ns)
            scan_targets(b, k.priority, share * mine, k.scan)
            k.begun = True
        if not shrink_step(h, b, c, k.scan, &s, ns):
            k.guest += 1
            k.turn += 1
            k.begun = False
        k.scanned += s.scanned
        k.reclaimed += s.reclaimed
        return
    k.scanned += s.scanned
    k.reclaimed += s.reclaimed
    end_round(h, ns)

cdef inline void kswapd_run(host_t *h, const costs_t *c, double *ns) noexcept nogil:
    """Let kswapd work until it sleeps, all at once, from h.now on."""
    cdef kswapd_t *k
    if h.reclaim == NULL:
        reclaim_until(h, c, h.wmark_high, ns)
        return
    k = &h.reclaim.kswapd
    if not k.awake:
        k.awake = True
        k.priority = DEF_PRIORITY
        k.total = 0
        begin_round(k)
    while k.awake:
        kswapd_step(h, c, ns)

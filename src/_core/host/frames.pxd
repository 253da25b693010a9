"""The host's frame pool: one pool for all zones, watermarks, and the draw for a huge frame.

Follows get_page_from_freelist and __zone_watermark_ok (Linux 6.12). There is no buddy allocator of the host: whether
an order-9 block can be had is drawn with probability 1 - fragmentation, less what small frees and swap-in have added.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hinting._core.costs cimport costs_t
from hinting._core.host.state cimport backing_t, host_t
from hinting._core.host.words cimport splitmix64

cdef inline bint can_take(const host_t *h, int64_t frames) noexcept nogil:
    """Whether the watermark lets these frames go one after the other: each needs free > min."""
    return h.frames_free - frames >= h.wmark_min

cdef inline bint wakes_kswapd(const host_t *h) noexcept nogil:
    """Whether an allocation now wakes kswapd."""
    return h.frames_free <= h.wmark_low

cdef inline void take(host_t *h, int64_t frames) noexcept nogil:
    h.frames_free -= frames

cdef inline void give(host_t *h, int64_t frames) noexcept nogil:
    h.frames_free += frames

cdef inline double clear_freed_ns(const host_t *h, const costs_t *c, int64_t frames) noexcept nogil:
    """What it costs to clear frames that were freed one by one, if freed ones are cleared (init_on_free)."""
    return <double>frames * c.mem_clear_4k if h.init_on_free else 0

cdef inline double clear_huge_ns(const host_t *h, const costs_t *c, int64_t frames) noexcept nogil:
    """The same for huge frames freed whole."""
    return <double>frames * c.mem_clear_2m if h.init_on_free else 0

cdef inline bint huge_frame_exists(
    const host_t *h, const backing_t *b, uint32_t block, uint32_t attempt
) noexcept nogil:
    """Draw for a huge frame: a function of seed, guest, block and attempt, so that no draw depends on another."""
    cdef uint64_t x = splitmix64(h.seed ^ splitmix64(b.id))
    cdef double u, fragmentation = h.fragmentation
    x = splitmix64(x ^ (<uint64_t>block << 32 | attempt))
    u = <double>(x >> 11) / <double>(<uint64_t>1 << 53)
    if h.fragmentation_growth > 0:
        fragmentation += h.fragmentation_growth * <double>h.freed_small / <double>h.frames_total
    return u >= fragmentation

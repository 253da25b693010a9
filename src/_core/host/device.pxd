"""A swap device: when a request that is made now will be done.

One queue with some servers; a request takes the latency of its first page and the transfer of the others, and the
bandwidth is a token bucket over all requests of its direction. A rotating device seeks unless the request follows the
last one. Writes at more than half the bandwidth slow the reads of a flash device. Without tails a latency is always
the profile's; with them it is drawn from a log-normal distribution, a function of seed and request number.
"""

from libc.math cimport cos, exp, log, sqrt
from libc.stdint cimport int64_t, uint64_t

from hinting._core.host.reclaim_state cimport DEVICE_READ, DEVICE_WRITE, device_t
from hinting._core.host.words cimport splitmix64

cdef enum:
    RECENT_NS = 100000000               # over which the use of the write bandwidth is averaged

cdef inline double unit_interval(uint64_t x) noexcept nogil:
    """A number above 0 and at most 1."""
    return (<double>(x >> 11) + 1.0) / <double>(<uint64_t>1 << 53)

cdef inline double latency_factor(const device_t *d, int direction) noexcept nogil:
    """What a request's latency is multiplied by: median 1, the 99th percentile exp(2.326 * sigma)."""
    cdef uint64_t x
    if d.sigma[direction] == 0:
        return 1.0
    x = splitmix64(d.seed ^ splitmix64(d.requests))
    return exp(d.sigma[direction] * sqrt(-2.0 * log(unit_interval(x))) * cos(6.283185307179586 * unit_interval(splitmix64(x))))

cdef inline double write_use(const device_t *d, int64_t now) noexcept nogil:
    """Share of the write bandwidth used lately, 0 to 1."""
    cdef double age = <double>(now - d.recent_at) / RECENT_NS if now > d.recent_at else 0.0
    cdef double use = d.recent * exp(-age) * d.page_ns[DEVICE_WRITE] / RECENT_NS
    return use if use < 1.0 else 1.0

cdef inline void note_write(device_t *d, int64_t pages, int64_t at) noexcept nogil:
    """Pages whose transfer begins then."""
    if at > d.recent_at:
        d.recent *= exp(-<double>(at - d.recent_at) / RECENT_NS)
        d.recent_at = at
    d.recent += <double>pages

cdef inline void occupy(device_t *d, int64_t until) noexcept nogil:
    """The server that is free first is busy until then."""
    cdef int at = 0, child
    while True:
        child = 2 * at + 1
        if child >= d.servers:
            break
        if child + 1 < d.servers and d.free_at[child + 1] < d.free_at[child]:
            child += 1
        if d.free_at[child] >= until:
            break
        d.free_at[at] = d.free_at[child]
        at = child
    d.free_at[at] = until

cdef inline int64_t request_io(device_t *d, int direction, int64_t slot, int64_t pages, int64_t now) noexcept nogil:
    """Read or write contiguous slots; returns when it is done."""
    cdef int64_t start = now if now > d.free_at[0] else d.free_at[0]
    cdef int64_t done
    cdef double latency = d.latency[direction] * latency_factor(d, direction)
    cdef double transfer = <double>(pages - 1) * d.page_ns[direction]
    cdef double use
    if d.rotating:
        transfer = <double>pages * d.page_ns[direction]
        if slot == d.last_end:
            latency = 0
    elif direction == DEVICE_READ:
        use = write_use(d, now)
        if use > 0.5:
            latency *= 1.0 + 2.0 * (use - 0.5)
    if d.ready[direction] < <double>now:
        d.ready[direction] = <double>now
    if direction == DEVICE_WRITE:
        note_write(d, pages, <int64_t>d.ready[direction])
    d.ready[direction] += <double>pages * d.page_ns[direction]
    done = start + <int64_t>(latency + transfer)
    occupy(d, done)
    d.requests += 1
    d.last_end = slot + pages
    return done if <double>done > d.ready[direction] else <int64_t>d.ready[direction]

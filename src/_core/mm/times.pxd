"""When each page of a guest was freed or given back, and how much memory is in use: kept for guests in virtual time.

One 32-bit stamp a page, in ticks of 16.4 us up to 9.8 hours. The allocator stamps frees, whoever runs the guest moves the
clock and stamps what the host takes. A stamp array costs nothing until memory is freed.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free

from hinting._core.common cimport pfn_t
from hinting._core.memory cimport munmap, zero_pages

cdef enum:
    TICK_SHIFT = 14                     # ns of a tick, as a power of two
    STAMP_GIVEN = 0x80000000            # the page was given back and not backed since
    STAMP_TICK = 0x7FFFFFFF

ctypedef struct times_t:
    uint32_t *stamp                     # per page: 0 not freed since it was backed, else the tick of its latest free
    size_t bytes
    int64_t now                         # ns
    int64_t used                        # pages that are not free, reserved memory included
    double used_time                    # sum of the changes of `used`, each times when it happened: pages x ns
    int64_t freed                       # pages freed that the host still backed
    int64_t *exit_freed                 # the same for the process exit under way, NULL: none

cdef inline times_t *times_new(int64_t npfn) noexcept nogil:
    """NULL without memory."""
    cdef times_t *t = <times_t *>calloc(1, sizeof(times_t))
    if t == NULL:
        return NULL
    t.bytes = npfn * sizeof(uint32_t)
    t.stamp = <uint32_t *>zero_pages(t.bytes)
    if t.stamp == NULL:
        free(t)
        return NULL
    return t

cdef inline void times_free(times_t *t) noexcept nogil:
    if t != NULL:
        munmap(t.stamp, t.bytes)
        free(t)

cdef inline uint32_t stamp_of(int64_t ns) noexcept nogil:
    """A stamp is never 0, and later times than the last tick are the last tick."""
    cdef int64_t tick = (ns >> TICK_SHIFT) + 1
    return <uint32_t>tick if tick <= STAMP_TICK else STAMP_TICK

cdef inline int64_t stamp_ns(uint32_t stamp) noexcept nogil:
    return (<int64_t>(stamp & STAMP_TICK) - 1) << TICK_SHIFT

cdef inline void note_used(times_t *t, int64_t pages) noexcept nogil:
    t.used += pages
    t.used_time += <double>pages * <double>t.now

cdef inline void note_freed(times_t *t, pfn_t pfn, int order) noexcept nogil:
    """A block of pages is freed; pages that the host does not back stay as they are."""
    cdef uint32_t stamp = stamp_of(t.now)
    cdef int64_t i, freed = 0
    note_used(t, -(<int64_t>1 << order))
    for i in range(<int64_t>1 << order):
        if not t.stamp[pfn + i] & STAMP_GIVEN:
            t.stamp[pfn + i] = stamp
            freed += 1
    t.freed += freed
    if t.exit_freed != NULL:
        t.exit_freed[0] += freed

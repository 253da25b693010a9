"""The per-CPU array of freed pages: append, look up, replace, drop, pack."""

from libc.stdint cimport int32_t, int64_t, int8_t, uint32_t

from hinting._core.common cimport pfn_t

cdef enum:
    SLOT_BLOCK = 64                     # entries compared at a time; arrays are padded to a multiple

ctypedef struct capture_t:
    pfn_t *pfn                          # an empty slot has pfn 0 and order -1
    int8_t *order
    int8_t *zone
    int64_t capacity
    int64_t n                           # entries in use, the kernel's index

cdef inline int64_t find_pfn(const capture_t *c, pfn_t pfn) noexcept nogil:
    """Index of the first entry with this pfn over all slots, -1 if none."""
    cdef int64_t base = 0, i
    cdef uint32_t hits
    while base < c.capacity:
        hits = 0
        for i in range(SLOT_BLOCK):
            hits |= c.pfn[base + i] == pfn
        if hits:
            for i in range(base, base + SLOT_BLOCK):
                if c.pfn[i] == pfn:
                    return i
        base += SLOT_BLOCK
    return -1

cdef inline void append(capture_t *c, pfn_t pfn, int order, int zone) noexcept nogil:
    c.pfn[c.n] = pfn
    c.order[c.n] = <int8_t>order
    c.zone[c.n] = <int8_t>zone
    c.n += 1

cdef inline void clear(capture_t *c, int64_t i) noexcept nogil:
    c.pfn[i] = 0
    c.order[i] = -1
    c.zone[i] = -1

cdef inline void pack(capture_t *c) noexcept nogil:
    """Move what is left to the front, in order; the rest becomes empty."""
    cdef int64_t i, kept = 0
    for i in range(c.capacity):
        if c.order[i] >= 0:
            c.pfn[kept] = c.pfn[i]
            c.order[kept] = c.order[i]
            c.zone[kept] = c.zone[i]
            kept += 1
    c.n = kept
    for i in range(kept, c.capacity):
        clear(c, i)

"""The per-CPU array of freed pages: append, look up, replace, drop, pack.

A scan looks up a head for every entry. The source compares it with all slots; here an index by hash answers, made at
the start of the scan and kept up to date by `replace`. A cleared entry stays in it and matches nothing.
"""

from libc.stdint cimport int32_t, int64_t, int8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from hinting._core.common cimport pfn_t

ctypedef struct capture_t:
    pfn_t *pfn                          # an empty slot has pfn 0 and order -1
    int8_t *order
    int8_t *zone
    int64_t capacity
    int64_t n                           # entries in use, the kernel's index
    int32_t *bucket                     # index: first entry + 1 of each hash value, 0 none
    int32_t *chain                      # the next entry + 1 of the same hash value; one page's entries ascend
    int shift                           # 32 - log2(buckets)

cdef inline bint capture_init(capture_t *c, int64_t capacity) noexcept nogil:
    """Make an empty array of so many entries; False without memory."""
    cdef int bits = 6
    while <int64_t>1 << bits < capacity:
        bits += 1
    c.capacity = capacity
    c.n = 0
    c.shift = 32 - bits
    c.pfn = <pfn_t *>calloc(capacity, sizeof(pfn_t))
    c.order = <int8_t *>calloc(capacity, 1)
    c.zone = <int8_t *>calloc(capacity, 1)
    c.bucket = <int32_t *>calloc(<int64_t>1 << bits, sizeof(int32_t))
    c.chain = <int32_t *>calloc(capacity, sizeof(int32_t))
    if not (c.pfn and c.order and c.zone and c.bucket and c.chain):
        return False
    memset(c.order, -1, capacity)
    memset(c.zone, -1, capacity)
    return True

cdef inline void capture_free(capture_t *c) noexcept nogil:
    free(c.pfn)
    free(c.order)
    free(c.zone)
    free(c.bucket)
    free(c.chain)

cdef inline int32_t *bucket_of(const capture_t *c, pfn_t pfn) noexcept nogil:
    return &c.bucket[(pfn * <uint32_t>0x9E3779B1) >> c.shift]

cdef inline void link_entry(capture_t *c, int64_t i) noexcept nogil:
    cdef int32_t *bucket = bucket_of(c, c.pfn[i])
    c.chain[i] = bucket[0]
    bucket[0] = <int32_t>(i + 1)

cdef inline void unlink_entry(capture_t *c, int64_t i) noexcept nogil:
    cdef int32_t *link = bucket_of(c, c.pfn[i])
    while link[0] != i + 1:
        link = &c.chain[link[0] - 1]
    link[0] = c.chain[i]

cdef inline void index_entries(capture_t *c) noexcept nogil:
    """Begin a scan: index the entries in use."""
    cdef int64_t i
    memset(c.bucket, 0, (<size_t>1 << (32 - c.shift)) * sizeof(int32_t))
    for i in range(c.n - 1, -1, -1):
        link_entry(c, i)

cdef inline int64_t find_pfn(const capture_t *c, pfn_t pfn) noexcept nogil:
    """Index of the first slot with this pfn, -1 if none; empty slots have pfn 0. Only during a scan."""
    cdef int64_t i
    if pfn == 0:
        for i in range(c.capacity):
            if c.pfn[i] == 0:
                return i
        return -1
    i = bucket_of(c, pfn)[0] - 1
    while i >= 0 and c.pfn[i] != pfn:
        i = c.chain[i] - 1
    return i

cdef inline void append(capture_t *c, pfn_t pfn, int order, int zone) noexcept nogil:
    c.pfn[c.n] = pfn
    c.order[c.n] = <int8_t>order
    c.zone[c.n] = <int8_t>zone
    c.n += 1

cdef inline void clear(capture_t *c, int64_t i) noexcept nogil:
    c.pfn[i] = 0
    c.order[i] = -1
    c.zone[i] = -1

cdef inline void replace(capture_t *c, int64_t i, pfn_t pfn, int order) noexcept nogil:
    """Put a block in an entry's place in the middle of a scan. No other entry has its pfn."""
    unlink_entry(c, i)
    c.pfn[i] = pfn
    c.order[i] = <int8_t>order
    link_entry(c, i)

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
    memset(c.pfn + kept, 0, (c.capacity - kept) * sizeof(pfn_t))
    memset(c.order + kept, -1, c.capacity - kept)
    memset(c.zone + kept, -1, c.capacity - kept)

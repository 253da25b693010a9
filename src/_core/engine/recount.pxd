"""Invariants of a guest's memory in use, verified by a full recount."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport NO_PFN, pfn_t
from hinting._core.engine.machine cimport machine_t
from hinting._core.engine.pagecache cimport (
    CACHE_ACTIVE,
    CACHE_DIRTY,
    CACHE_FILE,
    EVICTED,
    LRU_ACTIVE,
    cache_t,
    owner_t,
)
from hinting._core.mm.pages cimport TAG_ORDER, tag_is_used
from hinting._core.mm.state cimport mm_t

cdef enum:
    COUNT_FINE = 0
    COUNT_NOT_USED = 1                  # a page in use that the allocator does not know as allocated
    COUNT_LRU = 2                       # an LRU list is broken
    COUNT_FILE = 3                      # a file and its cached page disagree
    COUNT_CACHED = 4                    # a count of cached pages
    COUNT_DIRTY = 5

cdef inline bint is_single(mm_t *m, pfn_t pfn) noexcept nogil:
    """An allocated page of order 0."""
    return pfn < m.npfn and tag_is_used(m.tag[pfn]) and (m.tag[pfn] & TAG_ORDER) == 0

cdef inline int recount_cache(machine_t *g, pfn_t *bad) noexcept nogil:
    """COUNT_*; bad: the page that is wrong."""
    cdef cache_t *c = &g.cache
    cdef int64_t n, dirty = 0, listed = 0, index
    cdef uint32_t file
    cdef int i
    cdef pfn_t pfn, newer
    cdef owner_t o
    for i in range(2):
        n = 0
        newer = NO_PFN
        pfn = c.lru[i].newest
        while pfn != NO_PFN:
            bad[0] = pfn
            if not is_single(g.mm, pfn):
                return COUNT_NOT_USED
            o = c.owner[pfn]
            if g.mm.link[pfn].prev != newer or ((o.file & CACHE_ACTIVE) != 0) != (i == LRU_ACTIVE) or n > c.lru[i].n:
                return COUNT_LRU
            if (o.file & CACHE_FILE) >= c.nr_files or c.file[o.file & CACHE_FILE].page[o.index] != pfn:
                return COUNT_FILE
            dirty += (o.file & CACHE_DIRTY) != 0
            n += 1
            newer = pfn
            pfn = g.mm.link[pfn].next
        bad[0] = newer
        if c.lru[i].oldest != newer or c.lru[i].n != n:
            return COUNT_LRU
        listed += n
    if dirty != c.dirty:
        return COUNT_DIRTY
    for file in range(c.nr_files):
        n = 0
        for index in range(c.file[file].pages):
            if c.file[file].page[index] and not c.file[file].page[index] & EVICTED:
                n += 1
                if index >= c.file[file].end:
                    return COUNT_FILE
        if n != c.file[file].cached:
            return COUNT_CACHED
        listed -= n
    return COUNT_FINE if listed == 0 else COUNT_CACHED

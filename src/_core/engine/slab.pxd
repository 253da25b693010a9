"""Kernel caches of small objects, as SLUB keeps them: slabs of a few pages, filled one after the other.

New objects go to the slab in use, then to slabs with free places in the order in which they came to have some, then to a
new slab. A slab is freed when its last object goes; one object keeps all of it, which is how kernel memory scatters over
pageblocks. Left out: per-CPU slabs, the few empty slabs that SLUB keeps, and its lower orders when memory is short.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from hinting._core.common cimport pfn_t
from hinting._core.mm.alloc cimport free_pages
from hinting._core.mm.state cimport mm_t

cdef enum:
    NO_SLAB = 0xFFFFFFFF

    TAKE_SCATTERED = 0                  # which objects go
    TAKE_OLDEST = 1
    TAKE_NEWEST = 2

ctypedef struct queue_t:                # of slab numbers
    uint32_t *at
    int64_t first
    int64_t n
    int64_t size                        # a power of two

ctypedef struct slab_t:
    pfn_t pfn                           # 0: freed
    uint16_t used                       # objects
    uint8_t queued                      # waits in `partial`

ctypedef struct slab_cache_t:
    int order                           # pages of a slab, as an order
    int kind                            # KIND_*
    int64_t places                      # objects of a slab; 0: no such cache
    slab_t *slab
    int64_t nr_slabs                    # entries used so far
    int64_t slabs_size
    int64_t live                        # slabs that exist
    queue_t spare                       # entries of freed slabs
    queue_t partial                     # slabs with free places, the first to be filled first
    queue_t object                      # slab of each object, oldest first
    uint32_t current                    # slab in use, NO_SLAB
    uint64_t draws

cdef inline bint queue_push(queue_t *q, uint32_t value) noexcept nogil:
    """Append; False without memory."""
    cdef uint32_t *grown
    cdef int64_t i
    if q.n == q.size:
        grown = <uint32_t *>realloc(q.at, (q.size * 2 if q.size else 64) * sizeof(uint32_t))
        if grown == NULL:
            return False
        for i in range(q.first):        # what had wrapped around follows the old end
            grown[q.size + i] = grown[i]
        q.at = grown
        q.size = q.size * 2 if q.size else 64
    q.at[(q.first + q.n) & (q.size - 1)] = value
    q.n += 1
    return True

cdef inline uint32_t queue_pop_first(queue_t *q) noexcept nogil:
    cdef uint32_t value = q.at[q.first]
    q.first = (q.first + 1) & (q.size - 1)
    q.n -= 1
    return value

cdef inline uint32_t queue_pop_last(queue_t *q) noexcept nogil:
    q.n -= 1
    return q.at[(q.first + q.n) & (q.size - 1)]

cdef inline uint32_t queue_take(queue_t *q, int64_t i) noexcept nogil:
    """Take out number i; the last one takes its place."""
    cdef uint32_t *place = &q.at[(q.first + i) & (q.size - 1)]
    cdef uint32_t value = place[0]
    place[0] = queue_pop_last(q)
    return value

cdef inline void slab_cache_init(slab_cache_t *c, int order, int kind, int64_t places, uint32_t number) noexcept nogil:
    c.order = order
    c.kind = kind
    c.places = places
    c.current = NO_SLAB
    c.draws = <uint64_t>number << 32

cdef inline void slab_cache_drop(slab_cache_t *c) noexcept nogil:
    """Free what the emulation keeps about a cache."""
    free(c.slab)
    free(c.spare.at)
    free(c.partial.at)
    free(c.object.at)

cdef inline uint64_t draw(slab_cache_t *c) noexcept nogil:
    """The next of the cache's random numbers (SplitMix64)."""
    cdef uint64_t z
    c.draws += 1
    z = c.draws * <uint64_t>0x9E3779B97F4A7C15
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)

cdef inline bint find_place(slab_cache_t *c) noexcept nogil:
    """Let `current` be a slab with a free place; False if a new slab is needed."""
    cdef uint32_t i
    if c.current != NO_SLAB and c.slab[c.current].used < c.places:
        return True
    c.current = NO_SLAB
    while c.partial.n:
        i = queue_pop_first(&c.partial)
        c.slab[i].queued = 0
        if c.slab[i].pfn == 0:
            queue_push(&c.spare, i)
        elif c.slab[i].used < c.places:
            c.current = i
            return True
    return False

cdef inline bint add_slab(slab_cache_t *c, pfn_t pfn) noexcept nogil:
    """A new slab becomes the one in use; False without memory."""
    cdef slab_t *grown
    if c.spare.n:
        c.current = queue_pop_last(&c.spare)
    else:
        if c.nr_slabs == c.slabs_size:
            grown = <slab_t *>realloc(c.slab, (c.slabs_size * 2 + 64) * sizeof(slab_t))
            if grown == NULL:
                return False
            c.slab = grown
            c.slabs_size = c.slabs_size * 2 + 64
        c.current = <uint32_t>c.nr_slabs
        c.nr_slabs += 1
    c.slab[c.current].pfn = pfn
    c.slab[c.current].used = 0
    c.slab[c.current].queued = 0
    c.live += 1
    return True

cdef inline bint add_object(slab_cache_t *c) noexcept nogil:
    """An object in the slab in use, which has a place; False without memory."""
    if not queue_push(&c.object, c.current):
        return False
    c.slab[c.current].used += 1
    return True

cdef inline int64_t free_slab(mm_t *m, int cpu, slab_cache_t *c, uint32_t i) noexcept nogil:
    """Free an empty slab; returns its pages."""
    free_pages(m, cpu, c.slab[i].pfn, c.order)
    c.slab[i].pfn = 0
    c.live -= 1
    if not c.slab[i].queued:
        queue_push(&c.spare, i)
    return <int64_t>1 << c.order

cdef inline int64_t free_object(mm_t *m, int cpu, slab_cache_t *c, int take) noexcept nogil:
    """Free one object, chosen by `take`; returns the pages that this set free."""
    cdef uint32_t i
    if take == TAKE_OLDEST:
        i = queue_pop_first(&c.object)
    elif take == TAKE_NEWEST:
        i = queue_pop_last(&c.object)
    else:
        i = queue_take(&c.object, <int64_t>(draw(c) % <uint64_t>c.object.n))
    c.slab[i].used -= 1
    if i == c.current:
        return 0
    if c.slab[i].used == 0:
        return free_slab(m, cpu, c, i)
    if not c.slab[i].queued and queue_push(&c.partial, i):
        c.slab[i].queued = 1
    return 0

cdef inline int64_t retire_current(mm_t *m, int cpu, slab_cache_t *c) noexcept nogil:
    """Free the slab in use if it is empty; returns its pages."""
    cdef uint32_t i = c.current
    if i == NO_SLAB or c.slab[i].used:
        return 0
    c.current = NO_SLAB
    return free_slab(m, cpu, c, i)

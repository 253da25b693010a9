"""The guest's page cache: files, the pages that hold their contents, and the two LRU lists of these pages.

A new page enters the inactive list; the second access moves it to the active list. What reclaim evicted leaves the
age of its eviction behind: if it comes back before as much was evicted as the active list holds, it is activated at
once. List links are the page's own in the allocator's array, which the allocator does not use while a page is allocated.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport NO_PFN, pfn_t
from hinting._core.mm.state cimport link_t, mm_t

cdef enum:
    CACHE_DIRTY = 0x80000000            # in owner_t.file
    CACHE_REFERENCED = 0x40000000
    CACHE_ACTIVE = 0x20000000
    CACHE_FILE = 0x1FFFFFFF
    CACHE_FLAGS_SHIFT = 29

    EVICTED = 0x80000000                # in file_t.page: the rest is the age of the eviction

    LRU_INACTIVE = 0
    LRU_ACTIVE = 1

    GIB_ORDER = 18                      # pages of a GiB

ctypedef struct owner_t:                # of a cached page
    uint32_t file                       # number of the file, CACHE_*
    uint32_t index                      # page of the file

ctypedef struct file_t:
    uint32_t *page                      # [pages]: pfn of the cached page, EVICTED | age, or 0
    int64_t pages                       # room
    int64_t end                         # one past the last page that was ever cached
    int64_t cached

ctypedef struct lru_t:
    pfn_t oldest                        # NO_PFN if the list is empty
    pfn_t newest
    int64_t n

ctypedef struct written_t:              # pages of a file that became dirty together
    uint32_t file
    uint32_t first
    uint32_t n
    int64_t t_ns

ctypedef struct cache_t:
    file_t *file
    uint32_t nr_files
    owner_t *owner                      # by pfn; NULL until the first file is used
    size_t owner_bytes
    lru_t lru[2]
    int64_t dirty                       # pages
    uint32_t age                        # evictions and activations
    written_t *written                  # ring of dirty ranges, oldest first; pages in it may be clean again
    int64_t written_at
    int64_t written_n
    int64_t written_size                # a power of two
    int64_t flusher_now                 # time up to which the flusher has worked
    uint32_t read_file                  # page that a sequential reader reads next
    uint32_t read_index
    int64_t reads                       # pages read from the disk
    int64_t writebacks                  # pages written to the disk
    int64_t refaults                    # evicted pages that came back
    int64_t refault_activations         # of these, activated at once

cdef inline void cache_init(cache_t *c) noexcept nogil:
    cdef int i
    for i in range(2):
        c.lru[i].oldest = NO_PFN
        c.lru[i].newest = NO_PFN
    c.read_index = 0xFFFFFFFF

cdef inline int64_t cached_pages(const cache_t *c) noexcept nogil:
    return c.lru[LRU_INACTIVE].n + c.lru[LRU_ACTIVE].n

cdef inline void lru_add(mm_t *m, lru_t *list, pfn_t pfn) noexcept nogil:
    """Enter a page as the newest."""
    cdef link_t *links = m.link
    links[pfn].prev = NO_PFN
    links[pfn].next = list.newest       # next: the next older page
    if list.newest == NO_PFN:
        list.oldest = pfn
    else:
        links[list.newest].prev = pfn
    list.newest = pfn
    list.n += 1

cdef inline void lru_del(mm_t *m, lru_t *list, pfn_t pfn) noexcept nogil:
    cdef link_t own = m.link[pfn]
    if own.prev == NO_PFN:
        list.newest = own.next
    else:
        m.link[own.prev].next = own.next
    if own.next == NO_PFN:
        list.oldest = own.prev
    else:
        m.link[own.next].prev = own.prev
    list.n -= 1

cdef inline lru_t *lru_of(cache_t *c, pfn_t pfn) noexcept nogil:
    return &c.lru[LRU_ACTIVE if c.owner[pfn].file & CACHE_ACTIVE else LRU_INACTIVE]

cdef inline void mark_accessed(mm_t *m, cache_t *c, pfn_t pfn) noexcept nogil:
    """One access by a read or write call; the second one activates."""
    cdef owner_t *o = &c.owner[pfn]
    if not o.file & CACHE_REFERENCED:
        o.file |= CACHE_REFERENCED
    elif not o.file & CACHE_ACTIVE:
        lru_del(m, &c.lru[LRU_INACTIVE], pfn)
        o.file = o.file & ~<uint32_t>CACHE_REFERENCED | CACHE_ACTIVE
        lru_add(m, &c.lru[LRU_ACTIVE], pfn)
        c.age += 1

cdef inline void deactivate(mm_t *m, cache_t *c, pfn_t pfn) noexcept nogil:
    lru_del(m, &c.lru[LRU_ACTIVE], pfn)
    c.owner[pfn].file &= ~<uint32_t>(CACHE_ACTIVE | CACHE_REFERENCED)
    lru_add(m, &c.lru[LRU_INACTIVE], pfn)

cdef inline int64_t isqrt(int64_t n) noexcept nogil:
    cdef int64_t root = 0
    while (root + 1) * (root + 1) <= n:
        root += 1
    return root

cdef inline bint inactive_is_low(const cache_t *c) noexcept nogil:
    """Whether the active list must give pages up: inactive * ratio < active, ratio = isqrt(10 * GiB), 1 below a GiB."""
    cdef int64_t gib = cached_pages(c) >> GIB_ORDER
    return c.lru[LRU_INACTIVE].n * (isqrt(10 * gib) if gib else 1) < c.lru[LRU_ACTIVE].n

cdef inline void cache_add(mm_t *m, cache_t *c, uint32_t file, uint32_t index, pfn_t pfn) noexcept nogil:
    """A new page of a file; one that was evicted not long ago goes to the active list."""
    cdef file_t *f = &c.file[file]
    cdef uint32_t shadow = f.page[index]
    cdef int which = LRU_INACTIVE
    c.owner[pfn].file = file
    c.owner[pfn].index = index
    if shadow & EVICTED:
        c.refaults += 1
        if ((c.age - shadow) & ~<uint32_t>EVICTED) <= c.lru[LRU_ACTIVE].n:
            c.refault_activations += 1
            c.owner[pfn].file |= CACHE_ACTIVE
            which = LRU_ACTIVE
            c.age += 1
    f.page[index] = pfn
    f.cached += 1
    if index >= f.end:
        f.end = <int64_t>index + 1
    lru_add(m, &c.lru[which], pfn)

cdef inline pfn_t cached(const cache_t *c, uint32_t file, uint32_t index) noexcept nogil:
    """The page that holds a page of a file, NO_PFN if none does."""
    cdef uint32_t entry = c.file[file].page[index]
    return NO_PFN if entry == 0 or entry & EVICTED else entry

cdef inline void cache_del(mm_t *m, cache_t *c, pfn_t pfn, bint evict) noexcept nogil:
    """Take a page out of the cache; the caller frees it. evict: remember when."""
    cdef owner_t *o = &c.owner[pfn]
    cdef file_t *f = &c.file[o.file & CACHE_FILE]
    lru_del(m, lru_of(c, pfn), pfn)
    c.dirty -= (o.file & CACHE_DIRTY) != 0
    f.cached -= 1
    f.page[o.index] = c.age | EVICTED if evict else 0
    c.age += evict

cdef inline bint is_cached(const cache_t *c, pfn_t pfn) noexcept nogil:
    """Whether an allocated page holds a page of a file; once a file was used."""
    cdef uint32_t file = c.owner[pfn].file & CACHE_FILE
    cdef uint32_t index = c.owner[pfn].index
    return file < c.nr_files and index < c.file[file].pages and c.file[file].page[index] == pfn

cdef inline void cache_move(mm_t *m, cache_t *c, pfn_t pfn, pfn_t new) noexcept nogil:
    """A page of a file is in another place from now on, as the newest of its list."""
    cdef lru_t *list = lru_of(c, pfn)
    lru_del(m, list, pfn)
    c.owner[new] = c.owner[pfn]
    c.file[c.owner[new].file & CACHE_FILE].page[c.owner[new].index] = new
    lru_add(m, list, new)

"""Invariants of a guest's memory in use, verified by a full recount."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from hinting.errors import CheckError

from hinting._core.common cimport NO_PFN, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, pfn_t
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
from hinting._core.engine.process cimport PTE_SHARED, TABLE_HUGE, TABLE_PAGES, process_t, region_t
from hinting._core.engine.sharing cimport PARTS, QUEUED, WHOLE, huge_head
from hinting._core.engine.slab cimport slab_cache_t, slab_t
from hinting._core.mm.pages cimport TAG_ORDER, tag_is_used
from hinting._core.mm.state cimport link_t, mm_t

cdef enum:
    COUNT_FINE = 0
    COUNT_NOT_USED = 1                  # a page in use that the allocator does not know as allocated
    COUNT_LRU = 2                       # an LRU list is broken
    COUNT_FILE = 3                      # a file and its cached page disagree
    COUNT_CACHED = 4                    # a count of cached pages
    COUNT_DIRTY = 5
    COUNT_MAPPING = 6                   # a page is mapped otherwise than its counts say
    COUNT_QUEUE = 7                     # a partly unmapped huge page and the queue disagree
    COUNT_RSS = 8                       # a process's own counts; the page is its number
    COUNT_SLAB = 9                      # a kernel cache's objects or slabs; the page is its number

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

ctypedef struct census_t:               # mappings found in all address spaces
    uint16_t *parts                     # by pfn: table entries
    uint16_t *whole                     # by 2 MiB: mappings of the whole huge page
    uint8_t *counted                    # by pfn: 1 an entry says that its mappings are counted, 2 one says they are not

cdef inline int count_entry(machine_t *g, census_t *s, uint32_t entry, bint huge) noexcept nogil:
    cdef pfn_t pfn = entry & ~<uint32_t>PTE_SHARED
    if pfn >= g.mm.npfn or huge and huge_head(g.mm, pfn) != pfn or not huge and huge_head(g.mm, pfn) == NO_PFN and (
            not is_single(g.mm, pfn)):
        return COUNT_NOT_USED
    if huge:
        s.whole[pfn >> PAGEBLOCK_ORDER] += 1
    else:
        s.parts[pfn] += 1
    s.counted[pfn] |= 1 if entry & PTE_SHARED else 2
    return COUNT_FINE

cdef inline int count_region(
    machine_t *g, census_t *s, const region_t *r, int64_t *rss, int64_t *tables, pfn_t *bad,
) noexcept nogil:
    """Enter the entries of a mapping; rss, tables: grow by its pages and its tables."""
    cdef int64_t i, page, end
    cdef int result
    for i in range(r.tables + r.directories):
        if r.table[i] == 0:
            continue
        tables[0] += 1
        bad[0] = r.table[i] & ~<uint32_t>TABLE_HUGE
        if not is_single(g.mm, bad[0]):
            return COUNT_NOT_USED
    for i in range(r.tables):
        page = i * TABLE_PAGES
        end = page + TABLE_PAGES if page + TABLE_PAGES < r.pages else r.pages
        if r.table[i] & TABLE_HUGE:
            bad[0] = r.pte[page] & ~<uint32_t>PTE_SHARED
            result = count_entry(g, s, r.pte[page], True)
            if result != COUNT_FINE:
                return result
            rss[0] += TABLE_PAGES
            page += 1
        while page < end:
            if r.pte[page]:
                bad[0] = r.pte[page] & ~<uint32_t>PTE_SHARED
                if r.table[i] == 0 or r.table[i] & TABLE_HUGE:
                    return COUNT_MAPPING
                result = count_entry(g, s, r.pte[page], False)
                if result != COUNT_FINE:
                    return result
                rss[0] += 1
            page += 1
    return COUNT_FINE

cdef inline int compare_huge(machine_t *g, const census_t *s, pfn_t head) noexcept nogil:
    """The counts of a huge page against the mappings that there are."""
    cdef const link_t *links = g.mm.link + head
    cdef uint32_t parts = 0
    cdef uint32_t whole = s.whole[head >> PAGEBLOCK_ORDER]
    cdef int i
    cdef bint counted = False
    for i in range(PAGEBLOCK_PAGES):
        parts += s.parts[head + i] > 0
        counted = counted or s.counted[head + i] == 1
        if s.counted[head + i] == 3:
            return COUNT_MAPPING
    if not counted:
        return COUNT_FINE if whole == 1 and parts == 0 else COUNT_MAPPING
    if links[WHOLE].next != whole or links[PARTS].next != parts:
        return COUNT_MAPPING
    for i in range(PAGEBLOCK_PAGES):
        if links[i].prev != s.parts[head + i]:
            return COUNT_MAPPING
    return COUNT_FINE if (links[QUEUED].next != 0) == (whole == 0 and parts < PAGEBLOCK_PAGES) else COUNT_QUEUE

cdef inline int compare_counts(machine_t *g, const census_t *s, pfn_t *bad) noexcept nogil:
    cdef pfn_t pfn
    cdef int result
    for pfn in range(g.mm.npfn):
        if s.counted[pfn] == 0:
            continue
        bad[0] = pfn
        if huge_head(g.mm, pfn) != NO_PFN:
            result = compare_huge(g, s, huge_head(g.mm, pfn))
            if result != COUNT_FINE:
                return result
        elif s.counted[pfn] == 3 or s.counted[pfn] == 2 and s.parts[pfn] != 1:
            return COUNT_MAPPING
        elif s.counted[pfn] == 1 and g.mm.link[pfn].prev != s.parts[pfn]:
            return COUNT_MAPPING
    return COUNT_FINE

cdef inline int recount_processes(machine_t *g, census_t *s, pfn_t *bad) noexcept nogil:
    """All address spaces against the counts of mappings; s: zeroed arrays."""
    cdef process_t *p
    cdef int64_t rss, tables
    cdef uint32_t i, k
    cdef int n, result
    for i in range(g.nr_processes):
        p = &g.process[i]
        if not p.alive:
            continue
        rss = 0
        tables = 0
        for n in range(p.nr_kernel):
            bad[0] = p.kernel[n]
            if not is_single(g.mm, p.kernel[n]):
                return COUNT_NOT_USED
        for k in range(p.nr_regions):
            result = count_region(g, s, &p.region[k], &rss, &tables, bad)
            if result != COUNT_FINE:
                return result
        bad[0] = i
        if rss != p.rss_pages or tables != p.tables:
            return COUNT_RSS
    return compare_counts(g, s, bad)

cdef inline int recount_slab(machine_t *g, pfn_t *bad) noexcept nogil:
    """Objects and slabs of all kernel caches."""
    cdef slab_cache_t *c
    cdef slab_t *slab
    cdef uint32_t i
    cdef int64_t k, objects, live
    for i in range(g.nr_slab_caches):
        c = &g.slab_cache[i]
        objects = 0
        live = 0
        for k in range(c.nr_slabs):
            slab = &c.slab[k]
            if slab.pfn == 0:
                continue
            bad[0] = slab.pfn
            if not tag_is_used(g.mm.tag[slab.pfn]) or (g.mm.tag[slab.pfn] & TAG_ORDER) != c.order:
                return COUNT_NOT_USED
            objects += slab.used
            live += 1
        bad[0] = i
        if objects != c.object.n or live != c.live:
            return COUNT_SLAB
    return COUNT_FINE

cdef inline str found(int result):
    """What a recount found, in words."""
    return (
        "", "in use, but not an allocated page", "its LRU list is broken", "its file has another page there",
        "the number of cached pages differs", "the number of dirty pages differs", "it is mapped otherwise than counted",
        "the queue of huge pages to split is wrong", "(a process): its pages or tables are miscounted",
        "(a kernel cache): its objects or slabs are miscounted",
    )[result]

cdef inline int check_counts(machine_t *g) except -1:
    """Raise CheckError if page cache, processes or kernel caches are not as counted."""
    cdef pfn_t bad = NO_PFN
    cdef int result
    cdef census_t s
    s.parts = <uint16_t *>calloc(g.mm.npfn + 1, 5)
    if s.parts == NULL:
        raise MemoryError()
    s.whole = s.parts + g.mm.npfn
    s.counted = <uint8_t *>(s.whole + g.mm.npfn)
    with nogil:
        result = recount_cache(g, &bad)
        if result == COUNT_FINE:
            result = recount_processes(g, &s, &bad)
        if result == COUNT_FINE:
            result = recount_slab(g, &bad)
    free(s.parts)
    if result != COUNT_FINE:
        raise CheckError(f"guest {g.number}, pfn {bad}: {found(result)}")
    return 0

"""Processes of a guest: address spaces, page faults, and teardown through batches of freed pages.

A mapping holds one 32-bit entry a page: 0 not mapped, else the pfn, with HUGE in the first entry of a 2 MiB mapping.
Teardown gathers pages in address order into batches (8, then 510 pages each) and frees each batch as one list; the
table pages of the address space go last.
"""

from libc.stdint cimport int64_t, uint32_t, uint8_t
from libc.stdlib cimport calloc, free, realloc

from hinting._core.common cimport NO_PFN, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, pfn_t
from hinting._core.memory cimport munmap, zero_pages
from hinting._core.mm.alloc cimport alloc_pages, free_list, free_pages
from hinting._core.mm.state cimport mm_t

cdef enum:
    PTE_HUGE = 0x80000000

    GATHER_FIRST = 8                    # pages of the first batch, which lives on the stack
    GATHER_BATCH = 510                  # pages of one further batch: a page of pointers less its header
    GATHER_BATCHES = 19                 # further batches before a forced flush
    GATHER_MAX = GATHER_FIRST + GATHER_BATCH * GATHER_BATCHES
    TABLE_PAGES = PAGEBLOCK_PAGES       # entries of one table page
    FOLIO_BATCH = 31

ctypedef struct region_t:
    int64_t pages
    bint thp                            # huge pages may be used
    uint32_t *pte                       # [pages]
    uint32_t *table                     # [tables]: pfn of the table page of each 2 MiB, 0 none
    int64_t tables

ctypedef struct process_t:
    bint alive
    region_t *region
    uint32_t nr_regions
    int64_t rss_pages
    # teardown in progress
    uint32_t exit_region
    int64_t exit_page
    bint exit_tables

ctypedef struct gather_t:               # pages on their way out of an address space
    pfn_t pfn[GATHER_MAX]
    uint8_t huge[GATHER_MAX]
    int64_t n
    pfn_t list[GATHER_BATCH]
    uint8_t types[GATHER_BATCH]

cdef inline int map_region(process_t *p, uint32_t number, int64_t pages, bint thp) noexcept nogil:
    """Make mapping `number` of a process; 0, or -1 without memory."""
    cdef region_t *grown
    cdef region_t *r
    cdef uint32_t i
    if number >= p.nr_regions:
        grown = <region_t *>realloc(p.region, (number + 1) * sizeof(region_t))
        if grown == NULL:
            return -1
        p.region = grown
        for i in range(p.nr_regions, number + 1):
            p.region[i].pages = 0
            p.region[i].pte = NULL
            p.region[i].table = NULL
        p.nr_regions = number + 1
    r = &p.region[number]
    r.pages = pages
    r.thp = thp
    r.tables = (pages + TABLE_PAGES - 1) // TABLE_PAGES
    r.pte = <uint32_t *>zero_pages(pages * sizeof(uint32_t))
    r.table = <uint32_t *>zero_pages(r.tables * sizeof(uint32_t))
    return 0 if r.pte != NULL and r.table != NULL else -1

cdef inline void drop_region(region_t *r) noexcept nogil:
    if r.pte != NULL:
        munmap(r.pte, r.pages * sizeof(uint32_t))
        munmap(r.table, r.tables * sizeof(uint32_t))
    r.pte = NULL
    r.table = NULL
    r.pages = 0

cdef inline void drop_process(process_t *p) noexcept nogil:
    cdef uint32_t i
    for i in range(p.nr_regions):
        drop_region(&p.region[i])
    free(p.region)
    p.region = NULL
    p.nr_regions = 0
    p.alive = False

cdef inline void free_gathered_list(mm_t *m, int cpu, gather_t *g, int64_t n) noexcept nogil:
    """Free the n single pages of one batch.

    Linux 5.0 and 6.1 build a list by pushing to its front, so that it is freed last page first; 6.12 frees folio
    batches of up to 31 in order.
    """
    cdef int64_t i, part
    cdef pfn_t swap
    if not m.k.strict_types:
        for i in range(n // 2):
            swap = g.list[i]
            g.list[i] = g.list[n - 1 - i]
            g.list[n - 1 - i] = swap
        free_list(m, cpu, g.list, n, g.types)
        return
    i = 0
    while i < n:
        part = n - i if n - i < FOLIO_BATCH else FOLIO_BATCH
        free_list(m, cpu, g.list + i, part, g.types)
        i += part

cdef inline void gather_flush(mm_t *m, int cpu, gather_t *g) noexcept nogil:
    """Free what was gathered, batch by batch: huge pages when met, then the single pages of the batch as one list."""
    cdef int64_t at = 0, end = GATHER_FIRST, i, n
    while at < g.n:
        if end > g.n:
            end = g.n
        n = 0
        for i in range(at, end):
            if g.huge[i]:
                free_pages(m, cpu, g.pfn[i], PAGEBLOCK_ORDER)
            else:
                g.list[n] = g.pfn[i]
                n += 1
        if n:
            free_gathered_list(m, cpu, g, n)
        at = end
        end += GATHER_BATCH
    g.n = 0

cdef inline void gather(mm_t *m, int cpu, gather_t *g, pfn_t pfn, bint huge) noexcept nogil:
    g.pfn[g.n] = pfn
    g.huge[g.n] = huge
    g.n += 1
    if g.n == GATHER_MAX:
        gather_flush(m, cpu, g)

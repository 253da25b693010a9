"""Processes of a guest: address spaces, page faults, and teardown through batches of freed pages.

A mapping holds one 32-bit entry a page: 0 not mapped, else the pfn, with SHARED if its mappings are counted (sharing.pxd).
The table page of each 2 MiB is kept beside; HUGE there says that the first entry maps all of it. Teardown gathers pages
in address order into batches (8, then 510 pages each) and frees each batch as one list; the table pages of the address
space go last.
"""

from libc.stdint cimport int64_t, uint32_t, uint8_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from hinting._core.common cimport PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, pfn_t
from hinting._core.memory cimport munmap, zero_pages
from hinting._core.mm.alloc cimport free_list, free_pages
from hinting._core.mm.state cimport mm_t

cdef enum:
    PTE_SHARED = 0x80000000             # of an entry
    TABLE_HUGE = 0x80000000             # of a table

    STACK_PAGES = 4                     # of a kernel stack, single pages
    KERNEL_PAGES = STACK_PAGES + 4      # and one page table of each level
    DIRECTORY_TABLES = 512              # tables that a further directory page holds: 1 GiB

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
    uint32_t *table                     # [tables]: pfn of the table page of each 2 MiB, 0 none; TABLE_HUGE
    int64_t tables
    uint32_t *directory                 # [directories]: pfn of the directory page of each GiB but the first, 0 none
    int64_t directories

ctypedef struct process_t:
    bint alive
    bint busy                           # begins or ends just now: no other row may use it
    region_t *region
    uint32_t nr_regions
    int64_t rss_pages
    pfn_t kernel[KERNEL_PAGES]          # kernel stack and the first page tables
    int nr_kernel
    int64_t tables                      # table and directory pages of its mappings
    # how far a teardown, or a fork to this process, has come
    uint32_t at_region
    int64_t at_page

ctypedef struct gather_t:               # pages on their way out of an address space
    pfn_t pfn[GATHER_MAX]
    uint8_t huge[GATHER_MAX]
    int64_t n
    pfn_t list[GATHER_BATCH]
    uint8_t types[GATHER_BATCH]

cdef inline void drop_region(region_t *r) noexcept nogil:
    if r.pte != NULL:
        munmap(r.pte, r.pages * sizeof(uint32_t))
    free(r.table)
    memset(r, 0, sizeof(region_t))

cdef inline void drop_process(process_t *p) noexcept nogil:
    """Forget a process whose pages are free already."""
    cdef uint32_t i
    for i in range(p.nr_regions):
        drop_region(&p.region[i])
    free(p.region)
    memset(p, 0, sizeof(process_t))

cdef inline region_t *region_at(process_t *p, uint32_t number) noexcept nogil:
    """A mapping of the process, NULL if there is none of this number."""
    return &p.region[number] if number < p.nr_regions and p.region[number].pte != NULL else NULL

cdef inline int map_region(process_t *p, uint32_t number, int64_t pages, bint thp) noexcept nogil:
    """Make mapping `number` of a process; 0, or -1 without memory."""
    cdef region_t *grown
    cdef region_t *r
    if number >= p.nr_regions:
        grown = <region_t *>realloc(p.region, (number + 1) * sizeof(region_t))
        if grown == NULL:
            return -1
        p.region = grown
        memset(&grown[p.nr_regions], 0, (number + 1 - p.nr_regions) * sizeof(region_t))
        p.nr_regions = number + 1
    r = &p.region[number]
    r.pages = pages
    r.thp = thp
    r.tables = (pages + TABLE_PAGES - 1) // TABLE_PAGES
    r.directories = (r.tables + DIRECTORY_TABLES - 1) // DIRECTORY_TABLES
    r.pte = <uint32_t *>zero_pages(pages * sizeof(uint32_t))
    r.table = <uint32_t *>calloc(r.tables + r.directories, sizeof(uint32_t))
    if r.pte == NULL or r.table == NULL:
        drop_region(r)
        return -1
    r.directory = r.table + r.tables
    return 0

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

"""Arrays of a machine that grow with the numbers that its programs use, and their end."""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from hinting._core.engine.machine cimport machine_t, slot_t
from hinting._core.engine.pagecache cimport cache_t, file_t, owner_t
from hinting._core.engine.process cimport drop_process, process_t
from hinting._core.engine.slab cimport slab_cache_drop, slab_cache_init, slab_cache_t
from hinting._core.memory cimport munmap, zero_pages

cdef inline void *grown(void *old, size_t had, size_t n, size_t each) except NULL:
    """An array of n entries, the new ones zero."""
    cdef char *new = <char *>realloc(old, n * each)
    if new == NULL:
        raise MemoryError()
    memset(new + had * each, 0, (n - had) * each)
    return new

cdef inline int room_for_numbers(machine_t *g, uint32_t n) except -1:
    """Make room for n process and slot numbers."""
    if n > g.nr_processes:
        g.process = <process_t *>grown(g.process, g.nr_processes, n, sizeof(process_t))
        g.nr_processes = n
        g.slot = <slot_t *>grown(g.slot, g.nr_slots, n, sizeof(slot_t))
        g.nr_slots = n
    return 0

cdef inline int room_for_slab_cache(machine_t *g, uint32_t number, int order, int kind, int64_t places) except -1:
    """Make a kernel cache, if it does not exist yet."""
    if number >= g.nr_slab_caches:
        g.slab_cache = <slab_cache_t *>grown(g.slab_cache, g.nr_slab_caches, number + 1, sizeof(slab_cache_t))
        g.nr_slab_caches = number + 1
    if g.slab_cache[number].places == 0:
        slab_cache_init(&g.slab_cache[number], order, kind, places, number)
    return 0

cdef inline int room_for_file(machine_t *g, uint32_t number, int64_t pages) except -1:
    """Make room for a file of so many pages."""
    cdef cache_t *c = &g.cache
    cdef file_t *f
    cdef uint32_t *entries
    if c.owner == NULL:
        c.owner_bytes = g.mm.npfn * sizeof(owner_t)
        c.owner = <owner_t *>zero_pages(c.owner_bytes)
        if c.owner == NULL:
            raise MemoryError()
    if number >= c.nr_files:
        c.file = <file_t *>grown(c.file, c.nr_files, number + 1, sizeof(file_t))
        c.nr_files = number + 1
    f = &c.file[number]
    if pages > f.pages:
        if pages < 2 * f.pages:
            pages = 2 * f.pages
        entries = <uint32_t *>calloc(pages, sizeof(uint32_t))
        if entries == NULL:
            raise MemoryError()
        memcpy(entries, f.page, f.end * sizeof(uint32_t))
        free(f.page)
        f.page = entries
        f.pages = pages
    return 0

cdef inline void drop_machine(machine_t *g) noexcept:
    """Free everything."""
    cdef uint32_t i
    for i in range(g.nr_processes):
        drop_process(&g.process[i])
    for i in range(g.nr_slots):
        free(g.slot[i].pfn)
        free(g.slot[i].order)
    for i in range(g.cache.nr_files):
        free(g.cache.file[i].page)
    for i in range(g.nr_slab_caches):
        slab_cache_drop(&g.slab_cache[i])
    if g.cache.owner != NULL:
        munmap(g.cache.owner, g.cache.owner_bytes)
    free(g.process)
    free(g.slot)
    free(g.cache.file)
    free(g.cache.written)
    free(g.slab_cache)
    free(g.vcpu)
    free(g.mark)
    free(g.kill)
    free(g.meter.exit)
    free(g.vmm.ranges.range)
    free(g.vmm.ranges.seen)

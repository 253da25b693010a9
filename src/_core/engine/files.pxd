"""Rows on files: reading and writing through the page cache, writing back, cutting files, dropping the cache."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport NO_PFN, pfn_t
from hinting._core.engine.charge cimport advance, charge_kernel, charge_lists, charge_strategy
from hinting._core.engine.machine cimport machine_t, vcpu_t
from hinting._core.engine.memory cimport get_pages, touch_pages
from hinting._core.engine.ops cimport KIND_RECLAIMABLE, op_t
from hinting._core.engine.pagecache cimport (
    CACHE_DIRTY,
    cache_add,
    cache_del,
    cache_t,
    cached,
    file_t,
    mark_accessed,
)
from hinting._core.engine.process cimport FOLIO_BATCH, free_gathered_list
from hinting._core.engine.reclaim cimport shrink_cache
from hinting._core.engine.writeback cimport note_written, read_ns
from hinting._core.host.state cimport TOUCH_DISK, TOUCH_WHOLE, TOUCH_WRITES
from hinting._core.host.vmm_text cimport wake_vmm

cdef enum:
    PAGE_BATCH = 15                     # pages that truncation frees as one list before 6.12

    INDEX_BITS = 31                     # of a page's number in its file
    MAX_INDEX = 0x7FFFFFFF

    SLAB_BATCH = 128                    # objects that are dropped between two scheduling points

    FILE_DONE = 0
    FILE_NO_FRAME = 1                   # the host has no frame: repeat once somebody was killed
    FILE_NO_PAGE = 2                    # the guest has no page: its OOM killer acts

cdef inline void wait_for_disk(machine_t *g, vcpu_t *v, double ns) noexcept nogil:
    if g.backing.text_in | g.backing.text_out:
        ns += wake_vmm(g.sim.host, g.backing, g.costs, v.now)
    g.account.guest_disk += ns
    advance(v, ns)

cdef inline pfn_t read_in(machine_t *g, vcpu_t *v, int cpu, uint32_t file, uint32_t index) noexcept nogil:
    """A page of a file from the disk; a page after the one read last was read ahead."""
    cdef cache_t *c = &g.cache
    cdef pfn_t pfn = get_pages(g, v, cpu, 0, g.gfp_read)
    if pfn == NO_PFN:                   # readahead does not try hard, the reader itself does
        pfn = get_pages(g, v, cpu, 0, g.gfp_read & ~g.mm.k.gfp_noretry)
    if pfn == NO_PFN:
        return NO_PFN
    wait_for_disk(g, v, read_ns(g.costs, 1, c.read_file == file and c.read_index == index))
    cache_add(g.mm, c, file, index, pfn)
    c.reads += 1
    return pfn

cdef inline int read_page(machine_t *g, vcpu_t *v, int cpu, uint32_t file, uint32_t index) noexcept nogil:
    """A process reads one page of a file."""
    cdef pfn_t pfn = cached(&g.cache, file, index)
    cdef int flags = 0
    if pfn == NO_PFN:
        pfn = read_in(g, v, cpu, file, index)
        if pfn == NO_PFN:
            return FILE_NO_PAGE
        flags = TOUCH_WRITES | TOUCH_DISK
    if not touch_pages(g, v, cpu, pfn, 1, flags):
        return FILE_NO_FRAME
    g.cache.read_file = file
    g.cache.read_index = index + 1
    mark_accessed(g.mm, &g.cache, pfn)
    charge_kernel(g, v, g.costs.mem_copy_4k)
    return FILE_DONE

cdef inline int write_page(machine_t *g, vcpu_t *v, int cpu, uint32_t file, uint32_t index) noexcept nogil:
    """A process writes one whole page of a file: nothing is read for it."""
    cdef cache_t *c = &g.cache
    cdef pfn_t pfn = cached(c, file, index)
    if pfn == NO_PFN:
        pfn = get_pages(g, v, cpu, 0, g.gfp_write)
        if pfn == NO_PFN:
            return FILE_NO_PAGE
        cache_add(g.mm, c, file, index, pfn)
    if not touch_pages(g, v, cpu, pfn, 1, TOUCH_WRITES | TOUCH_WHOLE):
        return FILE_NO_FRAME
    if not c.owner[pfn].file & CACHE_DIRTY and note_written(g, file, index, v.now):
        c.owner[pfn].file |= CACHE_DIRTY
        c.dirty += 1
    mark_accessed(g.mm, c, pfn)
    charge_kernel(g, v, g.costs.mem_copy_4k)
    return FILE_DONE

cdef inline void forget_batch(
    machine_t *g, vcpu_t *v, int cpu, uint32_t file, int64_t *index, bint dirty_too,
) noexcept nogil:
    """Free the next batch of cached pages of a file, in order, from index on; index: where to go on.

    dirty_too: what was not written is lost, as when the file is cut; else dirty pages stay.
    """
    cdef cache_t *c = &g.cache
    cdef file_t *f = &c.file[file]
    cdef int64_t batch = FOLIO_BATCH if g.mm.k.strict_types else PAGE_BATCH
    cdef int64_t n = 0
    cdef pfn_t pfn
    while index[0] < f.end and n < batch:
        if f.cached == 0:
            index[0] = f.end
            break
        pfn = cached(c, file, <uint32_t>index[0])
        index[0] += 1
        if pfn == NO_PFN or c.owner[pfn].file & CACHE_DIRTY and not dirty_too:
            continue
        cache_del(g.mm, c, pfn, False)
        g.gather.list[n] = pfn
        n += 1
    if n:
        free_gathered_list(g.mm, cpu, &g.gather, n)
        charge_kernel(g, v, n * g.costs.guest_rcu_batch_free_4k)
        charge_lists(g, v)
        charge_strategy(g, v)

cdef inline bint truncate_step(machine_t *g, vcpu_t *v, int cpu, const op_t *op) noexcept nogil:
    """The file ends after `a` pages; True when all beyond is gone, also the memory of what was evicted."""
    cdef file_t *f = &g.cache.file[op.file]
    cdef int64_t index = op.a + v.done
    forget_batch(g, v, cpu, op.file, &index, True)
    v.done = index - op.a
    if index < f.end:
        return False
    for index in range(op.a, f.end):
        f.page[index] = 0
    if op.a < f.end:
        f.end = op.a
    return True

cdef inline bint drop_step(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """What writing 1 to /proc/sys/vm/drop_caches does: clean pages of all files go. done: file and page."""
    cdef int64_t file = v.done >> INDEX_BITS, index = v.done & MAX_INDEX
    while file < g.cache.nr_files and (g.cache.file[file].cached == 0 or index >= g.cache.file[file].end):
        file += 1
        index = 0
    if file < g.cache.nr_files:
        forget_batch(g, v, cpu, <uint32_t>file, &index, False)
    v.done = (file << INDEX_BITS) | index
    return file >= g.cache.nr_files

cdef inline bint drop_slab_step(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """What writing 2 there does: the objects of kernel caches that can be shrunk go, some at a time; True when all have."""
    cdef uint32_t i
    for i in range(g.nr_slab_caches):
        if g.slab_cache[i].kind == KIND_RECLAIMABLE and g.slab_cache[i].object.n:
            shrink_cache(g.mm, cpu, &g.slab_cache[i], SLAB_BATCH)
            charge_kernel(g, v, SLAB_BATCH * g.costs.guest_pcp_free_hit)
            charge_lists(g, v)
            charge_strategy(g, v)
            return False
    return True

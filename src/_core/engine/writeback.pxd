"""Dirty pages of the page cache: when they are written to the guest's disk, and who waits for it.

The flusher writes pages that have been dirty for 30 s, and the oldest ones while more than 10 % of the memory that could
be dirty is (vm.dirty_expire_centisecs, vm.dirty_background_ratio); a writer that meets 20 % (vm.dirty_ratio) waits for
the disk. The flusher works at the disk's speed beside the vCPUs; what it has done is worked out when somebody looks.
Costs: the device of the cost profile, one queue, requests of up to 1 MiB.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport realloc

from hinting._core.common cimport NO_PFN, NR_ZONES, PAGE_BYTES, pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.engine.machine cimport SIM_NO_MEMORY, machine_t
from hinting._core.engine.pagecache cimport CACHE_DIRTY, CACHE_FILE, cache_t, cached, cached_pages, written_t
from hinting._core.engine.virtual_disk cimport fetch_for_disk

cdef enum:
    EXPIRE_NS = 30000000000             # 30 s
    BACKGROUND_PERCENT = 10
    LIMIT_PERCENT = 20
    REQUEST_PAGES = 256                 # pages of one request to the disk
    MERGE_NS = 1000000000               # ranges that became dirty in one second share an entry

cdef inline double read_ns(const costs_t *c, int64_t pages, bint sequential) noexcept nogil:
    """Time of the disk for a read; a sequential one finds the disk reading ahead."""
    return (0 if sequential else c.dev_nvme_read) + pages * (PAGE_BYTES * 1e9 / 1048576) / c.dev_nvme_read_mib_s

cdef inline double page_write_ns(const costs_t *c) noexcept nogil:
    """Time of the disk for one page of a long write."""
    return c.dev_nvme_write / REQUEST_PAGES + (PAGE_BYTES * 1e9 / 1048576) / c.dev_nvme_write_mib_s

cdef inline double write_ns(const costs_t *c, int64_t pages) noexcept nogil:
    """Time of the disk for a write of its own."""
    return c.dev_nvme_write + pages * (PAGE_BYTES * 1e9 / 1048576) / c.dev_nvme_write_mib_s if pages else 0

cdef inline int64_t dirtyable(machine_t *g) noexcept nogil:
    """Pages that could be dirty: free ones above the reserves, and the page cache."""
    cdef int64_t n = cached_pages(&g.cache), free
    cdef int i
    for i in range(NR_ZONES):
        if g.mm.zone[i].populated:
            free = g.mm.zone[i].counter - g.mm.zone[i].watermark[2]
            n += free if free > 0 else 0
    return n

cdef inline bint note_written(machine_t *g, uint32_t file, uint32_t index, int64_t now) noexcept nogil:
    """Enter a page that became dirty at the end of the queue."""
    cdef cache_t *c = &g.cache
    cdef written_t *w
    cdef written_t *grown
    cdef int64_t i
    if c.written_n:
        w = &c.written[(c.written_at + c.written_n - 1) & (c.written_size - 1)]
        if w.file == file and w.first + w.n == index and now - w.t_ns < MERGE_NS:
            w.n += 1
            return True
    if c.written_n == c.written_size:
        grown = <written_t *>realloc(c.written, (c.written_size * 2 if c.written_size else 64) * sizeof(written_t))
        if grown == NULL:
            g.sim.error = SIM_NO_MEMORY
            return False
        c.written = grown
        for i in range(c.written_at):   # what had wrapped around follows the old end
            grown[c.written_size + i] = grown[i]
        c.written_size = c.written_size * 2 if c.written_size else 64
    w = &c.written[(c.written_at + c.written_n) & (c.written_size - 1)]
    w.file = file
    w.first = index
    w.n = 1
    w.t_ns = now
    c.written_n += 1
    return True

cdef inline double clean(machine_t *g, pfn_t pfn, int64_t now) noexcept nogil:
    """A page is written to the disk; returns the time that its contents had to be waited for, ns."""
    g.cache.owner[pfn].file &= ~<uint32_t>CACHE_DIRTY
    g.cache.dirty -= 1
    g.cache.writebacks += 1
    return fetch_for_disk(g, pfn, now)

cdef inline pfn_t oldest_dirty(cache_t *c) noexcept nogil:
    """The page that has been dirty longest, NO_PFN if none is; entries of clean pages are dropped on the way."""
    cdef written_t *w
    cdef pfn_t pfn
    while c.written_n:
        w = &c.written[c.written_at]
        while w.n:
            pfn = cached(c, w.file, w.first)
            if pfn != NO_PFN and c.owner[pfn].file & CACHE_DIRTY:
                return pfn
            w.first += 1
            w.n -= 1
        c.written_at = (c.written_at + 1) & (c.written_size - 1)
        c.written_n -= 1
    return NO_PFN

cdef inline void flush_until(machine_t *g, int64_t now) noexcept nogil:
    """Let the flusher catch up with the clock."""
    cdef cache_t *c = &g.cache
    cdef double t
    cdef int64_t limit
    cdef pfn_t pfn
    if c.dirty == 0:
        c.flusher_now = now
        return
    t = <double>c.flusher_now
    limit = dirtyable(g) * BACKGROUND_PERCENT // 100
    while t < now:
        pfn = oldest_dirty(c)
        if pfn == NO_PFN:
            break
        if c.dirty <= limit:
            if c.written[c.written_at].t_ns + <int64_t>EXPIRE_NS > now:
                break
            if t < c.written[c.written_at].t_ns + EXPIRE_NS:
                t = <double>(c.written[c.written_at].t_ns + EXPIRE_NS)
        t += page_write_ns(g.costs) + clean(g, pfn, <int64_t>t)
    c.flusher_now = now if t < now else <int64_t>t

cdef inline double throttle_ns(machine_t *g, int64_t now) noexcept nogil:
    """Time that a writer has to wait until the disk has taken enough: what is above the limit is written."""
    cdef int64_t limit = dirtyable(g) * LIMIT_PERCENT // 100
    cdef double ns = 0
    cdef pfn_t pfn
    while g.cache.dirty > limit:
        pfn = oldest_dirty(&g.cache)
        if pfn == NO_PFN:
            break
        ns += page_write_ns(g.costs) + clean(g, pfn, now)
    return ns

cdef inline double sync_ns(machine_t *g, int64_t file, int64_t now) noexcept nogil:
    """Write all dirty pages of a file, or of all files if it is negative; the time of the disk."""
    cdef cache_t *c = &g.cache
    cdef int64_t i, before = c.dirty
    cdef uint32_t k
    cdef written_t *w
    cdef pfn_t pfn
    cdef double waited = 0
    for i in range(c.written_n):
        w = &c.written[(c.written_at + i) & (c.written_size - 1)]
        if file >= 0 and w.file != file:
            continue
        for k in range(w.n):
            pfn = cached(c, w.file, w.first + k)
            if pfn != NO_PFN and c.owner[pfn].file & CACHE_DIRTY:
                waited += clean(g, pfn, now)
        w.n = 0
    return waited + write_ns(g.costs, before - c.dirty)

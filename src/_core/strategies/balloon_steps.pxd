"""The balloon driver of one guest: filling, leaking, the OOM notifier and the statistics buffer.

One request is under way at a time, as the driver's work item waits for each; the OOM notifier has a request of its own
for each CPU. Pages are in the balloon from the moment of their request, in the order in which the device was told.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free, realloc

from hinting._core.common cimport NR_ZONES, PAGE_BYTES, pfn_t
from hinting._core.host.balloon cimport balloon_device_t
from hinting._core.mm.alloc cimport alloc_several, free_pages
from hinting._core.mm.counter cimport free_exact
from hinting._core.mm.pages cimport zone_of
from hinting._core.mm.state cimport MM_NO_MEMORY, WM_LOW, mm_t
from hinting._core.strategies.hooks cimport block_t, strategy_t

cdef enum:
    TICKET_INFLATE = 0
    TICKET_DEFLATE = 1
    TICKET_STATS = 2
    TICKET_OOM = 3                      # + CPU

    STAT_SWAP_IN = 0                    # tags of the statistics buffer
    STAT_SWAP_OUT = 1
    STAT_MAJFLT = 2
    STAT_MINFLT = 3
    STAT_MEMFREE = 4
    STAT_MEMTOT = 5
    STAT_AVAIL = 6
    STAT_CACHES = 7
    STAT_HTLB_PGALLOC = 8
    STAT_HTLB_PGFAIL = 9
    NR_STATS = 10

ctypedef struct request_t:              # blocks of one request, in the order of its array
    block_t *block
    int64_t n

ctypedef struct stats_t:
    int64_t value[NR_STATS]             # by tag; bytes of memory, numbers of faults

ctypedef struct balloon_t:
    strategy_t *s
    balloon_device_t device
    int ncpus
    pfn_t *page                         # first pages of the blocks in the balloon, the newest last
    int64_t n
    int64_t room
    pfn_t *fresh                        # [most] blocks that an inflation has allocated and not entered yet
    int order                           # of a block
    uint32_t gfp
    int64_t most                        # blocks of one request
    int64_t target                      # pages: num_pages of the configuration
    int64_t actual                      # pages: actual of the configuration, as the driver last wrote it
    bint keeps_total                    # DEFLATE_ON_OOM: the guest's total RAM stays as it is
    bint by_shrinker                    # DEFLATE_ON_OOM by reclaim's shrinker, not by the OOM notifier
    int64_t oom_pages                   # pages that one call of the OOM notifier releases
    request_t work                      # of the work item
    request_t *oom                      # by CPU
    bint pauses                         # out of puff: the request goes out after the pause
    bint stats_out                      # the driver has the statistics buffer
    stats_t filled                      # by the driver, on its way
    stats_t stats                       # as the host has them
    int64_t polls                       # buffers that have arrived
    int64_t inflated                    # pages
    int64_t deflated
    int64_t requests
    int64_t out_of_puff
    int64_t shrunk                      # pages that the guest's reclaim took out
    int64_t oom_notified                # calls of the notifier that released something
    int64_t oom_released                # pages

cdef inline int64_t pages_in(const balloon_t *b) noexcept nogil:
    return b.n << b.order

cdef inline bint balloon_init(balloon_t *b, int ncpus) noexcept nogil:
    cdef int cpu
    b.work.block = <block_t *>calloc(b.most, sizeof(block_t))
    b.oom = <request_t *>calloc(ncpus, sizeof(request_t))
    b.fresh = <pfn_t *>calloc(b.most, sizeof(pfn_t))
    if b.work.block == NULL or b.oom == NULL or b.fresh == NULL:
        return False
    b.ncpus = ncpus
    for cpu in range(ncpus):
        b.oom[cpu].block = <block_t *>calloc(b.oom_pages, sizeof(block_t))
        if b.oom[cpu].block == NULL:
            return False
    return True

cdef inline void balloon_free(balloon_t *b) noexcept nogil:
    cdef int cpu
    if b.oom != NULL:
        for cpu in range(b.ncpus):
            free(b.oom[cpu].block)
    free(b.oom)
    free(b.work.block)
    free(b.fresh)
    free(b.page)

cdef inline bint make_room(balloon_t *b, mm_t *m) noexcept nogil:
    """Room for one more request in the list of balloon pages."""
    cdef void *grown
    if b.n + b.most <= b.room:
        return True
    grown = realloc(b.page, (b.room * 2 + b.most) * sizeof(pfn_t))
    if grown == NULL:
        m.error = MM_NO_MEMORY
        return False
    b.page = <pfn_t *>grown
    b.room = b.room * 2 + b.most
    return True

cdef inline void adjust_total(balloon_t *b, mm_t *m, pfn_t pfn, int64_t pages) noexcept nogil:
    if not b.keeps_total:
        zone_of(m, pfn).managed += pages

cdef inline int64_t fill(balloon_t *b, mm_t *m, int cpu, int64_t wanted) noexcept nogil:
    """Allocate up to one request's blocks, and enter them in its array newest first; returns how many."""
    cdef pfn_t *got = b.fresh
    cdef int64_t i, n
    n = alloc_several(m, cpu, b.order, b.gfp, b.s.reclaimer, wanted if wanted < b.most else b.most, got)
    if not make_room(b, m):             # reclaim may have deflated meanwhile
        for i in range(n):
            free_pages(m, cpu, got[i], b.order)
        return 0
    for i in range(n):
        b.page[b.n + i] = got[n - 1 - i]
        b.work.block[i].pfn = got[n - 1 - i]
        b.work.block[i].order = b.order
        adjust_total(b, m, got[i], -(<int64_t>1 << b.order))
    b.n += n
    b.work.n = n
    b.inflated += n << b.order
    b.requests += n > 0
    b.s.work.captured += n
    if b.order:
        b.s.work.allocated_blocks += n
        b.s.work.struct_pages += n << b.order
    else:
        b.s.work.allocated += n
    return n

cdef inline int64_t take_out(balloon_t *b, request_t *r, int64_t wanted) noexcept nogil:
    """Take up to so many blocks out of the balloon into a request, the newest first; returns how many."""
    cdef int64_t i, n = wanted if wanted < b.n else b.n
    for i in range(n):
        r.block[i].pfn = b.page[b.n - 1 - i]
        r.block[i].order = b.order
    b.n -= n
    r.n = n
    b.deflated += n << b.order
    b.requests += n > 0
    b.s.work.captured += n
    return n

cdef inline void release(balloon_t *b, mm_t *m, int cpu, request_t *r) noexcept nogil:
    """The device knows: free the blocks of a request, the last of its array first."""
    cdef int64_t i
    for i in range(r.n - 1, -1, -1):
        adjust_total(b, m, r.block[i].pfn, <int64_t>1 << b.order)
        free_pages(m, cpu, r.block[i].pfn, b.order)
    if b.order:
        b.s.work.freed_blocks += r.n
        b.s.work.locks += r.n
        b.s.work.struct_pages += r.n << b.order
    else:
        b.s.work.freed += r.n
    r.n = 0

cdef inline void write_actual(balloon_t *b) noexcept nogil:
    """The driver tells the device the balloon's size, an exit."""
    b.actual = pages_in(b)
    b.s.work.config_writes += 1

cdef inline int64_t missing(const balloon_t *b) noexcept nogil:
    """Blocks that are to be inflated, or deflated (negative)."""
    cdef int64_t pages = b.target - pages_in(b)
    return pages >> b.order if pages >= 0 else -((-pages + (1 << b.order) - 1) >> b.order)

cdef inline int64_t kept_back(int64_t pages, int64_t low) noexcept nogil:
    """What of the page cache, or of kernel caches, is not counted available: half of it, at most the low watermarks."""
    return pages // 2 if pages // 2 < low else low

cdef inline void fill_stats(balloon_t *b, mm_t *m) noexcept nogil:
    """What the driver writes into the statistics buffer. The guest has no swap, no mapped files and no hugetlb pages: 0."""
    cdef int i
    cdef int64_t free_now, low, all_low = 0, all_free = 0, total = 0, available = 0
    for i in range(NR_ZONES):
        if not m.zone[i].populated:
            continue
        free_now = free_exact(m, &m.zone[i])
        low = m.zone[i].watermark[WM_LOW]
        all_low += low
        all_free += free_now
        total += m.zone[i].managed
        available += free_now - low if free_now > low else 0
    available += b.s.seen.cached - kept_back(b.s.seen.cached, all_low)
    available += b.s.seen.reclaimable - kept_back(b.s.seen.reclaimable, all_low)
    for i in range(NR_STATS):
        b.filled.value[i] = 0
    b.filled.value[STAT_MINFLT] = b.s.seen.minor_faults
    b.filled.value[STAT_MEMFREE] = all_free * PAGE_BYTES
    b.filled.value[STAT_MEMTOT] = total * PAGE_BYTES
    b.filled.value[STAT_AVAIL] = available * PAGE_BYTES
    b.filled.value[STAT_CACHES] = b.s.seen.cached * PAGE_BYTES

"""Deferred reports: pages that were freed lazily and go for good when their time is over.

The age of a block of 2 MiB is that of its oldest deferral since it last had none.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hinting._core.common cimport pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.lazy cimport drop_block, enqueue_lazy
from hinting._core.host.state cimport BLOCK_ORDER, BLOCK_PAGES, backing_t, host_t
from hinting._core.host.words cimport popcount_block

cdef inline void begin_deferral(backing_t *b, pfn_t pfn, uint64_t npages) noexcept nogil:
    """Before a range is freed lazily: blocks without such pages have no age."""
    cdef uint64_t i
    for i in range(pfn >> BLOCK_ORDER, ((pfn + npages - 1) >> BLOCK_ORDER) + 1):
        if popcount_block(b.lazy[i].pages) == 0:
            b.lazy[i].since = 0

cdef inline void end_deferral(backing_t *b, pfn_t pfn, uint64_t npages, int64_t now) noexcept nogil:
    """After it."""
    cdef uint64_t i
    for i in range(pfn >> BLOCK_ORDER, ((pfn + npages - 1) >> BLOCK_ORDER) + 1):
        if b.lazy[i].since == 0 and popcount_block(b.lazy[i].pages):
            b.lazy[i].since = now + 1

cdef inline void drop_postponed(
    host_t *h, backing_t *b, const costs_t *c, int64_t before, int64_t goal, double *ns
) noexcept nogil:
    """Take the frames of blocks deferred no later than `before`, and oldest first until the host has `goal` free frames."""
    cdef uint32_t i, last = b.lazy_tail
    cdef int64_t n, since
    while b.lazy_head and last:
        i = b.lazy_head - 1
        b.lazy_head = b.lazy[i].next
        if b.lazy_head == 0:
            b.lazy_tail = 0
        b.lazy[i].queued = False
        since = b.lazy[i].since
        if since and (since - 1 <= before or h.frames_free < goal):
            n = drop_block(h, b, i)
            ns[0] += c.host_madvise_call_empty
            ns[0] += c.host_zap_2m_thp if n == BLOCK_PAGES else <double>n * c.host_zap_4k_bulk
        elif popcount_block(b.lazy[i].pages):
            enqueue_lazy(b, i)
        if i + 1 == last:
            return

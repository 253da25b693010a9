"""Who maps a page of a process: counts of mappings after fork, huge pages of which only parts are mapped, their split.

A page that one process maps has no count. The counts of the others are in the links that the allocator does not use while
a page is allocated: in `prev` of each single page, or page of a huge one, how many table entries map it; in `next` of
the first pages of a huge page how many map it whole, how many of its pages have an entry, and its neighbours in the queue.

A huge page that nobody maps whole, and of which not all pages are mapped, stays whole in a queue: its free parts come
back when reclaim splits it, or when the last part is unmapped (the kernel's deferred split).
"""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport NO_PFN, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, pfn_t
from hinting._core.mm.alloc cimport split_used
from hinting._core.mm.pages cimport TAG_COMPOUND, TAG_MOVABLE, TAG_USED
from hinting._core.mm.state cimport link_t, mm_t

cdef enum:
    TAG_HUGE = TAG_USED | TAG_COMPOUND | TAG_MOVABLE | PAGEBLOCK_ORDER

    # whose `next` of a huge page says what
    WHOLE = 0                           # mappings of the whole page
    PARTS = 1                           # pages that table entries map
    QUEUE_NEXT = 2                      # first page of the next huge page in the queue, NO_PFN
    QUEUE_PREV = 3
    QUEUED = 4

    # what unmapping leaves
    LEFT_MAPPED = 0
    LEFT_SINGLE = 1                     # the single page is free
    LEFT_HUGE = 2                       # the huge page is free

ctypedef struct split_queue_t:          # huge pages of which a part is unmapped
    pfn_t first                         # oldest; NO_PFN
    pfn_t last
    int64_t n

cdef inline void split_queue_init(split_queue_t *q) noexcept nogil:
    q.first = NO_PFN
    q.last = NO_PFN
    q.n = 0

cdef inline pfn_t huge_head(const mm_t *m, pfn_t pfn) noexcept nogil:
    """First page of the huge page that pfn is part of, NO_PFN if it is a page of its own."""
    cdef pfn_t head = pfn & ~<pfn_t>(PAGEBLOCK_PAGES - 1)
    return head if m.tag[head] == TAG_HUGE else NO_PFN

cdef inline void count_huge(mm_t *m, pfn_t head) noexcept nogil:
    """Begin to count the mappings of a huge page that one process maps whole."""
    cdef link_t *links = m.link + head
    cdef int i
    for i in range(PAGEBLOCK_PAGES):
        links[i].prev = 0
    links[WHOLE].next = 1
    links[PARTS].next = 0
    links[QUEUED].next = 0

cdef inline void queue_add(mm_t *m, split_queue_t *q, pfn_t head) noexcept nogil:
    cdef link_t *links = m.link + head
    links[QUEUE_NEXT].next = NO_PFN
    links[QUEUE_PREV].next = q.last
    links[QUEUED].next = 1
    if q.last == NO_PFN:
        q.first = head
    else:
        m.link[q.last + QUEUE_NEXT].next = head
    q.last = head
    q.n += 1

cdef inline void queue_del(mm_t *m, split_queue_t *q, pfn_t head) noexcept nogil:
    cdef link_t *links = m.link + head
    cdef pfn_t before = links[QUEUE_PREV].next, after = links[QUEUE_NEXT].next
    if before == NO_PFN:
        q.first = after
    else:
        m.link[before + QUEUE_NEXT].next = after
    if after == NO_PFN:
        q.last = before
    else:
        m.link[after + QUEUE_PREV].next = before
    links[QUEUED].next = 0
    q.n -= 1

cdef inline int settle_huge(mm_t *m, split_queue_t *q, pfn_t head) noexcept nogil:
    """After a mapping of a counted huge page went: is it free, or partly mapped from now on?"""
    cdef link_t *links = m.link + head
    if links[WHOLE].next:
        return LEFT_MAPPED
    if links[PARTS].next == 0:
        if links[QUEUED].next:
            queue_del(m, q, head)
        return LEFT_HUGE
    if links[PARTS].next < PAGEBLOCK_PAGES and not links[QUEUED].next:
        queue_add(m, q, head)
    return LEFT_MAPPED

cdef inline int unmap_counted(mm_t *m, split_queue_t *q, pfn_t pfn) noexcept nogil:
    """A table entry of a counted page goes."""
    cdef pfn_t head = huge_head(m, pfn)
    m.link[pfn].prev -= 1
    if m.link[pfn].prev:
        return LEFT_MAPPED
    if head == NO_PFN:
        return LEFT_SINGLE
    m.link[head + PARTS].next -= 1
    return settle_huge(m, q, head)

cdef inline int unmap_whole(mm_t *m, split_queue_t *q, pfn_t head) noexcept nogil:
    """A mapping of a whole, counted huge page goes."""
    m.link[head + WHOLE].next -= 1
    return settle_huge(m, q, head)

cdef inline uint32_t mappings(const mm_t *m, pfn_t pfn) noexcept nogil:
    """How many processes map a counted page by a table entry, or as part of a whole huge page."""
    cdef pfn_t head = huge_head(m, pfn)
    return m.link[pfn].prev + (m.link[head + WHOLE].next if head != NO_PFN else 0)

cdef inline bint sole_whole(const mm_t *m, pfn_t head) noexcept nogil:
    """One mapping of the whole, counted huge page is all there is."""
    return m.link[head + WHOLE].next == 1 and m.link[head + PARTS].next == 0

cdef inline pfn_t split_oldest(mm_t *m, split_queue_t *q) noexcept nogil:
    """Make the oldest huge page of the queue 512 single pages; those without a mapping are the caller's to free."""
    cdef pfn_t head = q.first
    queue_del(m, q, head)
    split_used(m, head, PAGEBLOCK_ORDER)
    return head

cdef inline void move_counts(mm_t *m, split_queue_t *q, pfn_t pfn, int order, pfn_t new) noexcept nogil:
    """A counted page, single or huge, moves with its counts, to the end of the queue. `next` of the old pages: where to."""
    cdef link_t *old = m.link + pfn
    cdef int i
    for i in range(1 << order):
        m.link[new + i] = old[i]
    if order and old[QUEUED].next:
        queue_add(m, q, new)
        queue_del(m, q, pfn)
    for i in range(1 << order):
        old[i].next = new + i

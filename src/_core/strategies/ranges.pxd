"""Taking given ranges of memory away from a guest's allocator, and giving them back: what is outside the lists is isolated.

No watermark is looked at: who takes a range by its address does not ask whether the zone can spare it.
"""

from libc.stdint cimport int64_t, uint8_t

from hinting._core.common cimport MAX_ORDER, MT_HIGHATOMIC, MT_MOVABLE, NO_PFN, PAGEBLOCK_ORDER, pfn_t
from hinting._core.mm.buddy cimport FPI_SKIP_REPORT_NOTIFY, FPI_TO_TAIL, account_list, free_block, list_del, put_back
from hinting._core.mm.pages cimport (
    TAG_ISOLATED,
    TAG_KIND,
    TAG_MOVABLE,
    TAG_ORDER,
    block_type,
    covering,
    tag_clear,
    tag_is_buddy,
    tag_is_used,
    tag_set,
    zone_of,
)
from hinting._core.mm.state cimport mm_t, zone_t

cdef enum:
    RANGE_BUSY = -1                     # holds what can neither be taken nor moved

cdef inline bint is_free_range(const mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """Whether one free block covers this aligned range."""
    cdef pfn_t head
    cdef uint8_t tag = covering(m, pfn, &head)
    return tag_is_buddy(tag) and (tag & TAG_ORDER) >= order and block_type(m, pfn) != MT_HIGHATOMIC

cdef inline void take_free(mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    """Isolate a part of a free block that covers it; the rest stays free."""
    cdef pfn_t head = NO_PFN, at
    cdef int have = covering(m, pfn, &head) & TAG_ORDER
    cdef zone_t *z = zone_of(m, pfn)
    list_del(m, z, head, have)
    account_list(m, z, cpu, -(<int64_t>1 << have), block_type(m, head))
    tag_set(m, pfn, order, TAG_ISOLATED)
    m.isolated += <int64_t>1 << order
    while have > order:
        have -= 1
        at = head
        if pfn >= head + (<pfn_t>1 << have):
            head += <pfn_t>1 << have
        else:
            at += <pfn_t>1 << have
        free_block(m, z, cpu, at, have, block_type(m, at), FPI_SKIP_REPORT_NOTIFY)

cdef inline void give_back(mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    """Return an isolated block to the tail of its list."""
    put_back(m, zone_of(m, pfn), cpu, pfn, order, FPI_SKIP_REPORT_NOTIFY | FPI_TO_TAIL)

cdef inline int64_t look_over(const mm_t *m, pfn_t first, pfn_t end, int64_t *looked) noexcept nogil:
    """Pages in use that would have to move, RANGE_BUSY if the range cannot be taken. looked: blocks and pages seen."""
    cdef pfn_t at = first, head
    cdef uint8_t tag
    cdef int64_t used = 0
    cdef int order
    while at < end:
        tag = covering(m, at, &head)
        order = tag & TAG_ORDER
        looked[0] += 1
        if block_type(m, at) == MT_HIGHATOMIC:
            return RANGE_BUSY
        if tag_is_used(tag):
            if not tag & TAG_MOVABLE or head != at or at + (<pfn_t>1 << order) > end:
                return RANGE_BUSY
            used += <int64_t>1 << order
        elif not tag_is_buddy(tag):
            return RANGE_BUSY
        at = head + (<pfn_t>1 << order)
    return used

cdef inline int64_t isolate_free(mm_t *m, int cpu, pfn_t first, pfn_t end) noexcept nogil:
    """Isolate all that is free in an aligned range; how many blocks."""
    cdef pfn_t at = first, head
    cdef uint8_t tag
    cdef int order
    cdef int64_t n = 0
    while at < end:
        tag = covering(m, at, &head)
        order = tag & TAG_ORDER
        if tag_is_buddy(tag):
            while (at + (<pfn_t>1 << order) > end) or at & ((<pfn_t>1 << order) - 1):
                order -= 1
            take_free(m, cpu, at, order)
            n += 1
            at += <pfn_t>1 << order
        else:
            at = head + (<pfn_t>1 << order)
    return n

cdef inline bint is_isolated(const mm_t *m, pfn_t first, pfn_t end) noexcept nogil:
    cdef pfn_t at = first, head
    cdef uint8_t tag
    while at < end:
        tag = covering(m, at, &head)
        if tag & TAG_KIND != TAG_ISOLATED:
            return False
        at = head + (<pfn_t>1 << (tag & TAG_ORDER))
    return True

cdef inline void join_isolated(mm_t *m, pfn_t first, pfn_t end, int order) noexcept nogil:
    """Make isolated blocks of one order of a range that is isolated in whatever pieces; its pageblocks turn MOVABLE."""
    cdef pfn_t at = first, head
    cdef uint8_t tag
    while at < end:
        tag = covering(m, at, &head)
        tag_clear(m, head, tag & TAG_ORDER)
        at = head + (<pfn_t>1 << (tag & TAG_ORDER))
    at = first
    while at < end:
        tag_set(m, at, order, TAG_ISOLATED)
        at += <pfn_t>1 << order
    for at in range(first >> PAGEBLOCK_ORDER, end >> PAGEBLOCK_ORDER):
        m.pageblock[at] = MT_MOVABLE

cdef inline int64_t undo(mm_t *m, int cpu, pfn_t first, pfn_t end) noexcept nogil:
    """Give back what is isolated in a range; how many blocks."""
    cdef pfn_t at = first, head
    cdef uint8_t tag
    cdef int order
    cdef int64_t n = 0
    while at < end:
        tag = covering(m, at, &head)
        order = tag & TAG_ORDER
        at = head + (<pfn_t>1 << order)
        if tag & TAG_KIND == TAG_ISOLATED:
            give_back(m, cpu, head, order)
            n += 1
    return n

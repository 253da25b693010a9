"""Lists of blocks under way to the host, one for each ticket, and the look at a block when the host drops it."""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc

from hinting._core.common cimport pfn_t
from hinting._core.mm.buddy cimport put_back
from hinting._core.mm.pages cimport TAG_ISOLATED, TAG_KIND, covering, tag_get, zone_of
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.hooks cimport MAX_TICKETS, block_t, work_t

ctypedef struct list_t:
    block_t *block
    int64_t n
    int64_t size                        # blocks that fit
    bint taken

ctypedef struct lists_t:
    list_t list[MAX_TICKETS]            # by ticket
    int64_t lists                       # under way now
    int64_t blocks                      # in them
    int64_t most_lists
    int64_t most_blocks
    int64_t not_isolated                # pages that the host dropped while they were not isolated

cdef inline int take_list(lists_t *l) noexcept nogil:
    """The ticket of an empty list, -1 if all are under way."""
    cdef int ticket
    for ticket in range(MAX_TICKETS):
        if not l.list[ticket].taken:
            l.list[ticket].taken = True
            l.list[ticket].n = 0
            return ticket
    return -1

cdef inline bint list_room(list_t *a, int64_t n) noexcept nogil:
    """Make room for n blocks; False without memory."""
    cdef block_t *grown
    if n <= a.size:
        return True
    grown = <block_t *>realloc(a.block, 2 * n * sizeof(block_t))
    if grown == NULL:
        return False
    a.block = grown
    a.size = 2 * n
    return True

cdef inline bint list_append(list_t *a, pfn_t pfn, int order) noexcept nogil:
    if not list_room(a, a.n + 1):
        return False
    a.block[a.n].pfn = pfn
    a.block[a.n].order = order
    a.n += 1
    return True

cdef inline void list_leaves(lists_t *l, int ticket) noexcept nogil:
    """A list is complete and goes to the host."""
    l.lists += 1
    l.blocks += l.list[ticket].n
    if l.lists > l.most_lists:
        l.most_lists = l.lists
    if l.blocks > l.most_blocks:
        l.most_blocks = l.blocks

cdef inline void list_is_back(lists_t *l, int ticket) noexcept nogil:
    l.lists -= 1
    l.blocks -= l.list[ticket].n
    l.list[ticket].taken = False

cdef inline void return_list(list_t *a, mm_t *m, int cpu, int fpi, work_t *work) noexcept nogil:
    """Put all blocks of a list back, in its order."""
    cdef int64_t i
    for i in range(a.n):
        put_back(m, zone_of(m, a.block[i].pfn), cpu, a.block[i].pfn, a.block[i].order, fpi)
    work.returned += a.n

cdef inline int64_t list_pages(const list_t *a) noexcept nogil:
    cdef int64_t i, pages = 0
    for i in range(a.n):
        pages += <int64_t>1 << a.block[i].order
    return pages

cdef inline int64_t pages_under_way(const lists_t *l) noexcept nogil:
    cdef int64_t pages = 0
    cdef int ticket
    for ticket in range(MAX_TICKETS):
        if l.list[ticket].taken:
            pages += list_pages(&l.list[ticket])
    return pages

cdef inline int64_t not_isolated(const mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """Pages of a block that are not isolated: a discard of them may lose data."""
    cdef pfn_t at = pfn, end = pfn + (<pfn_t>1 << order), head = 0
    cdef int64_t n = 0
    if tag_get(m, pfn, order) == (TAG_ISOLATED | order):
        return 0
    while at < end:
        n += (covering(m, at, &head) & TAG_KIND) != TAG_ISOLATED
        at += 1
    return n

cdef inline void free_lists(lists_t *l) noexcept nogil:
    cdef int ticket
    for ticket in range(MAX_TICKETS):
        free(l.list[ticket].block)

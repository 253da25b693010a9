"""Free lists: add, delete, merge, split, move between types, isolate and put back.

List order is the kernel's: allocation takes from the head, a freed block goes to the head unless its parent's buddy
is free or the caller asks for the tail. The zone lock of the real kernel is implied by every function here.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hinting._core.common cimport (
    MAX_ORDER,
    MT_HIGHATOMIC,
    MT_ISOLATE,
    MT_MOVABLE,
    MT_PCPTYPES,
    NO_PFN,
    NR_MIGRATETYPES,
    PAGEBLOCK_ORDER,
    PAGEBLOCK_PAGES,
    pfn_t,
)
from hinting._core.mm.counter cimport account
from hinting._core.mm.pages cimport (
    TAG_BUDDY,
    TAG_ISOLATED,
    TAG_KIND,
    TAG_MOVABLE,
    TAG_ORDER,
    TAG_REPORTED,
    block_type,
    covering,
    is_free_head,
    link_between,
    links_of,
    list_first,
    list_head,
    node_of,
    tag_clear,
    tag_get,
    tag_is_buddy,
    tag_is_used,
    tag_set,
)
from hinting._core.mm.state cimport WM_MIN, link_t, mm_t, zone_t
from hinting._core.mm.watermark cimport wm_ok

cdef extern from *:
    int __builtin_ctz(unsigned int) nogil
    int __builtin_clz(unsigned int) nogil

cdef enum:
    FPI_NONE = 0
    FPI_SKIP_REPORT_NOTIFY = 1          # a put back: nobody is told
    FPI_TO_TAIL = 2                     # the block goes to the tail of its list

cdef inline bint is_mergeable(int mt) noexcept nogil:
    return mt < MT_PCPTYPES

cdef inline void list_add(mm_t *m, zone_t *z, pfn_t pfn, int order, int mt, bint tail) noexcept nogil:
    cdef link_t *links = links_of(m, order)
    cdef uint32_t head = list_head(m, z.index, mt, order)
    cdef uint32_t node = node_of(pfn, order)
    if tail:
        link_between(links, node, links[head].prev, head)
    else:
        link_between(links, node, head, links[head].next)
    z.nonempty[mt] |= <unsigned short>(1 << order)
    z.nr_free[order] += 1
    tag_set(m, pfn, order, TAG_BUDDY)

cdef inline void list_unlink(mm_t *m, zone_t *z, pfn_t pfn, int order) noexcept nogil:
    """Take a block out of whatever list it is on, without counting it away."""
    cdef link_t *links = links_of(m, order)
    cdef link_t own = links[node_of(pfn, order)]
    links[own.prev].next = own.next
    links[own.next].prev = own.prev
    if own.prev == own.next:            # only a list head is left: its number says which list is empty now
        z.nonempty[((own.next - (m.nblocks if order == MAX_ORDER else m.span)) >> 4) % NR_MIGRATETYPES] &= (
            <unsigned short>~(1 << order))

cdef inline void list_del(mm_t *m, zone_t *z, pfn_t pfn, int order) noexcept nogil:
    list_unlink(m, z, pfn, order)
    z.nr_free[order] -= 1
    tag_clear(m, pfn, order)

cdef inline void account_list(mm_t *m, zone_t *z, int cpu, int64_t pages, int mt) noexcept nogil:
    """Count pages that enter (or leave) a list of type mt as free; ISOLATE lists do not count."""
    if mt != MT_ISOLATE:
        account(m, z, cpu, pages)
        if mt == MT_HIGHATOMIC:
            z.nr_free_highatomic += pages

cdef inline void set_block_types(mm_t *m, pfn_t pfn, int order, int mt) noexcept nogil:
    """Set the type of every pageblock that the block touches."""
    cdef uint32_t b
    cdef uint32_t n = 1 << (order - PAGEBLOCK_ORDER) if order > PAGEBLOCK_ORDER else 1
    for b in range(n):
        m.pageblock[(pfn >> PAGEBLOCK_ORDER) + b] = <uint8_t>mt

cdef inline bint merge_likely(const mm_t *m, pfn_t pfn, pfn_t buddy, int order) noexcept nogil:
    """The parent's buddy is free, so the pair is likely to merge once more."""
    if order >= MAX_ORDER - 1:
        return False
    return is_free_head(m, (pfn & buddy) ^ (<pfn_t>1 << (order + 1)), order + 1)

cdef inline bint may_merge_pageblocks(const mm_t *m, int mt, int other) noexcept nogil:
    if mt == other:
        return True
    if m.k.merge_any_pageblock:
        return mt != MT_ISOLATE and other != MT_ISOLATE
    return is_mergeable(mt) and is_mergeable(other)

cdef inline void free_block(mm_t *m, zone_t *z, int cpu, pfn_t pfn, int order, int mt, int fpi) noexcept nogil:
    """Enter a block into the free lists of type mt, merging it with its free buddies (all versions)."""
    cdef pfn_t buddy = pfn, freed = pfn
    cdef int other
    tag_clear(m, pfn, order)
    account_list(m, z, cpu, <int64_t>1 << order, mt)
    while order < MAX_ORDER:
        buddy = pfn ^ (<pfn_t>1 << order)
        if not is_free_head(m, buddy, order):
            break
        if order >= PAGEBLOCK_ORDER:
            other = block_type(m, buddy)
            if not may_merge_pageblocks(m, mt, other):
                break
            if m.k.strict_types and other != mt:
                set_block_types(m, buddy, order, mt)
        list_del(m, z, buddy, order)
        pfn &= buddy
        order += 1
    list_add(m, z, pfn, order, mt, fpi & FPI_TO_TAIL or (order < MAX_ORDER and merge_likely(m, pfn, buddy, order)))
    if m.on_merged != NULL and not fpi & FPI_SKIP_REPORT_NOTIFY:
        m.merged_from = freed
        m.on_merged(m.hook_self, m, cpu, pfn, order)

cdef inline void unlocked(mm_t *m, int cpu) noexcept nogil:
    """The zone lock is released at the end of an ordinary free, or of one batch of them."""
    if m.on_unlock != NULL:
        m.on_unlock(m.hook_self, m, cpu)

cdef inline void expand(mm_t *m, zone_t *z, pfn_t pfn, int high, int order, int mt) noexcept nogil:
    """Give back the upper halves of a block of order high until a block of the wanted order is left at pfn."""
    while high > order:
        high -= 1
        list_add(m, z, pfn + (<pfn_t>1 << high), high, mt, False)

cdef inline bint keeps_mark(const mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """What a split leaves of this free block stays reported (an option, in no released kernel)."""
    return m.split_keeps_reported and (tag_get(m, pfn, order) & TAG_KIND) == TAG_REPORTED

cdef inline void split_block(mm_t *m, zone_t *z, pfn_t pfn, int high, int order, int mt) noexcept nogil:
    """Take a free block off its list; all of it but a block of the wanted order goes to the lists of type mt."""
    cdef bint reported = keeps_mark(m, pfn, high)
    cdef int half
    list_del(m, z, pfn, high)
    expand(m, z, pfn, high, order, mt)
    if reported:
        for half in range(order, high):
            tag_set(m, pfn + (<pfn_t>1 << half), half, TAG_REPORTED)

cdef inline pfn_t take_smallest(mm_t *m, zone_t *z, int order, int mt) noexcept nogil:
    """First block of the smallest sufficient order of type mt, split down; NO_PFN if the lists have none."""
    cdef unsigned int usable = z.nonempty[mt] >> order
    cdef int high
    cdef pfn_t pfn
    if usable == 0:
        return NO_PFN
    high = order + __builtin_ctz(usable)
    pfn = list_first(m, z.index, mt, high)
    split_block(m, z, pfn, high, order, mt)
    return pfn

cdef inline pfn_t take_run(mm_t *m, zone_t *z, int order, int mt, int64_t most, int64_t *n) noexcept nogil:
    """What up to `most` calls of take_smallest would take one after the other out of one block; n: how many.

    Returns the first of n adjoining blocks, NO_PFN if the lists have none. The lists of the orders between the wanted
    one and that of the block are empty, so each call would go on where the one before it ended.
    """
    cdef unsigned int usable = z.nonempty[mt] >> order
    cdef int high, rest
    cdef pfn_t pfn, at, end
    cdef bint reported
    n[0] = 0
    if usable == 0:
        return NO_PFN
    high = order + __builtin_ctz(usable)
    pfn = list_first(m, z.index, mt, high)
    reported = keeps_mark(m, pfn, high)
    list_del(m, z, pfn, high)
    n[0] = <int64_t>1 << (high - order)
    if n[0] > most:
        n[0] = most
        at = pfn + (<pfn_t>most << order)
        end = pfn + (<pfn_t>1 << high)
        while at < end:                 # what is left, in ascending orders
            rest = __builtin_ctz(at)
            list_add(m, z, at, rest, mt, False)
            if reported:
                tag_set(m, at, rest, TAG_REPORTED)
            at += <pfn_t>1 << rest
    return pfn

cdef inline void move_tail(mm_t *m, zone_t *z, pfn_t pfn, int order, int mt) noexcept nogil:
    """Move a free block to the tail of the list of another type. Its reported mark stays."""
    cdef uint8_t t = tag_get(m, pfn, order)
    list_unlink(m, z, pfn, order)
    z.nr_free[order] -= 1
    list_add(m, z, pfn, order, mt, True)
    tag_set(m, pfn, order, t & ~TAG_ORDER)

cdef inline bint pageblock_in_zone(const zone_t *z, pfn_t pfn) noexcept nogil:
    """The pageblock of pfn does not cross the zone's edge."""
    cdef pfn_t first = pfn & ~<pfn_t>(PAGEBLOCK_PAGES - 1)
    return first >= z.start and first + PAGEBLOCK_PAGES <= z.end

cdef inline int64_t count_block(mm_t *m, zone_t *z, pfn_t pfn, int64_t *movable) noexcept nogil:
    """Free pages of the pageblock of pfn, and pages that count as movable; -1 if the block crosses the zone's edge."""
    cdef pfn_t at = pfn & ~<pfn_t>(PAGEBLOCK_PAGES - 1)
    cdef pfn_t end = at + PAGEBLOCK_PAGES
    cdef pfn_t head, stop
    cdef uint8_t t
    cdef int64_t free = 0
    movable[0] = 0
    if not pageblock_in_zone(z, pfn):
        return -1
    while at < end:
        t = covering(m, at, &head)
        stop = at + 1 if t == 0 else head + (<pfn_t>1 << (t & TAG_ORDER))
        if stop > end:
            stop = end
        if tag_is_buddy(t):
            free += stop - at
        elif tag_is_used(t) and t & TAG_MOVABLE:
            movable[0] += stop - at
        at = stop
    return free

cdef inline int64_t move_block(mm_t *m, zone_t *z, int cpu, pfn_t pfn, int mt, int64_t *movable) noexcept nogil:
    """Move every free block of the pageblock of pfn to the tail of the lists of type mt, in ascending order.

    Returns the number of free pages moved, and counts the pages that are movable. At a zone's edge nothing is moved
    if the last page lies outside; if only the first one does, the walk starts at pfn itself (5.0, 6.1; 6.12 refuses).
    """
    cdef pfn_t at = pfn & ~<pfn_t>(PAGEBLOCK_PAGES - 1)
    cdef pfn_t end = at + PAGEBLOCK_PAGES
    cdef int64_t free = 0, n
    cdef int old = block_type(m, pfn)
    cdef uint8_t t
    movable[0] = 0
    if end > z.end:
        return 0
    if at < z.start:
        if m.k.strict_types:
            return 0
        at = pfn
    while at < end:
        t = m.big_tag[at >> MAX_ORDER] if at & ((1 << MAX_ORDER) - 1) == 0 else 0
        if t == 0:
            t = m.tag[at]
        if tag_is_buddy(t):
            n = <int64_t>1 << (t & TAG_ORDER)
            move_tail(m, z, at, t & TAG_ORDER, mt)
            if m.k.account_per_block:
                account_list(m, z, cpu, -n, old)
                account_list(m, z, cpu, n, mt)
            free += n
            at += <pfn_t>n
        else:
            n = <int64_t>1 << (t & TAG_ORDER)
            if tag_is_used(t) and t & TAG_MOVABLE:
                movable[0] += n if at + n <= end else end - at
            at += <pfn_t>n if t else 1
    return free

cdef inline bint isolate(mm_t *m, zone_t *z, int cpu, pfn_t pfn, int order) noexcept nogil:
    """Take a whole free block off its list; False if the zone would fall below its min watermark.

    The caller owns the block until it puts it back; it is not counted as free meanwhile. A block of order 8 or more
    turns its pageblocks MOVABLE.
    """
    cdef int mt = block_type(m, pfn)
    cdef uint32_t b, first
    cdef int64_t movable
    if mt != MT_ISOLATE:
        if not wm_ok(m, z, 0, z.watermark[WM_MIN] + (<int64_t>1 << order), 0, 0, z.counter):
            return False
        account_list(m, z, cpu, -(<int64_t>1 << order), mt)
    list_del(m, z, pfn, order)
    if order >= PAGEBLOCK_ORDER - 1:
        first = pfn >> PAGEBLOCK_ORDER
        for b in range(first, first + (1 << (order - PAGEBLOCK_ORDER) if order > PAGEBLOCK_ORDER else 1)):
            if not is_mergeable(m.pageblock[b]):
                continue
            if m.k.strict_types:
                if not pageblock_in_zone(z, b << PAGEBLOCK_ORDER):
                    continue
                move_block(m, z, cpu, b << PAGEBLOCK_ORDER, MT_MOVABLE, &movable)
            m.pageblock[b] = MT_MOVABLE
    tag_set(m, pfn, order, TAG_ISOLATED)
    m.isolated += <int64_t>1 << order
    return True

cdef inline void put_back(mm_t *m, zone_t *z, int cpu, pfn_t pfn, int order, int fpi) noexcept nogil:
    """Return an isolated block to the free lists of its pageblock's type; a replay also returns one that left otherwise."""
    if tag_get(m, pfn, order) & TAG_KIND == TAG_ISOLATED:
        m.isolated -= <int64_t>1 << order
    free_block(m, z, cpu, pfn, order, block_type(m, pfn), fpi)

cdef inline bint mark_reported(mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """Mark a free block as reported; False if it is no longer one of exactly this order."""
    cdef uint8_t t = tag_get(m, pfn, order)
    if not tag_is_buddy(t) or (t & TAG_ORDER) != order:
        return False
    tag_set(m, pfn, order, TAG_REPORTED)
    return True

cdef inline void rotate_to_front(mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """Make the block the first of its list; the part before it moves behind the end, in order."""
    cdef link_t *links = links_of(m, order)
    cdef uint32_t node = node_of(pfn, order)
    cdef uint32_t head = node
    cdef uint32_t base = m.nblocks if order == MAX_ORDER else m.span
    while head < base:                  # the list head is the only node at or above the base
        head = links[head].prev
    if links[head].next == node:
        return
    links[links[head].prev].next = links[head].next
    links[links[head].next].prev = links[head].prev
    link_between(links, head, links[node].prev, node)

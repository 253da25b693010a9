"""Per-page tags, list links and pageblock types: the only code that touches the arrays of mm_t directly.

A tag is one byte: kind in the upper and order in the lower four bits. Only the first page of a block carries one; the
other pages of the block are 0. A page that no block covers is a hole or was never handed to the allocator. The tag of
a block of order 10 lives in `big_tag`, so that untouched memory stays untouched.
"""

from libc.stdint cimport uint8_t, uint32_t

from hinting._core.common cimport (
    MAX_BLOCK_PAGES,
    MAX_ORDER,
    NO_PFN,
    NR_MIGRATETYPES,
    PAGEBLOCK_ORDER,
    ZONE_DMA,
    ZONE_DMA32,
    ZONE_NORMAL,
    pfn_t,
)
from hinting._core.mm.state cimport link_t, mm_t, zone_t

cdef enum:
    TAG_ORDER = 0x0F
    TAG_KIND = 0xF0
    TAG_NONE = 0x00                     # not the first page of a block
    TAG_ISOLATED = 0x10                 # held outside the lists, not counted free
    TAG_BUDDY = 0x20                    # first page of a free block on a free list
    TAG_REPORTED = 0x30                 # the same, and already reported to the host
    TAG_USED = 0x40                     # allocated
    TAG_COMPOUND = 0x10                 # with TAG_USED: a compound page
    TAG_MOVABLE = 0x20                  # with TAG_USED: counts as movable when a pageblock is claimed
    TAG_PCP = 0x80                      # on a per-CPU list; + cached migratetype << 4
    TAG_PREPARED = 0xF0                 # passed the free hook, not yet on any list

cdef inline bint tag_is_buddy(uint8_t t) noexcept nogil:
    return (t & 0xE0) == TAG_BUDDY

cdef inline bint tag_is_used(uint8_t t) noexcept nogil:
    return (t & 0xC0) == TAG_USED

cdef inline bint tag_is_pcp(uint8_t t) noexcept nogil:
    return TAG_PCP <= t < TAG_PCP + (NR_MIGRATETYPES << 4)

cdef inline uint8_t tag_get(const mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """The tag of the block (pfn, order), if there is one of this order or a smaller one at pfn."""
    return m.big_tag[pfn >> MAX_ORDER] if order == MAX_ORDER else m.tag[pfn]

cdef inline void tag_set(mm_t *m, pfn_t pfn, int order, uint8_t kind) noexcept nogil:
    if order == MAX_ORDER:
        m.big_tag[pfn >> MAX_ORDER] = kind | MAX_ORDER
    else:
        m.tag[pfn] = <uint8_t>(kind | order)

cdef inline void tag_clear(mm_t *m, pfn_t pfn, int order) noexcept nogil:
    if order == MAX_ORDER:
        m.big_tag[pfn >> MAX_ORDER] = 0
    else:
        m.tag[pfn] = 0

cdef inline bint is_free_head(const mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """pfn is the first page of a free block of exactly this order (below 10)."""
    return (m.tag[pfn] & 0xEF) == (TAG_BUDDY | order)

cdef inline uint8_t covering(const mm_t *m, pfn_t pfn, pfn_t *head) noexcept nogil:
    """Tag of the block that pfn belongs to, and its first page; 0 and NO_PFN for a page of no block."""
    cdef uint8_t t = m.big_tag[pfn >> MAX_ORDER]
    cdef pfn_t candidate = pfn          # a block begins at pfn, or at pfn with its lowest bits cleared
    if t:
        head[0] = pfn & ~<pfn_t>(MAX_BLOCK_PAGES - 1)
        return t
    t = m.tag[candidate]
    while t == 0 and candidate & (MAX_BLOCK_PAGES - 1):
        candidate &= candidate - 1
        t = m.tag[candidate]
    if t and pfn - candidate < <pfn_t>1 << (t & TAG_ORDER):
        head[0] = candidate
        return t
    head[0] = NO_PFN
    return 0

cdef inline pfn_t containing_block(const mm_t *m, pfn_t pfn, int *order) noexcept nogil:
    """First page and order of the free block that holds pfn, or NO_PFN."""
    cdef pfn_t head
    cdef uint8_t t = covering(m, pfn, &head)
    if tag_is_buddy(t):
        order[0] = t & TAG_ORDER
        return head
    return NO_PFN

cdef inline int block_type(const mm_t *m, pfn_t pfn) noexcept nogil:
    return m.pageblock[pfn >> PAGEBLOCK_ORDER]

cdef inline zone_t *zone_of(mm_t *m, pfn_t pfn) noexcept nogil:
    """The zone whose span holds pfn, NULL outside all of them. Zones are few and the highest is the largest."""
    if m.zone[ZONE_NORMAL].start <= pfn < m.zone[ZONE_NORMAL].end:
        return &m.zone[ZONE_NORMAL]
    if m.zone[ZONE_DMA32].start <= pfn < m.zone[ZONE_DMA32].end:
        return &m.zone[ZONE_DMA32]
    if m.zone[ZONE_DMA].start <= pfn < m.zone[ZONE_DMA].end:
        return &m.zone[ZONE_DMA]
    if m.zone[3].start <= pfn < m.zone[3].end:
        return &m.zone[3]
    return NULL

# Lists. A list head is the node (number of nodes) + list number; number = (zone * types + type) * 16 + order, so that
# the order, the type and the zone can be read back from it.

cdef inline uint32_t list_number(int zone, int mt, int order) noexcept nogil:
    return <uint32_t>(((zone * NR_MIGRATETYPES + mt) << 4) | order)

cdef inline uint32_t list_head(const mm_t *m, int zone, int mt, int order) noexcept nogil:
    return (m.nblocks if order == MAX_ORDER else m.span) + list_number(zone, mt, order)

cdef inline link_t *links_of(mm_t *m, int order) noexcept nogil:
    return m.big_link if order == MAX_ORDER else m.link

cdef inline uint32_t node_of(pfn_t pfn, int order) noexcept nogil:
    return pfn >> MAX_ORDER if order == MAX_ORDER else pfn

cdef inline pfn_t pfn_of_node(uint32_t node, int order) noexcept nogil:
    return node << MAX_ORDER if order == MAX_ORDER else node

cdef inline void link_between(link_t *links, uint32_t node, uint32_t before, uint32_t after) noexcept nogil:
    links[node].prev = before
    links[node].next = after
    links[before].next = node
    links[after].prev = node

cdef inline pfn_t list_first(mm_t *m, int zone, int mt, int order) noexcept nogil:
    cdef link_t *links = links_of(m, order)
    cdef uint32_t head = list_head(m, zone, mt, order)
    cdef uint32_t node = links[head].next
    return NO_PFN if node == head else pfn_of_node(node, order)

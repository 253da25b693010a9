"""Invariants of the allocator, verified by a full recount.

Every page belongs to at most one block; each free block is on exactly one list of its zone and order; the counters
agree with the lists; per-CPU lists hold just the pages tagged so; no two free buddies below pageblock order are left
unmerged.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from hinting.errors import CheckError

from hinting._core.common cimport (
    MAX_BLOCK_PAGES,
    MAX_ORDER,
    MT_HIGHATOMIC,
    MT_ISOLATE,
    NR_MIGRATETYPES,
    NR_ORDERS,
    NR_ZONES,
    PAGEBLOCK_ORDER,
    pfn_t,
)
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.counter cimport free_exact, pcp_of
from hinting._core.mm.pages cimport (
    TAG_ISOLATED,
    TAG_KIND,
    TAG_ORDER,
    TAG_PREPARED,
    block_type,
    is_free_head,
    links_of,
    list_head,
    pfn_of_node,
    tag_get,
    tag_is_buddy,
    tag_is_pcp,
    zone_of,
)
from hinting._core.mm.pcp cimport pindex_order, ring_at
from hinting._core.mm.state cimport link_t, mm_t, pcp_t, zone_t

ctypedef struct census_t:
    int64_t buddy_blocks
    int64_t pcp_blocks[NR_ZONES]
    int64_t pcp_pages[NR_ZONES]
    int64_t isolated_pages[NR_ZONES]
    int64_t prepared
    int64_t bad_pfn                     # first offending page, -1
    int bad_kind                        # 1 overlap or misaligned, 2 outside a zone, 3 unmerged buddies


cdef void _census(mm_t *m, census_t *c) noexcept nogil:
    """Walk all pages by their tags."""
    cdef pfn_t at = 0, i
    cdef uint8_t t
    cdef int order
    cdef zone_t *z
    memset(c, 0, sizeof(census_t))
    c.bad_pfn = -1
    while at < m.span:
        if at % MAX_BLOCK_PAGES == 0:
            t = m.big_tag[at >> MAX_ORDER]
            if t == 0:
                t = m.tag[at]
            elif m.tag[at]:
                c.bad_pfn = at
                c.bad_kind = 1
                return
        else:
            t = m.tag[at]
        if t == 0:
            at += 1
            continue
        order = t & TAG_ORDER
        z = zone_of(m, at)
        if order > MAX_ORDER or at & ((<pfn_t>1 << order) - 1):
            c.bad_pfn = at
            c.bad_kind = 1
            return
        if z == NULL or at + (<pfn_t>1 << order) > z.end:
            c.bad_pfn = at
            c.bad_kind = 2
            return
        if order < MAX_ORDER or not tag_is_buddy(t):
            for i in range(at + 1, at + (<pfn_t>1 << order)):
                if m.tag[i]:
                    c.bad_pfn = i
                    c.bad_kind = 1
                    return
        if tag_is_buddy(t):
            c.buddy_blocks += 1
            if order < PAGEBLOCK_ORDER and is_free_head(m, at ^ (<pfn_t>1 << order), order):
                c.bad_pfn = at
                c.bad_kind = 3
                return
        elif tag_is_pcp(t):
            c.pcp_blocks[z.index] += 1
            c.pcp_pages[z.index] += <int64_t>1 << order
        elif (t & TAG_KIND) == TAG_ISOLATED:
            c.isolated_pages[z.index] += <int64_t>1 << order
        elif (t & TAG_KIND) == TAG_PREPARED:
            c.prepared += 1
        at += <pfn_t>1 << order


cdef int64_t _list_length(mm_t *m, zone_t *z, int mt, int order, int64_t limit) noexcept nogil:
    """Blocks of one list; -1 - node for a link that is wrong, -2^40 for a list that does not end."""
    cdef link_t *links = links_of(m, order)
    cdef uint32_t head = list_head(m, z.index, mt, order)
    cdef uint32_t node = links[head].next
    cdef uint32_t last = head
    cdef int64_t n = 0
    cdef uint8_t t
    cdef pfn_t pfn
    while node != head:
        if links[node].prev != last or n > limit:
            return -1 - <int64_t>node
        pfn = pfn_of_node(node, order)
        if pfn >= m.npfn or zone_of(m, pfn) != z:
            return -1 - <int64_t>node
        t = tag_get(m, pfn, order)
        if not tag_is_buddy(t) or (t & TAG_ORDER) != order:
            return -1 - <int64_t>node
        if m.k.strict_types and mt < MT_ISOLATE and block_type(m, pfn) != mt:
            return -1 - <int64_t>node
        n += 1
        last = node
        node = links[node].next
    return n if links[head].prev == last else -1 - <int64_t>head


cdef _check_zone(mm_t *m, zone_t *z, census_t *c):
    cdef int64_t counted, n, pages = 0, highatomic = 0, blocks = 0
    cdef int order, mt, cpu, index
    cdef uint32_t i
    cdef pcp_t *p
    for order in range(NR_ORDERS):
        counted = 0
        for mt in range(NR_MIGRATETYPES):
            n = _list_length(m, z, mt, order, m.span)
            if n < 0:
                raise CheckError(f"zone {z.index} order {order} type {mt}: the list is broken at node {-1 - n}")
            if (n > 0) != bool(z.nonempty[mt] >> order & 1):
                raise CheckError(f"zone {z.index} order {order} type {mt}: {n} blocks, but the emptiness bit disagrees")
            counted += n
            if mt != MT_ISOLATE:
                pages += n << order
            if mt == MT_HIGHATOMIC:
                highatomic += n << order
        if counted != z.nr_free[order]:
            raise CheckError(f"zone {z.index} order {order}: {counted} blocks on the lists, nr_free is {z.nr_free[order]}")
        blocks += counted
    if pages != free_exact(m, z):
        raise CheckError(f"zone {z.index}: {pages} pages on the free lists, the counter says {free_exact(m, z)}")
    if m.k.counts_free_highatomic and highatomic != z.nr_free_highatomic:
        raise CheckError(f"zone {z.index}: {highatomic} free highatomic pages, counted {z.nr_free_highatomic}")
    listed = 0
    in_pages = 0
    for cpu in range(m.ncpus):
        p = pcp_of(m, z, cpu)
        held = 0
        for index in range(m.k.nr_pcp_lists):
            for i in range(p.list[index].len):
                tag = m.tag[ring_at(&p.list[index], i)]
                if not tag_is_pcp(tag) or (tag & TAG_ORDER) != pindex_order(index):
                    raise CheckError(f"zone {z.index} cpu {cpu} list {index}: pfn {ring_at(&p.list[index], i)} is not "
                                     f"tagged as its page")
            listed += p.list[index].len
            held += p.list[index].len << pindex_order(index)
        if held != p.count:
            raise CheckError(f"zone {z.index} cpu {cpu}: lists hold {held} pages, count is {p.count}")
        in_pages += held
    if listed != c.pcp_blocks[z.index] or in_pages != c.pcp_pages[z.index]:
        raise CheckError(f"zone {z.index}: {listed} entries on per-CPU lists, {c.pcp_blocks[z.index]} pages tagged so")
    return blocks


def check(Allocator allocator not None, bint on_their_way=False):
    """Verify all invariants; raises CheckError naming the first that fails.

    on_their_way: blocks may have passed the free hook without having reached a list.
    """
    cdef mm_t *m = &allocator.m
    cdef census_t c
    cdef int i
    cdef int64_t isolated
    with nogil:
        _census(m, &c)
    if c.bad_pfn >= 0:
        what = {1: "lies inside another block or is misaligned", 2: "is outside every zone",
                3: "is free beside its free buddy, unmerged"}[c.bad_kind]
        raise CheckError(f"pfn {c.bad_pfn} {what}")
    if c.prepared and not on_their_way:
        raise CheckError(f"{c.prepared} blocks passed the free hook and reached no list")
    blocks = 0
    for i in range(NR_ZONES):
        blocks += _check_zone(m, &m.zone[i], &c)
    if blocks != c.buddy_blocks:
        raise CheckError(f"{blocks} blocks on the free lists, {c.buddy_blocks} pages tagged as free blocks")
    isolated = sum([c.isolated_pages[i] for i in range(NR_ZONES)])
    if isolated != m.isolated:
        raise CheckError(f"{isolated} pages are isolated, counted {m.isolated}")


def isolated_pages(Allocator allocator not None):
    """Pages held outside the lists by isolation, by zone: list of 4."""
    cdef census_t c
    with nogil:
        _census(&allocator.m, &c)
    return [c.isolated_pages[i] for i in range(NR_ZONES)]

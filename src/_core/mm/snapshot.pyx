"""An allocator's whole state, out: blocks by their first pages, lists in order (see state_arrays)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

import numpy as np

from hinting.errors import PageError

from hinting._core.common cimport (
    MAX_BLOCK_PAGES,
    MAX_ORDER,
    NR_MIGRATETYPES,
    NR_ORDERS,
    NR_ZONES,
    PAGEBLOCK_PAGES,
    pfn_t,
)
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.pages cimport (
    TAG_COMPOUND,
    TAG_ISOLATED,
    TAG_KIND,
    TAG_MOVABLE,
    TAG_ORDER,
    TAG_PREPARED,
    TAG_REPORTED,
    links_of,
    list_head,
    pfn_of_node,
    tag_get,
    tag_is_used,
)
from hinting._core.mm.pcp cimport ring_at
from hinting._core.mm.pcp_fields cimport pcp_fields
from hinting._core.mm.state cimport link_t, mm_t, pcp_t, ring_t, zone_t

from hinting._core.mm.state_arrays import ARRAYS

ctypedef struct held_t:                 # blocks on no list
    int64_t runs                        # of adjacent allocated blocks of one tag
    int64_t isolated
    int64_t prepared
    uint32_t *pfn                       # of each run; NULL: count only
    uint32_t *blocks
    uint8_t *tag
    uint32_t *isolated_pfn
    uint8_t *isolated_order
    uint8_t last_tag
    int64_t last_end                    # where the last run ends


cdef void note(held_t *h, pfn_t pfn, uint8_t tag) noexcept nogil:
    """Add a block that is on no list."""
    if tag_is_used(tag):
        if h.runs == 0 or tag != h.last_tag or pfn != h.last_end:
            if h.pfn != NULL:
                h.pfn[h.runs] = pfn
                h.blocks[h.runs] = 0
                h.tag[h.runs] = tag
            h.runs += 1
            h.last_tag = tag
        if h.pfn != NULL:
            h.blocks[h.runs - 1] += 1
        h.last_end = <int64_t>pfn + (<int64_t>1 << (tag & TAG_ORDER))
    elif (tag & TAG_KIND) == TAG_ISOLATED:
        if h.pfn != NULL:
            h.isolated_pfn[h.isolated] = pfn
            h.isolated_order[h.isolated] = tag & TAG_ORDER
        h.isolated += 1
    elif (tag & TAG_KIND) == TAG_PREPARED:
        h.prepared += 1


cdef void walk(const mm_t *m, held_t *h) noexcept nogil:
    """Every block that is on no list, in ascending order."""
    cdef uint32_t b
    cdef int at
    cdef const uint8_t *tags
    h.runs = h.isolated = h.prepared = 0
    for b in range(m.nblocks):
        if m.big_tag[b]:
            note(h, b << MAX_ORDER, m.big_tag[b])
            continue
        tags = &m.tag[b << MAX_ORDER]
        at = 0
        while at < MAX_BLOCK_PAGES:
            if tags[at]:
                note(h, (b << MAX_ORDER) + at, tags[at])
                at += 1 << (tags[at] & TAG_ORDER)
            elif at % 8 == 0 and (<const uint64_t *>&tags[at])[0] == 0:
                at += 8
            else:
                at += 1


cdef dict _held(mm_t *m):
    cdef held_t h
    cdef uint32_t[::1] pfn, blocks, isolated_pfn
    cdef uint8_t[::1] tag, isolated_order
    memset(&h, 0, sizeof(h))
    with nogil:
        walk(m, &h)
    if h.prepared:
        raise PageError(f"state: {h.prepared} blocks are just being freed: take it before or after the free")
    used = np.zeros(h.runs, ARRAYS["used"])
    isolated = np.zeros(h.isolated, ARRAYS["isolated"])
    columns = [np.empty(n + 1, kind) for n, kind in (
        (h.runs, "u4"), (h.runs, "u4"), (h.runs, "u1"), (h.isolated, "u4"), (h.isolated, "u1"))]
    pfn, blocks, tag, isolated_pfn, isolated_order = columns
    h.pfn, h.blocks, h.tag = &pfn[0], &blocks[0], &tag[0]
    h.isolated_pfn, h.isolated_order = &isolated_pfn[0], &isolated_order[0]
    with nogil:
        walk(m, &h)
    tags = columns[2][:h.runs]
    used["pfn"], used["blocks"] = columns[0][:h.runs], columns[1][:h.runs]
    used["order"] = tags & TAG_ORDER
    used["movable"] = (tags & TAG_MOVABLE) != 0
    used["compound"] = (tags & TAG_COMPOUND) != 0
    isolated["pfn"], isolated["order"] = columns[3][:h.isolated], columns[4][:h.isolated]
    return {"used": used, "isolated": isolated}


cdef int64_t list_out(mm_t *m, int zone, int mt, int order, uint32_t *pfn, uint8_t *reported) noexcept nogil:
    """Write one free list, head first; returns its length."""
    cdef link_t *links = links_of(m, order)
    cdef uint32_t head = list_head(m, zone, mt, order)
    cdef uint32_t node = links[head].next
    cdef int64_t n = 0
    while node != head:
        pfn[n] = pfn_of_node(node, order)
        reported[n] = (tag_get(m, pfn[n], order) & TAG_KIND) == TAG_REPORTED
        n += 1
        node = links[node].next
    return n


cdef dict _free_lists(mm_t *m):
    cdef int zone, order, mt
    cdef int64_t n, at = 0, total = 0
    cdef uint32_t[::1] pfn
    cdef uint8_t[::1] reported
    for zone in range(NR_ZONES):
        for order in range(NR_ORDERS):
            total += m.zone[zone].nr_free[order]
    pfns, marks = np.empty(total + 1, np.uint32), np.empty(total + 1, np.uint8)
    pfn, reported = pfns, marks
    rows = []
    for zone in range(NR_ZONES):
        for order in range(NR_ORDERS):
            for mt in range(NR_MIGRATETYPES):
                if m.zone[zone].nonempty[mt] >> order & 1:
                    with nogil:
                        n = list_out(m, zone, mt, order, &pfn[at], &reported[at])
                    rows.append((zone, order, mt, n))
                    at += n
    lists = np.array(rows, ARRAYS["free_lists"])
    return {"free_lists": lists, "free_pfn": pfns[:total], "free_reported": marks[:total]}


cdef dict _pcp(mm_t *m):
    cdef pcp_t *p
    cdef ring_t *r
    cdef int zone, cpu, index
    cdef uint32_t i
    sets, rows, pfns, types = [], [], [], []
    names = ARRAYS["pcp"].names
    for zone in range(NR_ZONES):
        if m.zone[zone].end == 0:
            continue
        for cpu in range(m.ncpus):
            p = pcp_of(m, &m.zone[zone], cpu)
            fields = {"zone": zone, "cpu": cpu} | pcp_fields(p)
            sets.append(tuple(fields[name] for name in names))
            for index in range(m.k.nr_pcp_lists):
                r = &p.list[index]
                if r.len:
                    rows.append((zone, cpu, index, r.len))
                for i in range(r.len):
                    pfns.append(ring_at(r, i))
                    types.append(m.tag[ring_at(r, i)] >> 4 & 7)
    return {
        "pcp": np.array(sets, ARRAYS["pcp"]), "pcp_lists": np.array(rows, ARRAYS["pcp_lists"]),
        "pcp_pfn": np.array(pfns, np.uint32), "pcp_migratetype": np.array(types, np.uint8),
    }


cdef object _zones(mm_t *m):
    cdef zone_t *z
    cdef int i
    rows = []
    for i in range(NR_ZONES):
        z = &m.zone[i]
        if z.end:
            rows.append((
                i, z.start, z.end, z.managed, z.present, tuple(z.watermark), z.boost, z.boost_factor,
                tuple(z.lowmem_reserve), z.nr_reserved_highatomic, z.nr_free_highatomic, z.counter, z.threshold,
                z.flags, z.nr_isolated_blocks))
    return np.array(rows, ARRAYS["zones"])


def state(Allocator allocator not None):
    """The whole state as {name: NumPy array}, see state_arrays; PageError if a page is just being freed."""
    cdef mm_t *m = &allocator.m
    cdef uint32_t n = (m.npfn + PAGEBLOCK_PAGES - 1) // PAGEBLOCK_PAGES
    arrays = {
        "counters": np.array([(m.ncpus, m.kswapd_wakeups, m.allocstall, m.kswapd_wanted, m.refilled, m.drained)],
                             ARRAYS["counters"]),
        "zones": _zones(m), **_pcp(m), **_free_lists(m), **_held(m),
        "pageblock_types": np.array(<uint8_t[:n]>m.pageblock), "pageblock_skip": np.array(<uint8_t[:n]>m.skip),
    }
    return {name: arrays[name] for name in ARRAYS}

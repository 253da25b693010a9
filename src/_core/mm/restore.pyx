"""An allocator's whole state, in: everything is checked before it can mislead the cores (see state_arrays).

What is accepted fulfils every invariant of check.pyx.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

import numpy as np

from hinting.errors import PageError

from hinting._core.common cimport (
    MAX_ORDER,
    MT_HIGHATOMIC,
    MT_ISOLATE,
    PAGEBLOCK_ORDER,
    PAGEBLOCK_PAGES,
    pfn_t,
)
from hinting._core.kernel cimport Kernel
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.buddy cimport list_add
from hinting._core.mm.counter cimport free_exact, pcp_of
from hinting._core.mm.pages cimport (
    TAG_COMPOUND,
    TAG_ISOLATED,
    TAG_MOVABLE,
    TAG_REPORTED,
    TAG_USED,
    block_type,
    covering,
    is_free_head,
    tag_set,
    zone_of,
)
from hinting._core.mm.pcp cimport mark_pcp, pindex_order, ring_push_tail
from hinting._core.mm.pcp_fields cimport set_pcp_fields
from hinting._core.mm.state cimport mm_t, pcp_t, zone_t

from hinting._core.mm.state_arrays import checked

cdef enum:
    FINE
    MISALIGNED
    OUTSIDE
    OVERLAPS
    UNMERGED
    OTHER_TYPE

_REASONS = {
    MISALIGNED: "is not aligned to its order", OUTSIDE: "is not inside its zone", OVERLAPS: "overlaps another block",
    UNMERGED: "is free beside its free buddy, unmerged", OTHER_TYPE: "is not on the list of its pageblock's type",
}

cdef int room(const mm_t *m, const uint8_t *split, const zone_t *z, int64_t pfn, int order) noexcept nogil:
    """Whether a block may be here. split: by 4 MiB, 1 if a block below order 10 is inside."""
    cdef int64_t end = pfn + (<int64_t>1 << order), at
    cdef pfn_t head = 0
    if pfn & ((<int64_t>1 << order) - 1):
        return MISALIGNED
    if z == NULL or pfn < z.start or end > z.end:
        return OUTSIDE
    if m.big_tag[pfn >> MAX_ORDER]:
        return OVERLAPS
    if not split[pfn >> MAX_ORDER]:
        return FINE
    if order == MAX_ORDER or covering(m, <pfn_t>pfn, &head):
        return OVERLAPS
    for at in range(pfn + 1, end):
        if m.tag[at]:
            return OVERLAPS
    return FINE


cdef inline zone_t *zone_at(mm_t *m, int64_t pfn) noexcept nogil:
    return zone_of(m, <pfn_t>pfn) if pfn < m.npfn else NULL


cdef int add_list(
    mm_t *m, uint8_t *split, zone_t *z, int order, int mt, const uint32_t *pfn, const uint8_t *reported, int64_t n,
    int64_t *bad,
) noexcept nogil:
    cdef int64_t i
    cdef int why
    for i in range(n):
        why = room(m, split, z, pfn[i], order)
        if why != FINE:
            bad[0] = i
            return why
        list_add(m, z, pfn[i], order, mt, True)
        if reported[i]:
            tag_set(m, pfn[i], order, TAG_REPORTED)
        if order < MAX_ORDER:
            split[pfn[i] >> MAX_ORDER] = 1
    return FINE


cdef int check_list(mm_t *m, int order, int mt, const uint32_t *pfn, int64_t n, int64_t *bad) noexcept nogil:
    """What can only be seen once all free blocks are in. bad: entry of the list that is wrong."""
    cdef int64_t i
    for i in range(n):
        bad[0] = i
        if order < PAGEBLOCK_ORDER and is_free_head(m, pfn[i] ^ (<pfn_t>1 << order), order):
            return UNMERGED
        if m.k.strict_types and mt < MT_ISOLATE and block_type(m, pfn[i]) != mt:
            return OTHER_TYPE
    return FINE


cdef int add_run(mm_t *m, uint8_t *split, int64_t pfn, int64_t n, int order, uint8_t kind, int64_t *bad) noexcept nogil:
    """n adjacent blocks on no list."""
    cdef int64_t end = pfn + (n << order)
    cdef int why
    while pfn < end:
        why = room(m, split, zone_at(m, pfn), pfn, order)
        if why != FINE:
            bad[0] = pfn
            return why
        tag_set(m, <pfn_t>pfn, order, kind)
        if order < MAX_ORDER:
            split[pfn >> MAX_ORDER] = 1
        pfn += <int64_t>1 << order
    return FINE


cdef _refuse(what, int why, int64_t pfn, int order):
    if why != FINE:
        raise PageError(f"state: {what}: the block of order {order} at pfn {pfn} {_REASONS[why]}")


cdef _free_lists(Allocator new, arrays, uint8_t[::1] split):
    cdef mm_t *m = &new.m
    cdef uint32_t[::1] pfn = np.append(arrays["free_pfn"], np.uint32(0))
    cdef uint8_t[::1] reported = np.append(arrays["free_reported"], np.uint8(0))
    cdef int64_t at = 0, n, bad = 0
    cdef int zone, order, mt, why
    rows = arrays["free_lists"].tolist()
    seen = set()
    for zone, order, mt, n in rows:
        what = f"free list of zone {zone}, order {order}, migratetype {mt}"
        if m.zone[zone].end == 0:
            raise PageError(f"state: {what}: there is no such zone")
        if (zone, order, mt) in seen:
            raise PageError(f"state: {what}: it is there twice")
        seen.add((zone, order, mt))
        with nogil:
            why = add_list(m, &split[0], &m.zone[zone], order, mt, &pfn[at], &reported[at], n, &bad)
        _refuse(f"free_pfn row {at + bad}, {what}", why, pfn[at + bad], order)
        at += n
    at = 0
    for zone, order, mt, n in rows:
        why = check_list(m, order, mt, &pfn[at], n, &bad)
        _refuse(f"free_pfn row {at + bad}, free list of zone {zone}, order {order}, migratetype {mt}", why,
                pfn[at + bad], order)
        at += n


cdef _pcp_lists(Allocator new, arrays, uint8_t[::1] split):
    cdef mm_t *m = &new.m
    cdef uint32_t[::1] pfn = arrays["pcp_pfn"]
    cdef uint8_t[::1] types = arrays["pcp_migratetype"]
    cdef int64_t at = 0, n, i
    cdef int zone, cpu, index, order, why
    cdef pcp_t *p
    for zone, cpu, index, n in arrays["pcp_lists"].tolist():
        what = f"per-CPU list of zone {zone}, cpu {cpu}, pindex {index}"
        if m.zone[zone].end == 0 or cpu >= m.ncpus or index >= m.k.nr_pcp_lists:
            raise PageError(f"state: {what}: there is no such list")
        p = pcp_of(m, &m.zone[zone], cpu)
        if p.list[index].len:
            raise PageError(f"state: {what}: it is there twice")
        order = pindex_order(index)
        for i in range(at, at + n):
            why = room(m, &split[0], &m.zone[zone], pfn[i], order)
            if why != FINE:
                _refuse(f"pcp_pfn row {i}, {what}", why, pfn[i], order)
            if not ring_push_tail(m, &p.list[index], pfn[i]):
                raise MemoryError("a per-CPU page list could not grow")
            mark_pcp(m, pfn[i], order, types[i])
            split[pfn[i] >> MAX_ORDER] = 1
            p.count += <int64_t>1 << order
        at += n


cdef int64_t add_runs(
    mm_t *m, uint8_t *split, const uint32_t *pfn, const uint32_t *blocks, const uint8_t *order, const uint8_t *kind,
    int64_t n, int *why, int64_t *bad,
) noexcept nogil:
    """Runs of adjacent blocks of one kind; the row that is wrong, or n."""
    cdef int64_t i
    for i in range(n):
        why[0] = add_run(m, split, pfn[i], blocks[i], order[i], kind[i], bad)
        if why[0] != FINE:
            return i
    return n


cdef _held(Allocator new, str name, array, kinds, blocks, uint8_t[::1] split):
    """Blocks on no list. kinds: the tag's kind by row. blocks: how many are adjacent, by row."""
    cdef mm_t *m = &new.m
    cdef int64_t n = array.size, row, bad = 0
    cdef int why = FINE
    cdef uint32_t[::1] pfn = np.append(array["pfn"], np.uint32(0))
    cdef uint32_t[::1] count = np.append(blocks, np.uint32(0)).astype(np.uint32)
    cdef uint8_t[::1] order = np.append(array["order"], np.uint8(0)), kind = np.append(kinds, 0).astype(np.uint8)
    with nogil:
        row = add_runs(m, &split[0], &pfn[0], &count[0], &order[0], &kind[0], n, &why, &bad)
    if row < n:
        _refuse(f"{name} row {row}", why, bad, order[row])


cdef _pcp_fields(Allocator new, arrays):
    cdef pcp_t *p
    cdef int zone, cpu
    wanted = {(zone, cpu) for zone in arrays["zones"]["index"].tolist() for cpu in range(new.m.ncpus)}
    for row, values in enumerate(arrays["pcp"]):
        zone, cpu = values["zone"], values["cpu"]
        if (zone, cpu) not in wanted:
            raise PageError(f"state: pcp row {row}: zone {zone}, cpu {cpu} does not exist or is there twice")
        wanted.remove((zone, cpu))
        p = pcp_of(&new.m, &new.m.zone[zone], cpu)
        if p.count != values["count"]:
            raise PageError(f"state: pcp row {row}: count is {values['count']} pages, the lists of zone {zone}, "
                            f"cpu {cpu} have {p.count}")
        for factor in ("free_factor", "alloc_factor"):
            if values[factor] > new.m.k.pcp_scale_max:
                raise PageError(f"state: pcp row {row}: {factor} of {new.kernel.name} is at most "
                                f"{new.m.k.pcp_scale_max}, got {values[factor]}")
        set_pcp_fields(p, values)
    if wanted:
        raise PageError(f"state: pcp has no row for zone {min(wanted)[0]}, cpu {min(wanted)[1]}")


cdef _zone_fields(Allocator new, arrays):
    cdef mm_t *m = &new.m
    cdef zone_t *z
    pages = {}
    for zone, o, mt, n in arrays["free_lists"].tolist():
        for key in ("free",) * (mt != MT_ISOLATE) + ("highatomic",) * (mt == MT_HIGHATOMIC):
            pages[zone, key] = pages.get((zone, key), 0) + (n << o)
    for row in arrays["zones"]:
        i = int(row["index"])
        z = &m.zone[i]
        z.counter, z.nr_free_highatomic = row["counter"], row["nr_free_highatomic"]
        z.flags, z.nr_isolated_blocks = row["flags"], row["nr_isolated_blocks"]
        if free_exact(m, z) != pages.get((i, "free"), 0):
            raise PageError(f"state: zone {i}: counter {z.counter} and the CPUs' differences make {free_exact(m, z)} "
                            f"free pages, the free lists have {pages.get((i, 'free'), 0)}")
        if m.k.counts_free_highatomic and z.nr_free_highatomic != pages.get((i, "highatomic"), 0):
            raise PageError(f"state: zone {i}: nr_free_highatomic is {z.nr_free_highatomic} pages, the free lists have "
                            f"{pages.get((i, 'highatomic'), 0)}")


cdef _pageblocks(Allocator new, arrays):
    cdef uint32_t i
    cdef uint32_t n = (new.m.npfn + PAGEBLOCK_PAGES - 1) // PAGEBLOCK_PAGES
    cdef uint8_t[::1] types = arrays["pageblock_types"], skip = arrays["pageblock_skip"]
    for name in ("pageblock_types", "pageblock_skip"):
        if arrays[name].size != n:
            raise PageError(f"state: {name} has {arrays[name].size} entries, the guest has {n} pageblocks")
    for i in range(n):
        new.m.pageblock[i] = types[i]
        if skip[i]:
            new.m.skip[i] = 1


cdef Allocator _empty(Kernel kernel, arrays):
    """An empty allocator with the zones of a state."""
    zones = []
    for row in arrays["zones"]:
        zone = {name: row[name].tolist() for name in arrays["zones"].dtype.names}
        if zone["index"] in [other["index"] for other in zones]:
            raise PageError(f"state: zone {zone['index']} is there twice")
        zones.append(zone | {"batch": 1})
    return Allocator(kernel, zones, int(arrays["counters"]["ncpus"][0]))


def from_state(Kernel kernel not None, state):
    """A new allocator in the state that these arrays describe, on the profile that the state is of.

    Raises PageError that names array, row and reason for whatever contradicts itself: blocks that overlap, are
    misaligned or outside their zone, free buddies that did not merge, counts that differ from the lists.
    """
    arrays = checked(state)
    cdef Allocator new = _empty(kernel, arrays)
    split = np.zeros(new.m.nblocks, np.uint8)
    _pageblocks(new, arrays)
    _free_lists(new, arrays, split)
    _pcp_lists(new, arrays, split)
    used, isolated = arrays["used"], arrays["isolated"]
    kinds = TAG_USED | np.where(used["movable"], TAG_MOVABLE, 0) | np.where(used["compound"], TAG_COMPOUND, 0)
    _held(new, "used", used, kinds, used["blocks"], split)
    _held(new, "isolated", isolated, np.full(isolated.size, TAG_ISOLATED), np.ones(isolated.size), split)
    new.m.isolated = int((np.int64(1) << isolated["order"].astype(np.int64)).sum())
    _pcp_fields(new, arrays)
    _zone_fields(new, arrays)
    counters = arrays["counters"][0]
    new.m.kswapd_wakeups, new.m.allocstall = counters["kswapd_wakeups"], counters["allocstall"]
    new.m.kswapd_wanted = bool(counters["kswapd_wanted"])
    new.m.refilled, new.m.drained = counters["refilled"], counters["drained"]
    return new

"""The state of page reporting, out and in: the request, where the pass stands, and the blocks in its slots.

| array | content |
|---|---|
| `slots` | blocks that are isolated now, in the order of a report: pfn, order |
| `walk` | state, place, zone, order, mt, budget, block, leftover of reporting_t |
| `statistics` | statistics_t, in the order of the names |
"""

import numpy as np

from hinting._core.common cimport MAX_ORDER, MT_ISOLATE, NR_ZONES, pfn_t
from hinting._core.mm.pages cimport TAG_KIND, TAG_ORDER, TAG_REPORTED, tag_get, tag_is_buddy, zone_of
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.page_reporting cimport PageReporting
from hinting._core.strategies.page_reporting_steps cimport (
    AT_BLOCK,
    AT_HOST,
    AT_LIST,
    AT_NONE,
    AT_ZONE,
    REPORTING_ACTIVE,
    REPORTING_IDLE,
)
from hinting._core.strategies.states cimport check_counts, check_isolated, refuse


def state(PageReporting strategy not None):
    """See the table above."""
    r = &strategy.r
    counted = dict(r.n)
    return strategy.common_state() | {
        "slots": np.array([(r.slot[i].pfn, r.slot[i].order) for i in range(r.free_slots, r.capacity)],
                          np.int64).reshape(-1, 2),
        "walk": np.array([r.state, r.place, r.zone, r.order, r.mt, r.budget, r.block, r.leftover], np.int64),
        "statistics": np.array([counted[name] for name in sorted(counted)], np.int64),
    }


cdef int _check_walk(PageReporting strategy, values, int n) except -1:
    """The places at which the work can be found between two hooks."""
    cdef mm_t *m = &strategy.allocator.m
    cdef int tag
    r = &strategy.r
    word, place, zone, order, mt, _, block, leftover = values
    if not REPORTING_IDLE <= word <= REPORTING_ACTIVE or place not in (AT_NONE, AT_ZONE, AT_LIST, AT_BLOCK, AT_HOST):
        refuse(strategy, f"walk: state {word} and place {place} are not possible")
    if not (0 <= zone <= NR_ZONES and 0 <= order <= MAX_ORDER + 1 and 0 <= mt < MT_ISOLATE and leftover in (0, 1)):
        refuse(strategy, f"walk: zone {zone}, order {order}, migratetype {mt}, leftover {leftover} are not possible")
    if n > r.capacity or n and place != AT_HOST or place == AT_HOST and not n:
        refuse(strategy, f"walk: {n} of {r.capacity} slots hold blocks at place {place}")
    if place in (AT_LIST, AT_BLOCK, AT_HOST) and not (zone < NR_ZONES and m.zone[<int>zone].populated):
        refuse(strategy, f"walk: there is no zone {zone}")
    if place in (AT_LIST, AT_BLOCK) and order < r.min_order or place == AT_BLOCK and order > MAX_ORDER:
        refuse(strategy, f"walk: no list of order {order} is looked at")
    if place == AT_BLOCK:
        if not 0 <= block < m.npfn or block % (1 << order) or zone_of(m, <pfn_t>block) != &m.zone[<int>zone]:
            refuse(strategy, f"walk: no block of order {order} begins at pfn {block} in zone {zone}")
        tag = tag_get(m, <pfn_t>block, <int>order)
        if not tag_is_buddy(tag) or (tag & TAG_ORDER) != order or (tag & TAG_KIND) == TAG_REPORTED:
            refuse(strategy, f"walk: pfn {block} is not a free block of order {order} that waits to be reported")
    return 0


def set_state(PageReporting strategy not None, values):
    """Take over a state that `state` gave."""
    cdef int i
    r = &strategy.r
    names = sorted(dict(r.n))
    arrays = strategy.checked_state(values, {"slots": (None, 2), "walk": (8,), "statistics": (len(names),)})
    strategy.check_common_state(arrays)
    check_counts(strategy, arrays, ("statistics", "work"))
    if arrays["submitted"].size or arrays["thread_ticket"].any():
        refuse(strategy, "there is one report at a time, with the ticket 0, and nothing is submitted")
    slots = arrays["slots"].tolist()
    _check_walk(strategy, arrays["walk"].tolist(), len(slots))
    check_isolated(strategy, [(0, *block) for block in slots])
    strategy.set_common_state(arrays)
    r.free_slots = r.capacity - len(slots)
    for i, (pfn, order) in enumerate(slots):
        r.slot[r.free_slots + i].pfn, r.slot[r.free_slots + i].order = pfn, order
    r.state, r.place, r.zone, r.order, r.mt, r.budget, r.block, r.leftover = arrays["walk"].tolist()
    r.returned = 0
    r.n = dict(zip(names, arrays["statistics"].tolist()))

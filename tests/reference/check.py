"""Invariants of a zone, counted from nothing but its lists."""

from reference.constants import ISOLATE, PAGEBLOCK_ORDER
from reference.pcp import list_order


def blocks_of(z):
    """Every block of the zone that the allocator knows: (state, pfn, order)."""
    for (order, _), blocks in z.lists.items():
        for pfn in blocks:
            yield "free", pfn, order
    for one in z.pcps:
        for index, blocks in enumerate(one.lists):
            for pfn in blocks:
                yield "pcp", pfn, list_order(index) if len(one.lists) > 3 else 0
    for pfn, order in z.isolated.items():
        yield "isolated", pfn, order
    for pfn, order in z.used.items():
        yield "used", pfn, order


def require_reserved(z, pfn, order):
    """Raise ValueError if a page of the block already belongs to the allocator."""
    for state, other, other_order in blocks_of(z):
        if other < pfn + (1 << order) and pfn < other + (1 << other_order):
            raise ValueError(f"block {pfn} of order {order} overlaps the {state} block {other} of order {other_order}")


def check_zone(z):
    """Raise AssertionError if a page is in two places or none, or a count differs from its recount."""
    owner = {}
    pages = {"free": 0, "pcp": 0, "isolated": 0, "used": 0}
    movable = 0
    for state, pfn, order in blocks_of(z):
        end = pfn + (1 << order)
        assert pfn % (1 << order) == 0, f"{state} block {pfn} is not aligned for order {order}"
        assert z.start <= pfn <= end <= z.end, f"{state} block {pfn} of order {order} is outside zone {z.index}"
        for page in range(pfn, end):
            assert page not in owner, f"page {page} is {state} and {owner[page]}"
            owner[page] = state
        pages[state] += 1 << order
        if state == "used":
            movable += sum(z.movable[pfn:end])
    assert sum(pages.values()) == z.loaded, f"zone {z.index}: pages {pages} do not add up to {z.loaded}"
    assert movable == sum(z.movable[z.start : z.end]), f"zone {z.index}: a page that is not allocated counts as movable"
    check_free_lists(z)
    check_counter(z)
    for cpu, one in enumerate(z.pcps):
        check_pcp(z, cpu, one)


def check_free_lists(z):
    heads = {pfn: key for key, blocks in z.lists.items() for pfn in blocks}
    assert heads == z.free, f"zone {z.index}: free lists and free heads differ"
    assert z.reported <= set(heads), f"zone {z.index}: a block that is not free counts as reported"
    if z.is_6_12():
        for pfn, (order, mt) in z.free.items():
            for page in range(pfn, pfn + (1 << order), 1 << PAGEBLOCK_ORDER):
                assert z.block_type(page) == mt, f"free block {pfn} is on list {mt}, not on its pageblock's"


def check_counter(z):
    assert z.counter + sum(z.diff) == z.free_pages(), f"zone {z.index}: the counter differs from the free pages"
    for cpu, difference in enumerate(z.diff):
        assert abs(difference) <= z.threshold, f"zone {z.index}: CPU {cpu} holds back {difference} pages"


def check_pcp(z, cpu, one):
    entries = [pfn for blocks in one.lists for pfn in blocks]
    held = sum(len(blocks) << (list_order(i) if len(one.lists) > 3 else 0) for i, blocks in enumerate(one.lists))
    assert held == one.count, f"zone {z.index} CPU {cpu}: count {one.count}, {held} pages on the lists"
    expected = set() if z.is_6_12() else set(entries)
    assert set(one.cached) == expected, f"zone {z.index} CPU {cpu}: remembered types of pages that are not there"
    assert ISOLATE not in one.cached.values(), f"zone {z.index} CPU {cpu}: a page of an ISOLATE block on a list"

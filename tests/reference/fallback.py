"""Taking from the buddy lists, and from other migratetypes when the own lists are empty.

5.0 and 6.1 move what they take to the own list and look again (__rmqueue_fallback, steal_suitable_fallback); 6.12
claims a pageblock or steals one block (__rmqueue_claim, __rmqueue_steal).
"""

from reference import buddy
from reference.constants import (
    FALLBACKS,
    HIGHATOMIC,
    KSWAPD,
    MAX_ORDER,
    MOVABLE,
    NOFRAGMENT,
    PAGEBLOCK_ORDER,
    PAGEBLOCK_PAGES,
    RECLAIMABLE,
    UNMOVABLE,
    WHOLE_BLOCK_ORDER,
    WM_HIGH,
)

# How far a refill of 6.12 has come: from here on it looks at the own lists first, or only steals.
NORMAL, CLAIM, STEAL = range(3)


def take(z, cpu, order, mt, flags, mode=NORMAL):
    """Take one block (__rmqueue); returns (pfn or None, mode for the next block of the same refill)."""
    if z.is_6_12():
        return take_or_claim_or_steal(z, cpu, order, mt, flags, mode)
    while True:
        pfn = buddy.take_smallest(z, cpu, order, mt)
        if pfn is not None:
            return pfn, mode
        if not fallback(z, cpu, order, mt, flags):
            return None, mode


def find(z, order, mt):
    """A type with a free block of this order, and whether its whole pageblock may be taken; None if there is none."""
    for other in FALLBACKS[mt]:
        if z.lists[order, other]:
            return other, order >= WHOLE_BLOCK_ORDER or mt in (UNMOVABLE, RECLAIMABLE)
    return None


def find_smallest(z, order, mt):
    """(order, type, whole) of the smallest sufficient block of another type; None if there is none."""
    for high in range(order, MAX_ORDER + 1):
        found = find(z, high, mt)
        if found is not None:
            return high, *found
    return None


def lowest_order(order, flags):
    """Requests that must not mix pageblocks look only at whole ones."""
    if flags & NOFRAGMENT and order < PAGEBLOCK_ORDER:
        return PAGEBLOCK_ORDER
    return order


def fallback(z, cpu, order, mt, flags):
    """5.0, 6.1: move something from another type to the own lists; False if there is nothing."""
    for high in range(MAX_ORDER, lowest_order(order, flags) - 1, -1):
        found = find(z, high, mt)
        if found is None:
            continue
        other, whole = found
        if not whole and mt == MOVABLE and high > order:
            high, other, whole = find_smallest(z, order, mt)
        steal(z, cpu, z.lists[high, other][0], high, mt, whole, flags)
        return True
    return False


def steal(z, cpu, pfn, order, mt, whole, flags):
    """5.0, 6.1: move the block, or all free blocks of its pageblock, to the lists of mt."""
    old = z.block_type(pfn)
    if old == HIGHATOMIC:
        buddy.move_tail(z, cpu, pfn, mt)
        return
    if order >= PAGEBLOCK_ORDER:
        buddy.set_block_types(z, pfn, order, mt)
        buddy.move_tail(z, cpu, pfn, mt)
        return
    boost(z, flags)
    if not whole:
        buddy.move_tail(z, cpu, pfn, mt)
        return
    free, movable = buddy.move_block(z, cpu, pfn, mt)
    if free == 0:  # the pageblock crosses the zone's end
        buddy.move_tail(z, cpu, pfn, mt)
        return
    if free + alike_pages(old, mt, free, movable) >= PAGEBLOCK_PAGES // 2:
        z.set_block_type(pfn, mt)


def alike_pages(old, mt, free, movable):
    """Used pages of a pageblock that suit its new type."""
    if mt == MOVABLE:
        return movable
    if old == MOVABLE:
        return PAGEBLOCK_PAGES - (free + movable)
    return 0


def boost(z, flags):
    """Raise the watermarks for a while because pageblocks were mixed (boost_watermark)."""
    did_something = raise_boost(z)
    if flags & KSWAPD and (did_something or z.is_5_0()):
        z.boosted = True


def raise_boost(z):
    if z.boost_factor == 0:
        return False
    if not z.is_5_0() and z.managed < 4 * PAGEBLOCK_PAGES:
        return False
    cap = z.watermark[WM_HIGH] * z.boost_factor // 10000
    if cap == 0:
        return False
    z.boost = min(z.boost + PAGEBLOCK_PAGES, max(cap, PAGEBLOCK_PAGES))
    return True


def take_or_claim_or_steal(z, cpu, order, mt, flags, mode):
    """6.12: own lists, else claim a pageblock, else steal one block. A refill that stole goes on stealing."""
    if mode == NORMAL:
        pfn = buddy.take_smallest(z, cpu, order, mt)
        if pfn is not None:
            return pfn, mode
    if mode in (NORMAL, CLAIM):
        pfn = claim(z, cpu, order, mt, flags)
        if pfn is not None:
            return pfn, NORMAL
    if not flags & NOFRAGMENT:
        pfn = steal_one(z, cpu, order, mt)
        if pfn is not None:
            return pfn, STEAL
    return None, mode


def claim(z, cpu, order, mt, flags):
    """6.12: take over the pageblock of the largest free block of another type, if enough of it suits."""
    for high in range(MAX_ORDER, lowest_order(order, flags) - 1, -1):
        found = find(z, high, mt)
        if found is None:
            continue
        other, whole = found
        if not whole:
            return None
        pfn = z.lists[high, other][0]
        if z.block_type(pfn) == HIGHATOMIC:
            continue
        if high >= PAGEBLOCK_ORDER:
            buddy.remove(z, pfn)
            buddy.set_block_types(z, pfn, high, mt)
            buddy.expand(z, pfn, high, order, mt)
            # the block leaves one type, what is left of it comes to another
            buddy.account(z, cpu, -(1 << high))
            buddy.account(z, cpu, (1 << high) - (1 << order))
            return pfn
        boost(z, flags)
        if claim_pageblock(z, cpu, pfn, mt):
            return buddy.take_smallest(z, cpu, order, mt)
    return None


def claim_pageblock(z, cpu, pfn, mt):
    """6.12: move all free blocks of a pageblock to mt and retype it, if half of it is free or suits."""
    walked = buddy.walk_block(z, pfn)
    if walked is None:
        return False
    heads, movable = walked
    free = buddy.pages_of(z, heads)
    if free + alike_pages(z.block_type(pfn), mt, free, movable) < PAGEBLOCK_PAGES // 2:
        return False
    buddy.move_block(z, cpu, pfn, mt)
    z.set_block_type(pfn, mt)
    return True


def steal_one(z, cpu, order, mt):
    """6.12: take the smallest sufficient block of another type; what is left of it stays with that type."""
    found = find_smallest(z, order, mt)
    if found is None:
        return None
    high, other, _ = found
    pfn = z.lists[high, other][0]
    buddy.remove(z, pfn)
    buddy.expand(z, pfn, high, order, other)
    buddy.account(z, cpu, -(1 << order))
    return pfn

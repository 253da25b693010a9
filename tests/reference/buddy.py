"""Buddy primitives: free with merging, split, move, isolate (Linux mm/page_alloc.c __free_one_page, expand, ...).

A function that changes the number of free pages takes the CPU whose counter difference it goes to.
"""

from reference.constants import (
    ISOLATE,
    MAX_ORDER,
    MERGEABLE,
    MOVABLE,
    PAGEBLOCK_ORDER,
    PAGEBLOCK_PAGES,
    WM_MIN,
)
from reference.watermark import watermark_ok


def account(z, cpu, pages):
    """Add to the zone's free-page counter by way of the CPU's difference."""
    difference = z.diff[cpu] + pages
    if abs(difference) > z.threshold:
        z.counter += difference
        z.diff[cpu] = 0
    else:
        z.diff[cpu] = difference


def insert(z, pfn, order, mt, tail):
    """Put a block onto a free list."""
    blocks = z.lists[order, mt]
    if tail:
        blocks.append(pfn)
    else:
        blocks.insert(0, pfn)
    z.free[pfn] = (order, mt)


def remove(z, pfn):
    """Take a free block off its list, and its reported mark off it; return its order and list type."""
    order, mt = z.free.pop(pfn)
    z.lists[order, mt].remove(pfn)
    z.reported.discard(pfn)
    return order, mt


def is_free_block(z, pfn, order):
    """Is pfn the head of a free block of exactly this order in this zone?"""
    return pfn in z.free and z.free[pfn][0] == order


def pageblocks(pfn, order):
    """First pfn of each pageblock that a block touches."""
    first = pfn - pfn % PAGEBLOCK_PAGES
    return range(first, pfn + (1 << order), PAGEBLOCK_PAGES)


def set_block_types(z, pfn, order, mt):
    for block in pageblocks(pfn, order):
        z.set_block_type(block, mt)


def may_merge_pageblocks(z, mt, buddy_type):
    """May two blocks of pageblock size or more merge? 5.0 keeps only ISOLATE apart, 6.1 and 6.12 also HIGHATOMIC."""
    if mt == buddy_type:
        return True
    if z.is_5_0():
        return mt != ISOLATE and buddy_type != ISOLATE
    return mt in MERGEABLE and buddy_type in MERGEABLE


def merge_likely(z, pfn, order):
    """Is the buddy of the parent free, so that this block would merge twice if its own buddy came back?"""
    if order >= PAGEBLOCK_ORDER:
        return False
    parent = pfn & (pfn ^ (1 << order))
    return is_free_block(z, parent ^ (1 << (order + 1)), order + 1)


def free_block(z, cpu, pfn, order, mt, force_tail=False, notify=True):
    """Free one block onto the lists of type mt, merging with its buddies (__free_one_page)."""
    if mt != ISOLATE:
        account(z, cpu, 1 << order)
    while order < MAX_ORDER:
        buddy = pfn ^ (1 << order)
        if not is_free_block(z, buddy, order):
            break
        if order >= PAGEBLOCK_ORDER:
            if not may_merge_pageblocks(z, mt, z.block_type(buddy)):
                break
            if z.is_6_12():
                set_block_types(z, buddy, order, mt)
        remove(z, buddy)
        pfn &= buddy
        order += 1
    insert(z, pfn, order, mt, tail=force_tail or merge_likely(z, pfn, order))
    if notify:
        z.log.append(("merged", cpu, pfn, order))


def expand(z, pfn, high, low, mt):
    """Give back the upper parts of a block of order high of which only order low is wanted."""
    for order in range(high - 1, low - 1, -1):
        insert(z, pfn + (1 << order), order, mt, tail=False)


def take_smallest(z, cpu, order, mt):
    """Take a block from the smallest sufficient list of exactly this type (__rmqueue_smallest)."""
    for high in range(order, MAX_ORDER + 1):
        if z.lists[high, mt]:
            pfn = z.lists[high, mt][0]
            remove(z, pfn)
            expand(z, pfn, high, order, mt)
            if z.is_6_12():
                account(z, cpu, -(1 << order))
            return pfn
    return None


def move_tail(z, cpu, pfn, mt):
    """Move a free block to the tail of another type's list. It stays reported if it was."""
    reported = pfn in z.reported
    order, _ = remove(z, pfn)
    insert(z, pfn, order, mt, tail=True)
    if reported:
        z.reported.add(pfn)
    if z.is_6_12():
        account(z, cpu, -(1 << order))
        account(z, cpu, 1 << order)


def walk_block(z, pfn):
    """Free blocks (ascending) and number of movable pages of the pageblock of pfn.

    A pageblock that is not wholly inside the zone: 6.12 refuses it (None); 5.0 and 6.1 begin at pfn when its start is
    outside, and see nothing when its end is outside.
    """
    first = pfn - pfn % PAGEBLOCK_PAGES
    last = first + PAGEBLOCK_PAGES - 1
    if z.is_6_12():
        if not z.contains(first) or not z.contains(last):
            return None
    else:
        if not z.contains(last):
            return [], 0
        if not z.contains(first):
            first = pfn
    heads, movable = [], 0
    page = first
    while page <= last:
        if page in z.free:
            heads.append(page)
            page += 1 << z.free[page][0]
        else:
            movable += z.movable[page]
            page += 1
    return heads, movable


def pages_of(z, heads):
    """Number of pages of the free blocks with these heads."""
    return sum(1 << z.free[head][0] for head in heads)


def move_block(z, cpu, pfn, mt):
    """Move all free blocks of a pageblock to type mt, lowest first (move_freepages_block).

    Returns (free pages moved, movable pages), or None if 6.12 refuses.
    """
    walked = walk_block(z, pfn)
    if walked is None:
        return None
    heads, movable = walked
    for head in heads:
        move_tail(z, cpu, head, mt)
    return pages_of(z, heads), movable


def isolate(z, cpu, pfn, order):
    """Take a free block out of the allocator if the min watermark allows (__isolate_free_page)."""
    mt = z.block_type(pfn)
    if mt != ISOLATE:
        if not watermark_ok(z, 0, z.watermark[WM_MIN] + (1 << order), hz=0, flags=0):
            return False
        account(z, cpu, -(1 << order))
    remove(z, pfn)
    if order >= PAGEBLOCK_ORDER - 1:
        for block in pageblocks(pfn, order):
            if z.block_type(block) in MERGEABLE:
                if z.is_6_12() and move_block(z, cpu, block, MOVABLE) is None:
                    continue
                z.set_block_type(block, MOVABLE)
    return True


def putback(z, cpu, pfn, order):
    """Return an isolated block, always to the tail and without notice (__putback_isolated_page)."""
    free_block(z, cpu, pfn, order, z.block_type(pfn), force_tail=True, notify=False)


def rotate(z, pfn):
    """Make a free block the first of its list; what was before it follows the end (list_rotate_to_front)."""
    blocks = z.lists[z.free[pfn]]
    at = blocks.index(pfn)
    blocks[:] = blocks[at:] + blocks[:at]

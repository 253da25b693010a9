"""Per-CPU page lists: refill, put, drain and their sizes in the three kernels.

Linux rmqueue_pcplist, free_unref_page_commit, nr_pcp_alloc, nr_pcp_free, nr_pcp_high, free_pcppages_bulk.
"""

from reference import buddy
from reference.constants import MERGEABLE, MOVABLE, MOVABLE_ZONE, PCP_SCALE_MAX, WM_HIGH
from reference.fallback import NORMAL, take
from reference.watermark import watermark_ok


def clamp(value, low, high):
    return min(max(value, low), high)


def list_index(mt, order):
    """Index of the list for a type and order (order_to_pindex); 5.0 has only the first three."""
    if order <= 3:
        return 3 * order + mt
    return 13 if mt == MOVABLE else 12


def list_order(index):
    """Order of the blocks on a list."""
    return index // 3 if index < 12 else 9


# Allocation


def pcp_alloc(z, cpu, order, mt, flags):
    """An ordinary allocation from the per-CPU lists."""
    pcp = z.pcps[cpu]
    if z.is_6_1():
        pcp.free_factor //= 2
    if z.is_6_12():
        pcp.free_count //= 2
    return pcp_take(z, cpu, order, mt, flags)


def pcp_take(z, cpu, order, mt, flags):
    """The first block of the list, after a refill if the list is empty."""
    pcp = z.pcps[cpu]
    blocks = pcp.lists[list_index(mt, order)]
    if not blocks:
        refill(z, cpu, order, mt, flags)
    if not blocks:
        return None
    pfn = blocks.pop(0)
    pcp.cached.pop(pfn, None)
    pcp.count -= 1 << order
    return pfn


def refill(z, cpu, order, mt, flags):
    """Append blocks in the order in which they leave the buddy lists (rmqueue_bulk)."""
    pcp = z.pcps[cpu]
    got, mode = 0, NORMAL
    for _ in range(refill_size(z, pcp, order)):
        pfn, mode = take(z, cpu, order, mt, flags, mode)
        if pfn is None:
            break
        pcp.lists[list_index(mt, order)].append(pfn)
        if not z.is_6_12():
            pcp.cached[pfn] = mt
        got += 1
    if not z.is_6_12():
        buddy.account(z, cpu, -(got << order))
    pcp.count += got << order


def refill_size(z, pcp, order):
    """How many blocks a refill asks for."""
    if z.is_5_0():
        return pcp.batch
    if z.is_6_1():
        return pcp.batch if pcp.batch <= 1 else max(pcp.batch >> order, 2)
    return refill_size_6_12(z, pcp, order)


def refill_size_6_12(z, pcp, order):
    high = pcp.high = clamp(pcp.high, pcp.high_min, pcp.high_max)
    if high < pcp.batch:
        return 1
    n = pcp.batch if order > 0 else pcp.batch << pcp.alloc_factor
    if pcp.high_min != pcp.high_max and not z.below_high:
        high = pcp.high = min(high + n, pcp.high_max)
    if order == 0:
        room = max(high - pcp.count - pcp.batch, pcp.batch)
        if n <= room and pcp.alloc_factor < PCP_SCALE_MAX:
            pcp.alloc_factor += 1
        n = min(n, room)
    if n > 1:
        n = max(n >> order, 2)
    return n


# Freeing


def pcp_put(z, cpu, pfn, order, block_type):
    """Put a freed block at the head of its list and drain if there are too many pages."""
    pcp = z.pcps[cpu]
    first = list_index(block_type if block_type in MERGEABLE else MOVABLE, order)
    if z.is_6_12():
        pcp.alloc_factor //= 2
    pcp.lists[first].insert(0, pfn)
    if not z.is_6_12():
        pcp.cached[pfn] = block_type
    pcp.count += 1 << order
    if z.is_5_0():
        if pcp.count >= pcp.high:
            bulk_drain_5_0(z, cpu, pcp.batch)
    elif z.is_6_1():
        overflow_6_1(z, cpu, order, first)
    else:
        overflow_6_12(z, cpu, order, first)


def overflow_6_1(z, cpu, order, first):
    pcp = z.pcps[cpu]
    free_high = pcp.free_factor > 0 and 1 <= order <= 3
    if pcp.high == 0 or free_high:
        limit = 0
    elif z.reclaim_active:
        limit = min(4 * pcp.batch, pcp.high)
    else:
        limit = pcp.high
    if pcp.count < limit:
        return
    if free_high:
        n = pcp.count
    elif limit < pcp.batch:
        n = 1
    else:
        n = pcp.batch << pcp.free_factor
        if n < limit - pcp.batch and pcp.free_factor < PCP_SCALE_MAX:
            pcp.free_factor += 1
        n = clamp(n, pcp.batch, limit - pcp.batch)
    bulk_drain(z, cpu, n, first)


def overflow_6_12(z, cpu, order, first):
    pcp = z.pcps[cpu]
    if 1 <= order <= 3:
        free_high = (
            pcp.free_count >= pcp.batch and pcp.prev_free_high_order and (not pcp.free_high_batch or pcp.count >= pcp.batch)
        )
        pcp.prev_free_high_order = True
    else:
        free_high = False
        pcp.prev_free_high_order = False
    if pcp.free_count < pcp.batch << PCP_SCALE_MAX:
        pcp.free_count += 1 << order
    limit = limit_6_12(z, pcp, free_high)
    if pcp.count < limit:
        return
    if free_high:
        n = min(pcp.count, pcp.batch << PCP_SCALE_MAX)
    elif limit < pcp.batch:
        n = 1
    else:
        n = clamp(pcp.free_count, pcp.batch, limit - pcp.batch)
    bulk_drain(z, cpu, n, first)
    if z.below_high and watermark_ok(z, 0, z.effective_watermark(WM_HIGH), hz=MOVABLE_ZONE, flags=0):
        z.below_high = False


def limit_6_12(z, pcp, free_high):
    """The count from which a free drains; the running high of the list adapts here (nr_pcp_high)."""
    high = pcp.high = clamp(pcp.high, pcp.high_min, pcp.high_max)
    if high == 0:
        return 0
    if free_high:
        pcp.high = max(high - (pcp.batch << PCP_SCALE_MAX), pcp.high_min)
        return 0
    if z.reclaim_active:
        pcp.high = max(high - max(pcp.free_count, pcp.batch), pcp.high_min)
        return min(4 * pcp.batch, pcp.high)
    if pcp.high_min == pcp.high_max:
        return high
    if z.below_high:
        pcp.high = max(high - max(pcp.free_count, pcp.batch), pcp.high_min)
        return max(pcp.count, pcp.high_min)
    if pcp.count >= high:
        need = pcp.free_count + pcp.batch
        if pcp.high < need:
            pcp.high = clamp(need, pcp.high_min, pcp.high_max)
    return high


# Draining


def drained_type(z, pcp, pfn):
    """The list a drained page goes to: by its block now (6.12), or by the type remembered when it came (5.0, 6.1)."""
    cached = pcp.cached.pop(pfn, None)
    if z.is_6_12() or z.has_isolated_blocks():
        return z.block_type(pfn)
    return cached


def bulk_drain(z, cpu, n, first, by=None):
    """6.1, 6.12: empty one list after the other, oldest page first, beginning with list `first`. by: who does it."""
    pcp = z.pcps[cpu]
    n = min(n, pcp.count)
    index = first
    while n > 0:
        while not pcp.lists[index]:
            index = (index + 1) % len(pcp.lists)
        order = list_order(index)
        while n > 0 and pcp.lists[index]:
            pfn = pcp.lists[index].pop()
            n -= 1 << order
            pcp.count -= 1 << order
            buddy.free_block(z, cpu if by is None else by, pfn, order, drained_type(z, pcp, pfn))


def bulk_drain_5_0(z, cpu, n, by=None):
    """5.0: round robin over the three lists with a growing quota, beginning with MOVABLE; then free what came out."""
    pcp = z.pcps[cpu]
    n = min(n, pcp.count)
    index = quota = 0
    out = []
    while n > 0:
        while True:
            quota += 1
            index = (index + 1) % 3
            if pcp.lists[index]:
                break
        if quota == 3:  # taken as: only this list is not empty
            quota = n
        while True:
            out.append(pcp.lists[index].pop())
            pcp.count -= 1
            n -= 1
            quota -= 1
            if n == 0 or quota == 0 or not pcp.lists[index]:
                break
    for pfn in out:
        buddy.free_block(z, cpu if by is None else by, pfn, 0, drained_type(z, pcp, pfn))


def drain_zone(z, cpu, by):
    """Return all pages of a CPU to the zone (drain_pages_zone). by: the CPU that does it, and counts."""
    pcp = z.pcps[cpu]
    if z.is_5_0():
        bulk_drain_5_0(z, cpu, pcp.count, by)
        return
    while pcp.count > 0:
        bulk_drain(z, cpu, min(pcp.count, pcp.batch << PCP_SCALE_MAX), first=0, by=by)


def decay(z, cpu):
    """6.12: the once-a-second shrinking of a CPU's list (decay_pcp_high)."""
    pcp = z.pcps[cpu]
    if pcp.high > pcp.high_min:
        pcp.high = max(pcp.count - (pcp.batch << PCP_SCALE_MAX), pcp.high - pcp.high // 8, pcp.high_min)
    excess = pcp.count - pcp.high
    while excess > 0:
        bulk_drain(z, cpu, min(excess, pcp.batch), first=0)
        excess -= pcp.batch

"""Allocation requests: zones and flags, fast path, slow path without compaction, bulk, highatomic reserve.

Linux __alloc_pages, get_page_from_freelist, rmqueue, __alloc_pages_slowpath, __alloc_pages_bulk.
"""

from reference import buddy
from reference.constants import (
    COSTLY_ORDER,
    GFP,
    HARDER,
    HIGHATOMIC,
    HIGHATOMIC_RESERVE,
    HIGHEST_ZONE,
    KSWAPD,
    MAX_ORDER,
    MERGEABLE,
    MIN_RESERVE,
    NO_WATERMARKS,
    NOFRAGMENT,
    NON_BLOCK,
    NORMAL,
    OOM,
    PAGEBLOCK_ORDER,
    PAGEBLOCK_PAGES,
    PCP_ORDERS,
    RECLAIM_RETRIES,
    WM_HIGH,
    WM_LOW,
    WM_MASK,
    WM_MIN,
)
from reference.fallback import take
from reference.pcp import drain_zone, pcp_alloc, pcp_take
from reference.watermark import watermark_fast


class Request:
    """What the gfp bits say: highest zone, zones to try in order, migratetype."""

    def __init__(self, kernel: str, zones: list, gfp: int):
        if gfp & 0xF not in HIGHEST_ZONE:
            raise ValueError(f"gfp: zone bits {gfp & 0xF:#x} are not a legal combination")
        self.gfp = gfp
        self.names = {name for name, bit in GFP[kernel].items() if gfp & bit}
        self.hz = HIGHEST_ZONE[gfp & 0xF]
        self.mt = (gfp >> 3) & 3
        if self.mt == 3:
            raise ValueError("gfp: MOVABLE and RECLAIMABLE exclude each other")
        self.all_zones = sorted(zones, key=lambda z: z.index)
        candidates = [z for z in zones if z.index <= self.hz and z.managed > 0]
        self.zones = sorted(candidates, key=lambda z: -z.index)
        self.wakeups = 0  # of kswapd
        self.stalled = False  # the kernel would have reclaimed directly

    def has(self, name: str) -> bool:
        return name in self.names


def fast_flags(kernel, request):
    """Flags of the first attempt. In 5.0 a defect never sets NOFRAGMENT."""
    flags = WM_LOW
    if request.has("KSWAPD_RECLAIM"):
        flags |= KSWAPD
    if kernel != "linux-5.0" and request.zones and request.zones[0].index == NORMAL:
        flags |= NOFRAGMENT
    return flags


def slow_flags(kernel, request, order):
    """Flags of the slow path (gfp_to_alloc_flags)."""
    flags = WM_MIN
    if request.has("HIGH"):
        flags |= MIN_RESERVE
    if request.has("KSWAPD_RECLAIM"):
        flags |= KSWAPD
    if kernel == "linux-5.0":
        if request.has("ATOMIC") and not request.has("NOMEMALLOC"):
            flags |= HARDER
    elif not request.has("DIRECT_RECLAIM") and not request.has("NOMEMALLOC"):
        flags |= NON_BLOCK
        if order > 0 and flags & MIN_RESERVE:
            flags |= HIGHATOMIC_RESERVE
    return flags


def allocate(kernel, request, cpu, order, reclaim=None):
    """One request; None where it fails, or where the kernel would kill for it.

    reclaim() frees some pages and says whether it did; without it a request that would reclaim fails.
    """
    pfn = scan(request, cpu, order, fast_flags(kernel, request))
    if pfn is None:
        pfn = allocate_slowly(kernel, request, cpu, order, reclaim)
    if pfn is None and request.has("NOFAIL"):
        pfn = scan(request, cpu, order, HARDER if kernel == "linux-5.0" else MIN_RESERVE)
    return pfn


def allocate_slowly(kernel, request, cpu, order, reclaim):
    """The slow path but for what NOFAIL adds (__alloc_pages_slowpath)."""
    flags = slow_flags(kernel, request, order)
    request.wakeups += bool(flags & KSWAPD)
    pfn = scan(request, cpu, order, flags)
    if pfn is None:
        pfn, flags = another_round(request, cpu, order, flags)
    if pfn is not None or not request.has("DIRECT_RECLAIM"):
        return pfn
    request.stalled = True
    if reclaim is None:
        return None
    drained = False
    rounds_in_vain = 0
    while pfn is None:
        progress = reclaim()
        if progress:
            pfn = scan(request, cpu, order, flags)
            if pfn is None:
                unreserve_first(request, cpu, force=False)
                drain_everything(request, cpu)
                drained = True
                pfn = scan(request, cpu, order, flags)
            if pfn is not None:
                return pfn
        if request.has("NORETRY") or (order > COSTLY_ORDER and not request.has("RETRY_MAYFAIL")):
            return None
        if progress and order <= COSTLY_ORDER:
            rounds_in_vain = 0
        else:
            rounds_in_vain += 1
        if rounds_in_vain > RECLAIM_RETRIES and not unreserve_first(request, cpu, force=True):
            if drained:
                return scan(request, cpu, order, WM_HIGH)  # the last look before the OOM killer
            drain_everything(request, cpu)
            drained = True
        pfn, flags = another_round(request, cpu, order, flags)
    return pfn


def another_round(request, cpu, order, flags):
    """Wake kswapd, drop the watermarks for who may ignore them, scan; (pfn, flags from now on)."""
    request.wakeups += bool(flags & KSWAPD)
    if request.has("MEMALLOC") and not request.has("NOMEMALLOC"):
        flags = NO_WATERMARKS | flags & KSWAPD
    return scan(request, cpu, order, flags), flags


def unreserve_first(request, cpu, force):
    """Give back a reserved pageblock of the first zone that has one to give."""
    return any(unreserve_highatomic(z, cpu, request.mt, force) for z in request.zones)


def drain_everything(request, by):
    """Empty the per-CPU lists of all CPUs in all zones."""
    for cpu in range(len(request.all_zones[0].pcps)):
        for z in request.all_zones:
            drain_zone(z, cpu, by)


def scan(request, cpu, order, flags):
    """Try the zones from the highest down, first without mixing pageblocks if so wanted."""
    while True:
        for z in request.zones:
            if not zone_allows(z, request, order, flags):
                continue
            pfn = from_zone(z, cpu, order, request, flags)
            if pfn is not None:
                if flags & HIGHATOMIC_RESERVE or (z.is_5_0() and order > 0 and flags & HARDER):
                    reserve_highatomic(z, cpu, pfn, order)
                return pfn
        if not flags & NOFRAGMENT:
            return None
        flags &= ~NOFRAGMENT


def zone_allows(z, request, order, flags):
    """The watermark tests of the scan; 6.12 first looks at the high watermark and remembers a failure."""
    if z.is_6_12() and not z.below_high:
        if watermark_fast(z, order, z.effective_watermark(WM_HIGH), request.hz, flags, request.gfp):
            return True
        z.below_high = True
    if flags & NO_WATERMARKS:
        return True
    return watermark_fast(z, order, z.effective_watermark(flags & WM_MASK), request.hz, flags, request.gfp)


def from_zone(z, cpu, order, request, flags):
    """A block from one zone: per-CPU lists, then buddy lists. Wakes kswapd if this boosted the watermarks."""
    pfn = None
    if order in PCP_ORDERS[z.kernel]:
        pfn = pcp_alloc(z, cpu, order, request.mt, flags)
    if pfn is None and not (z.is_5_0() and order == 0):
        pfn = from_buddy(z, cpu, order, request.mt, flags)
    if z.boosted and (flags & KSWAPD or not z.is_6_12()):
        z.boosted = False
        request.wakeups += 1
    return pfn


def from_buddy(z, cpu, order, mt, flags):
    pfn = None
    if flags & (HARDER if z.is_5_0() else HIGHATOMIC_RESERVE):
        pfn = buddy.take_smallest(z, cpu, order, HIGHATOMIC)
    if pfn is None:
        pfn, _ = take(z, cpu, order, mt, flags)
    if pfn is None and not z.is_5_0() and flags & (OOM | NON_BLOCK):
        pfn = buddy.take_smallest(z, cpu, order, HIGHATOMIC)
    if pfn is not None and not z.is_6_12():
        buddy.account(z, cpu, -(1 << order))
    return pfn


def reserve_highatomic(z, cpu, pfn, order):
    """Keep the pageblock of an atomic high-order allocation for others of its kind (reserve_highatomic_pageblock)."""
    one_percent = z.managed // 100
    if z.is_6_12():
        if one_percent < PAGEBLOCK_PAGES:
            return
        limit = -(-one_percent // PAGEBLOCK_PAGES) * PAGEBLOCK_PAGES
    else:
        limit = one_percent + PAGEBLOCK_PAGES
    if z.nr_reserved_highatomic >= limit or z.block_type(pfn) not in MERGEABLE:
        return
    if not z.is_6_12():
        z.nr_reserved_highatomic += PAGEBLOCK_PAGES
        z.set_block_type(pfn, HIGHATOMIC)
        buddy.move_block(z, cpu, pfn, HIGHATOMIC)
    elif order >= PAGEBLOCK_ORDER:
        buddy.set_block_types(z, pfn, order, HIGHATOMIC)
        z.nr_reserved_highatomic += 1 << order
    elif buddy.move_block(z, cpu, pfn, HIGHATOMIC) is not None:
        z.set_block_type(pfn, HIGHATOMIC)
        z.nr_reserved_highatomic += PAGEBLOCK_PAGES


def unreserve_highatomic(z, cpu, mt, force):
    """Give a reserved pageblock back to type mt; did free pages move? (unreserve_highatomic_pageblock)"""
    if not force and z.nr_reserved_highatomic <= PAGEBLOCK_PAGES:
        return False
    for order in range(MAX_ORDER + 1):
        if not z.lists[order, HIGHATOMIC]:
            continue
        pfn = z.lists[order, HIGHATOMIC][0]
        if z.block_type(pfn) == HIGHATOMIC:
            less = max(PAGEBLOCK_PAGES, 1 << order) if z.is_6_12() else PAGEBLOCK_PAGES
            z.nr_reserved_highatomic -= min(less, z.nr_reserved_highatomic)
        if z.is_6_12() and order >= PAGEBLOCK_ORDER:
            buddy.move_tail(z, cpu, pfn, mt)
            buddy.set_block_types(z, pfn, order, mt)
            return True
        moved = buddy.move_block(z, cpu, pfn, mt)
        if moved is None:  # the pageblock crosses the zone's edge
            continue
        z.set_block_type(pfn, mt)
        if moved[0]:
            return True
    return False


def allocate_bulk(kernel, request, cpu, n, hand_out):
    """Hand out up to n single pages from the per-CPU lists of one zone; where that fails, one ordinary page.

    Each page counts as allocated (hand_out) before the next one is taken.
    """
    taken = 0
    if n > 1 and not request.has("ACCOUNT"):
        z = bulk_zone(request, n)
        while z is not None and taken < n:
            pfn = pcp_take(z, cpu, 0, request.mt, WM_LOW)
            if pfn is None:
                break
            hand_out(pfn)
            taken += 1
    if taken == 0:
        pfn = allocate(kernel, request, cpu, 0)
        if pfn is not None:
            hand_out(pfn)


def bulk_zone(request, n):
    """The first zone that keeps its low watermark after n pages."""
    for z in request.zones:
        mark = z.effective_watermark(WM_LOW) + n
        if watermark_fast(z, 0, mark, request.zones[0].index, WM_LOW, request.gfp):
            return z
    return None

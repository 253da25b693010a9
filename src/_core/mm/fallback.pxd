"""Taking a block from the buddy lists, and from whose lists when the own ones are empty."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport (
    MAX_ORDER,
    MT_HIGHATOMIC,
    MT_ISOLATE,
    MT_MOVABLE,
    MT_RECLAIMABLE,
    MT_UNMOVABLE,
    NO_PFN,
    NR_ORDERS,
    PAGEBLOCK_ORDER,
    PAGEBLOCK_PAGES,
    pfn_t,
)
from hinting._core.kernel cimport FALLBACK_CLAIM_OR_STEAL, RESERVE_HARDER
from hinting._core.mm.buddy cimport (
    account_list,
    count_block,
    is_mergeable,
    move_block,
    move_tail,
    pageblock_in_zone,
    set_block_types,
    split_block,
    take_run,
    take_smallest,
)
from hinting._core.mm.pages cimport block_type, list_first
from hinting._core.mm.state cimport WM_HIGH, ZONE_BOOSTED, mm_t, zone_t
from hinting._core.mm.watermark cimport ALLOC_KSWAPD, ALLOC_NOFRAGMENT

cdef enum:
    TAKE_NORMAL = 0                     # one take of a refill after another (6.12)
    TAKE_CLAIM = 1
    TAKE_STEAL = 2

cdef inline int fallback_type(int mt, int attempt) noexcept nogil:
    """First and second type that a request of type mt falls back to."""
    if mt == MT_UNMOVABLE:
        return MT_MOVABLE if attempt else MT_RECLAIMABLE
    if mt == MT_MOVABLE:
        return MT_UNMOVABLE if attempt else MT_RECLAIMABLE
    return MT_MOVABLE if attempt else MT_UNMOVABLE

cdef inline int find_fallback(const zone_t *z, int order, int mt, bint *whole) noexcept nogil:
    """Type to fall back to at this order, -1 if none; whole: its pageblock may be claimed."""
    cdef int f = fallback_type(mt, 0)
    if not z.nonempty[f] >> order & 1:
        f = fallback_type(mt, 1)
        if not z.nonempty[f] >> order & 1:
            return -1
    whole[0] = order >= PAGEBLOCK_ORDER // 2 or mt == MT_UNMOVABLE or mt == MT_RECLAIMABLE
    return f

cdef inline void boost_watermark(mm_t *m, zone_t *z, uint32_t flags) noexcept nogil:
    """A fallback that mixes types raises the watermarks, so that kswapd makes room."""
    cdef int64_t cap
    cdef bint done = False
    if z.boost_factor > 0 and z.managed >= m.k.boost_min_managed:
        cap = z.watermark[WM_HIGH] * z.boost_factor // 10000
        if cap > 0:
            if cap < PAGEBLOCK_PAGES:
                cap = PAGEBLOCK_PAGES
            z.boost = z.boost + PAGEBLOCK_PAGES if z.boost + PAGEBLOCK_PAGES < cap else cap
            done = True
    if (done or m.k.boost_flag_always) and flags & ALLOC_KSWAPD:
        z.flags |= ZONE_BOOSTED

cdef inline int64_t alike_pages(int mt, int old, int64_t free, int64_t movable) noexcept nogil:
    """Allocated pages of a pageblock that suit type mt."""
    if mt == MT_MOVABLE:
        return movable
    return PAGEBLOCK_PAGES - (free + movable) if old == MT_MOVABLE else 0

cdef inline bint is_claimed(mm_t *m, int mt, int old, int64_t free, int64_t movable, int recorded) noexcept nogil:
    """Whether a pageblock takes on type mt: half of it must suit. recorded: what the kernel did, -1: not known."""
    cdef bint claimed = free + alike_pages(mt, old, free, movable) >= PAGEBLOCK_PAGES // 2
    if recorded < 0:
        return claimed
    m.overruled += claimed != recorded
    return recorded

cdef inline int recorded_claim(const mm_t *m, int order) noexcept nogil:
    """In a replay: whether the fallback at hand claimed a pageblock (6.12: at this order), -1 if not known."""
    if m.claims == NULL or m.nr_claims == 0:
        return -1
    return m.claims[0] & 1 and (m.k.fallback != FALLBACK_CLAIM_OR_STEAL or m.claims[0] >> 1 == order)

cdef inline void next_claim(mm_t *m) noexcept nogil:
    """A fallback is over."""
    if m.nr_claims:
        m.nr_claims -= 1
        m.claims += 1

cdef inline void steal(
    mm_t *m, zone_t *z, int cpu, pfn_t pfn, int order, int mt, bint whole, uint32_t flags,
) noexcept nogil:
    """Move a foreign block, or its whole pageblock, to the lists of type mt (5.0, 6.1)."""
    cdef int old = block_type(m, pfn)
    cdef int recorded = recorded_claim(m, order)
    cdef int64_t free, movable
    next_claim(m)
    if old == MT_HIGHATOMIC:
        move_tail(m, z, pfn, order, mt)
        return
    if order >= PAGEBLOCK_ORDER:
        set_block_types(m, pfn, order, mt)
        move_tail(m, z, pfn, order, mt)
        return
    boost_watermark(m, z, flags)
    if whole:
        free = move_block(m, z, cpu, pfn, mt, &movable)
        if free:
            if is_claimed(m, mt, old, free, movable, recorded):
                set_block_types(m, pfn, order, mt)
            return
    move_tail(m, z, pfn, order, mt)

cdef inline bint fall_back(mm_t *m, zone_t *z, int cpu, int order, int mt, uint32_t flags) noexcept nogil:
    """Move something to the lists of type mt, from the largest block downwards (5.0, 6.1); False if nothing may be."""
    cdef int lowest = PAGEBLOCK_ORDER if flags & ALLOC_NOFRAGMENT and order < PAGEBLOCK_ORDER else order
    cdef int high, h, f
    cdef bint whole = False
    for high in range(MAX_ORDER, lowest - 1, -1):
        f = find_fallback(z, high, mt, &whole)
        if f < 0:
            continue
        h = high
        if not whole and mt == MT_MOVABLE and high > order:
            for h in range(order, NR_ORDERS):
                f = find_fallback(z, h, mt, &whole)
                if f >= 0:
                    break
        steal(m, z, cpu, list_first(m, z.index, f, h), h, mt, whole, flags)
        return True
    return False

cdef inline pfn_t claim(mm_t *m, zone_t *z, int cpu, int order, int mt, uint32_t flags) noexcept nogil:
    """Take over a whole foreign pageblock, from the largest block downwards, and allocate from it (6.12)."""
    cdef int lowest = PAGEBLOCK_ORDER if flags & ALLOC_NOFRAGMENT and order < PAGEBLOCK_ORDER else order
    cdef int high, f, old
    cdef bint whole = False
    cdef pfn_t pfn
    cdef int64_t free, movable
    for high in range(MAX_ORDER, lowest - 1, -1):
        f = find_fallback(z, high, mt, &whole)
        if f < 0:
            continue
        if not whole:
            return NO_PFN
        pfn = list_first(m, z.index, f, high)
        old = block_type(m, pfn)
        if old == MT_HIGHATOMIC:
            continue
        if high >= PAGEBLOCK_ORDER:
            next_claim(m)
            account_list(m, z, cpu, -(<int64_t>1 << high), old)
            set_block_types(m, pfn, high, mt)
            split_block(m, z, pfn, high, order, mt)
            account_list(m, z, cpu, (<int64_t>1 << high) - (<int64_t>1 << order), mt)
            return pfn
        boost_watermark(m, z, flags)
        free = count_block(m, z, pfn, &movable)
        if free < 0 or not is_claimed(m, mt, old, free, movable, recorded_claim(m, high)):
            continue
        next_claim(m)
        move_block(m, z, cpu, pfn, mt, &movable)
        set_block_types(m, pfn, high, mt)
        return take_and_account(m, z, cpu, order, mt)
    return NO_PFN

cdef inline pfn_t take_and_account(mm_t *m, zone_t *z, int cpu, int order, int mt) noexcept nogil:
    cdef pfn_t pfn = take_smallest(m, z, order, mt)
    if pfn != NO_PFN and m.k.account_per_block:
        account_list(m, z, cpu, -(<int64_t>1 << order), mt)
    return pfn

cdef inline pfn_t steal_one(mm_t *m, zone_t *z, int cpu, int order, int mt) noexcept nogil:
    """Take the smallest sufficient foreign block; what is left stays with its own type (6.12)."""
    cdef int high, f
    cdef bint whole = False
    cdef pfn_t pfn
    for high in range(order, NR_ORDERS):
        f = find_fallback(z, high, mt, &whole)
        if f >= 0:
            next_claim(m)
            pfn = list_first(m, z.index, f, high)
            split_block(m, z, pfn, high, order, f)
            account_list(m, z, cpu, -(<int64_t>1 << order), f)
            return pfn
    return NO_PFN

cdef inline pfn_t take(
    mm_t *m, zone_t *z, int cpu, int order, int mt, uint32_t flags, int *mode,
) noexcept nogil:
    """One block for a request of type mt, by fallback if need be. mode: TAKE_NORMAL at the start of a refill.

    Counts the block away where the version counts every block; otherwise the caller counts.
    """
    cdef pfn_t pfn
    if m.k.fallback != FALLBACK_CLAIM_OR_STEAL:
        pfn = take_smallest(m, z, order, mt)
        while pfn == NO_PFN and fall_back(m, z, cpu, order, mt, flags):
            pfn = take_smallest(m, z, order, mt)
        return pfn
    if mode[0] == TAKE_NORMAL:
        pfn = take_and_account(m, z, cpu, order, mt)
        if pfn != NO_PFN:
            return pfn
    if mode[0] != TAKE_STEAL:
        pfn = claim(m, z, cpu, order, mt, flags)
        if pfn != NO_PFN:
            mode[0] = TAKE_NORMAL
            return pfn
    if not flags & ALLOC_NOFRAGMENT:
        pfn = steal_one(m, z, cpu, order, mt)
        if pfn != NO_PFN:
            mode[0] = TAKE_STEAL
            return pfn
    return NO_PFN

cdef inline pfn_t take_several(
    mm_t *m, zone_t *z, int cpu, int order, int mt, uint32_t flags, int *mode, int64_t most, int64_t *n,
) noexcept nogil:
    """As many calls of `take` as serve adjoining blocks, at most `most`; n: how many. The first block, or NO_PFN."""
    cdef pfn_t pfn
    cdef int64_t _i
    if mode[0] == TAKE_NORMAL:
        pfn = take_run(m, z, order, mt, most, n)
        if pfn != NO_PFN:
            if m.k.account_per_block:
                for _i in range(n[0]):
                    account_list(m, z, cpu, -(<int64_t>1 << order), mt)
            return pfn
    n[0] = 1
    return take(m, z, cpu, order, mt, flags, mode)

cdef inline void reserve_highatomic(mm_t *m, zone_t *z, int cpu, pfn_t pfn, int order) noexcept nogil:
    """After a successful high-order atomic request: keep the block's pageblock for such requests."""
    cdef int64_t limit = z.managed // 100
    cdef int64_t movable
    if m.k.reserve_round_up:
        if limit < PAGEBLOCK_PAGES:
            return
        limit = (limit + PAGEBLOCK_PAGES - 1) // PAGEBLOCK_PAGES * PAGEBLOCK_PAGES
    else:
        limit += PAGEBLOCK_PAGES
    if z.nr_reserved_highatomic >= limit or not is_mergeable(block_type(m, pfn)):
        return
    if m.k.reserve_round_up and order >= PAGEBLOCK_ORDER:
        set_block_types(m, pfn, order, MT_HIGHATOMIC)
        z.nr_reserved_highatomic += <int64_t>1 << order
        return
    if m.k.strict_types and count_block(m, z, pfn, &movable) < 0:
        return
    move_block(m, z, cpu, pfn, MT_HIGHATOMIC, &movable)
    set_block_types(m, pfn, 0, MT_HIGHATOMIC)
    z.nr_reserved_highatomic += PAGEBLOCK_PAGES

cdef inline bint unreserve_highatomic(
    mm_t *m, zone_t *z, int cpu, int mt, bint force,
) noexcept nogil:
    """Give a reserved pageblock of this zone back to type mt; True if free pages moved.

    6.12 leaves a pageblock that crosses the zone's edge as it is.
    """
    cdef int order
    cdef pfn_t pfn
    cdef int64_t movable, less, moved
    if not force and z.nr_reserved_highatomic <= PAGEBLOCK_PAGES:
        return False
    for order in range(NR_ORDERS):
        pfn = list_first(m, z.index, MT_HIGHATOMIC, order)
        if pfn == NO_PFN:
            continue
        if block_type(m, pfn) == MT_HIGHATOMIC:
            less = PAGEBLOCK_PAGES
            if m.k.reserve_round_up and (<int64_t>1 << order) > less:
                less = <int64_t>1 << order
            z.nr_reserved_highatomic -= less if less < z.nr_reserved_highatomic else z.nr_reserved_highatomic
        if order >= PAGEBLOCK_ORDER and m.k.strict_types:
            move_tail(m, z, pfn, order, mt)
            account_list(m, z, cpu, -(<int64_t>1 << order), MT_HIGHATOMIC)
            account_list(m, z, cpu, <int64_t>1 << order, mt)
            set_block_types(m, pfn, order, mt)
            return True
        if m.k.strict_types and not pageblock_in_zone(z, pfn):
            continue
        moved = move_block(m, z, cpu, pfn, mt, &movable)
        set_block_types(m, pfn, 0, mt)
        if moved:
            return True
    return False

"""Per-CPU page lists: refill, put, drain, and how many pages each of these moves.

A list is a ring of pfns: allocation takes at the head, a free puts at the head, a refill appends at the tail, a drain
takes from the tail. Pages on these lists are not in the buddy lists and not counted as free.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

from hinting._core.common cimport (
    MT_HIGHATOMIC,
    MT_ISOLATE,
    MT_MOVABLE,
    MT_PCPTYPES,
    NO_PFN,
    NR_ZONES,
    PAGEBLOCK_ORDER,
    ZONE_MOVABLE,
    pfn_t,
)
from hinting._core.kernel cimport PCP_AUTO_TUNED, PCP_FIXED, PCP_FREE_FACTOR, kernel_t
from hinting._core.mm.buddy cimport FPI_NONE, free_block, unlocked
from hinting._core.mm.counter cimport account, pcp_of
from hinting._core.mm.fallback cimport TAKE_NORMAL, take_several
from hinting._core.mm.pages cimport TAG_PCP, block_type
from hinting._core.mm.state cimport (
    MM_NO_MEMORY,
    PCP_FREE_HIGH_BATCH,
    PCP_PREV_FREE_HIGH_ORDER,
    WM_HIGH,
    ZONE_BELOW_HIGH,
    ZONE_RECLAIM_ACTIVE,
    mm_t,
    pcp_t,
    ring_t,
    zone_t,
)
from hinting._core.mm.watermark cimport wm_ok, wmark

cdef extern from *:
    bint likely(bint) nogil
    bint unlikely(bint) nogil
    void __builtin_prefetch(const void *) nogil

cdef inline int64_t lowest(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b

cdef inline int64_t highest(int64_t a, int64_t b) noexcept nogil:
    return a if a > b else b

cdef inline int64_t clamp(int64_t x, int64_t low, int64_t high) noexcept nogil:
    return low if x < low else high if x > high else x

cdef inline int pindex(int mt, int order) noexcept nogil:
    if order == PAGEBLOCK_ORDER:
        return 12 + (mt == MT_MOVABLE)
    return 3 * order + mt

cdef inline int pindex_order(int index) noexcept nogil:
    return PAGEBLOCK_ORDER if index >= 12 else index // 3

cdef inline bint ring_grow(mm_t *m, ring_t *r) noexcept nogil:
    """Double the capacity; False and an error on the guest if there is no memory."""
    cdef uint32_t old = r.mask + 1
    cdef uint32_t head = r.head & r.mask
    cdef pfn_t *grown = <pfn_t *>realloc(r.buf, (old * 2 if old else 64) * sizeof(pfn_t))
    if grown == NULL:
        m.error = MM_NO_MEMORY
        return False
    if old:                             # the part before the head follows the old end
        memcpy(grown + old, grown, head * sizeof(pfn_t))
    r.buf = grown
    r.head = head
    r.mask = (old * 2 if old else 64) - 1
    return True

cdef inline bint ring_room(mm_t *m, ring_t *r) noexcept nogil:
    """Make room for one more entry; False and an error on the guest if there is no memory."""
    return likely(r.len != r.mask + 1) or ring_grow(m, r)

cdef inline bint ring_push_head(mm_t *m, ring_t *r, pfn_t pfn) noexcept nogil:
    if not ring_room(m, r):
        return False
    r.head -= 1
    r.buf[r.head & r.mask] = pfn
    r.len += 1
    return True

cdef inline bint ring_push_tail(mm_t *m, ring_t *r, pfn_t pfn) noexcept nogil:
    if not ring_room(m, r):
        return False
    r.buf[(r.head + r.len) & r.mask] = pfn
    r.len += 1
    return True

cdef inline pfn_t ring_at(const ring_t *r, uint32_t pos) noexcept nogil:
    return r.buf[(r.head + pos) & r.mask]

cdef inline pfn_t ring_pop_head(ring_t *r) noexcept nogil:
    cdef pfn_t pfn = r.buf[r.head & r.mask]
    r.head += 1
    r.len -= 1
    return pfn

cdef inline pfn_t ring_pop_tail(ring_t *r) noexcept nogil:
    r.len -= 1
    return r.buf[(r.head + r.len) & r.mask]

cdef inline uint8_t pcp_tag(int order, int mt) noexcept nogil:
    return <uint8_t>(TAG_PCP | mt << 4 | order)

cdef inline void mark_pcp(mm_t *m, pfn_t pfn, int order, int mt) noexcept nogil:
    m.tag[pfn] = pcp_tag(order, mt)

cdef inline void drained(mm_t *m, zone_t *z, int cpu, pfn_t pfn, int order) noexcept nogil:
    """One page from a per-CPU list to the buddy lists."""
    cdef int mt = m.tag[pfn] >> 4 & 7
    if m.k.strict_types or z.nr_isolated_blocks:
        mt = block_type(m, pfn)
    m.drained += 1
    free_block(m, z, cpu, pfn, order, mt, FPI_NONE)

cdef inline void bulk_drain_round_robin(mm_t *m, zone_t *z, pcp_t *p, int cpu, int64_t n) noexcept nogil:
    """5.0: the three lists in turn, each time one more page from each, starting with MOVABLE."""
    cdef int index = 0
    cdef int64_t quota = 0
    cdef pfn_t pfn
    n = lowest(n, p.count)
    while n > 0:
        while True:
            quota += 1
            index = index + 1 if index < MT_PCPTYPES - 1 else 0
            if p.list[index].len:
                break
        if quota == MT_PCPTYPES:
            quota = n
        while True:
            pfn = ring_pop_tail(&p.list[index])
            p.count -= 1
            drained(m, z, cpu, pfn, 0)
            n -= 1
            quota -= 1
            if n <= 0 or quota <= 0 or p.list[index].len == 0:
                break
    unlocked(m, cpu)

cdef inline void bulk_drain(mm_t *m, zone_t *z, pcp_t *p, int cpu, int64_t n, int first) noexcept nogil:
    """Move about n pages of one per-CPU page set to the buddy lists, oldest first. first: list to begin with (6.x).

    cpu is the CPU that does the work; p may belong to another one.
    """
    cdef int index, order
    cdef ring_t *r
    if m.k.pcp_tuning == PCP_FIXED:
        bulk_drain_round_robin(m, z, p, cpu, n)
        return
    n = lowest(n, p.count)
    index = first - 1
    while n > 0:
        while True:
            index = index + 1 if index + 1 < m.k.nr_pcp_lists else 0
            r = &p.list[index]
            if r.len:
                break
        order = pindex_order(index)
        while True:
            if r.len > 8:
                __builtin_prefetch(&m.tag[ring_at(r, r.len - 8)])
            n -= <int64_t>1 << order
            p.count -= <int64_t>1 << order
            drained(m, z, cpu, ring_pop_tail(r), order)
            if n <= 0 or r.len == 0:
                break
    unlocked(m, cpu)

cdef inline int64_t auto_tuned_high(zone_t *z, pcp_t *p, bint free_high) noexcept nogil:
    """6.12: the count at which a free overflows; adjusts the running high."""
    cdef int64_t high = clamp(p.high, p.high_min, p.high_max)
    cdef int64_t need
    p.high = high
    if high == 0:
        return 0
    if free_high:
        p.high = highest(high - (<int64_t>p.batch << 5), p.high_min)
        return 0
    if z.flags & ZONE_RECLAIM_ACTIVE:
        p.high = highest(high - highest(p.free_count, p.batch), p.high_min)
        return lowest(4 * p.batch, p.high)
    if p.high_min == p.high_max:
        return high
    if z.flags & ZONE_BELOW_HIGH:
        p.high = highest(high - highest(p.free_count, p.batch), p.high_min)
        return highest(p.count, p.high_min)
    if p.count >= high:
        need = p.free_count + p.batch
        if p.high < need:
            p.high = clamp(need, p.high_min, p.high_max)
    return high

cdef inline int64_t overflow_free_factor(mm_t *m, zone_t *z, pcp_t *p, int order) noexcept nogil:
    cdef bint free_high = p.free_factor > 0 and 1 <= order <= 3
    cdef int64_t high = 0
    cdef int64_t n
    if p.high != 0 and not free_high:
        high = lowest(4 * p.batch, p.high) if z.flags & ZONE_RECLAIM_ACTIVE else p.high
    if p.count < high:
        return 0
    if free_high:
        return p.count
    if high < p.batch:
        return 1
    n = <int64_t>p.batch << p.free_factor
    if n < high - p.batch and p.free_factor < m.k.pcp_scale_max:
        p.free_factor += 1
    return clamp(n, p.batch, high - p.batch)

cdef inline int64_t overflow_auto_tuned(mm_t *m, zone_t *z, pcp_t *p, int order) noexcept nogil:
    cdef bint free_high = False
    cdef int64_t high
    if 1 <= order <= 3:
        free_high = (p.free_count >= p.batch and p.flags & PCP_PREV_FREE_HIGH_ORDER != 0
                     and (not p.flags & PCP_FREE_HIGH_BATCH or p.count >= p.batch))
        p.flags |= PCP_PREV_FREE_HIGH_ORDER
    else:
        p.flags &= ~<uint32_t>PCP_PREV_FREE_HIGH_ORDER
    if p.free_count < p.batch << m.k.pcp_scale_max:
        p.free_count += 1 << order
    high = auto_tuned_high(z, p, free_high)
    if p.count < high:
        return 0
    if free_high:
        return lowest(p.count, <int64_t>p.batch << m.k.pcp_scale_max)
    if high < p.batch:
        return 1
    return clamp(p.free_count, p.batch, high - p.batch)

cdef inline int pcp_list_of(int mt, int order) noexcept nogil:
    """Index of the list that a freed block goes to. mt: its pageblock's type."""
    return pindex(mt if mt < MT_PCPTYPES else MT_MOVABLE, order)

cdef inline bint pcp_push(mm_t *m, pcp_t *p, pfn_t pfn, int order, int mt) noexcept nogil:
    """Put a freed block at the head of its list, whatever the list holds; False if it could not grow."""
    if m.k.pcp_tuning == PCP_AUTO_TUNED:
        p.alloc_factor >>= 1
    if not ring_push_head(m, &p.list[pcp_list_of(mt, order)], pfn):
        return False
    mark_pcp(m, pfn, order, mt)
    p.count += <int64_t>1 << order
    return True

cdef inline int64_t pcp_overflow(mm_t *m, zone_t *z, pcp_t *p, int order) noexcept nogil:
    """Pages that a free of this order, just pushed, makes too many; the tuning follows it."""
    if m.k.pcp_tuning == PCP_FREE_FACTOR:
        return overflow_free_factor(m, z, p, order)
    if m.k.pcp_tuning == PCP_AUTO_TUNED:
        return overflow_auto_tuned(m, z, p, order)
    return p.batch if p.count >= p.high else 0

cdef inline void drain_overflow(mm_t *m, zone_t *z, pcp_t *p, int cpu, int64_t n, int index) noexcept nogil:
    """Give back what is too much. index: list of the free that caused it."""
    bulk_drain(m, z, p, cpu, n, index)
    if m.k.pcp_tuning == PCP_AUTO_TUNED and z.flags & ZONE_BELOW_HIGH and wm_ok(
            m, z, 0, wmark(z, WM_HIGH), ZONE_MOVABLE, 0, z.counter):
        z.flags &= ~<uint32_t>ZONE_BELOW_HIGH

cdef inline bint pcp_put(mm_t *m, zone_t *z, int cpu, pfn_t pfn, int order, int mt) noexcept nogil:
    """Put a freed block at the head of its list and give back what is too much. mt: its pageblock's type.

    False if the list could not grow: the caller frees the block directly.
    """
    cdef pcp_t *p = pcp_of(m, z, cpu)
    cdef int64_t n
    if not pcp_push(m, p, pfn, order, mt):
        return False
    n = pcp_overflow(m, z, p, order)
    if n:
        drain_overflow(m, z, p, cpu, n, pcp_list_of(mt, order))
    return True

cdef inline int64_t refill_size(mm_t *m, zone_t *z, pcp_t *p, int order) noexcept nogil:
    """Blocks that an empty list asks for."""
    cdef int64_t n, high, room
    if m.k.pcp_tuning == PCP_FIXED or p.batch <= 1 and m.k.pcp_tuning == PCP_FREE_FACTOR:
        return p.batch
    if m.k.pcp_tuning == PCP_FREE_FACTOR:
        return highest(p.batch >> order, 2)
    high = clamp(p.high, p.high_min, p.high_max)
    p.high = high
    if high < p.batch:
        return 1
    n = p.batch if order else <int64_t>p.batch << p.alloc_factor
    if p.high_min != p.high_max and not z.flags & ZONE_BELOW_HIGH:
        high = lowest(high + n, p.high_max)
        p.high = high
    if order == 0:
        room = highest(high - p.count - p.batch, p.batch)
        if n <= room and p.alloc_factor < m.k.pcp_scale_max:
            p.alloc_factor += 1
        n = lowest(n, room)
    return highest(n >> order, 2) if n > 1 else n

cdef inline void refill(
    mm_t *m, zone_t *z, pcp_t *p, ring_t *r, int cpu, int order, int mt, uint32_t flags,
) noexcept nogil:
    """Append as many blocks as the version asks for, or as there are, to an empty per-CPU list."""
    cdef int64_t n = refill_size(m, z, p, order)
    cdef int64_t got = 0, run, _i
    cdef int mode = TAKE_NORMAL
    cdef pfn_t pfn
    cdef pfn_t *buf
    cdef uint8_t *tag = m.tag
    cdef uint32_t mask, end
    while r.len + n > <uint32_t>(r.mask + 1):
        if not ring_grow(m, r):
            return
    buf = r.buf
    mask = r.mask
    end = r.head + r.len
    while got < n:
        pfn = take_several(m, z, cpu, order, mt, flags, &mode, n - got, &run)
        if pfn == NO_PFN:
            break
        for _i in range(run):
            buf[end & mask] = pfn
            tag[pfn] = pcp_tag(order, mt)
            end += 1
            pfn += <pfn_t>1 << order
        got += run
    r.len = end - r.head
    m.refilled += got
    if not m.k.account_per_block and got:
        account(m, z, cpu, -(got << order))
    p.count += got << order

cdef inline pfn_t pcp_take(
    mm_t *m, zone_t *z, pcp_t *p, int cpu, int order, int mt, uint32_t flags,
) noexcept nogil:
    """Take the first page of a per-CPU list, filling the list if it is empty."""
    cdef ring_t *r = &p.list[pindex(mt, order)]
    if unlikely(r.len == 0):
        refill(m, z, p, r, cpu, order, mt, flags)
        if r.len == 0:
            return NO_PFN
    p.count -= <int64_t>1 << order
    return ring_pop_head(r)

cdef inline void drain_pcp(mm_t *m, zone_t *z, pcp_t *p, int cpu) noexcept nogil:
    """Empty one per-CPU page set. cpu: who does it."""
    while p.count > 0:
        if m.k.pcp_tuning == PCP_FIXED:
            bulk_drain_round_robin(m, z, p, cpu, p.count)
        else:
            bulk_drain(m, z, p, cpu, lowest(p.count, <int64_t>p.batch << m.k.pcp_scale_max), 0)

cdef inline void drain_cpu(mm_t *m, int cpu, int by) noexcept nogil:
    """Empty the per-CPU lists of one CPU in all zones; `by` does the work."""
    cdef int i
    for i in range(NR_ZONES):
        if m.zone[i].populated:
            drain_pcp(m, &m.zone[i], pcp_of(m, &m.zone[i], cpu), by)

cdef inline void drain_all(mm_t *m, int by) noexcept nogil:
    """Empty the per-CPU lists of all CPUs."""
    cdef int cpu
    for cpu in range(m.ncpus):
        drain_cpu(m, cpu, by)

cdef inline int64_t decayed_excess(pcp_t *p, const kernel_t *k) noexcept nogil:
    """6.12, once a second: lower the running high; returns the pages above it, to be drained a batch at a time."""
    if p.high > p.high_min:
        p.high = highest(p.count - (<int64_t>p.batch << k.pcp_scale_max), highest(p.high - (p.high >> 3), p.high_min))
    return p.count - p.high

cdef inline void decay_pcp_high(mm_t *m, zone_t *z, int cpu) noexcept nogil:
    cdef pcp_t *p = pcp_of(m, z, cpu)
    cdef int64_t excess = decayed_excess(p, &m.k)
    while excess > 0:
        bulk_drain(m, z, p, cpu, lowest(excess, p.batch), 0)
        excess -= p.batch

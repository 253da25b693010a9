"""Hint bitmaps of the zones, and the walk over them that isolates and reports a few blocks at a time (v10 to v12)."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from hinting._core.common cimport MT_ISOLATE, NO_PFN, NR_ZONES, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, pfn_t
from hinting._core.mm.buddy cimport (
    FPI_SKIP_REPORT_NOTIFY,
    FPI_TO_TAIL,
    isolate,
    move_block,
    put_back,
)
from hinting._core.mm.pages cimport TAG_ORDER, block_type, covering, tag_is_buddy, zone_of
from hinting._core.mm.state cimport mm_t, zone_t
from hinting._core.strategies.hooks cimport block_t, hold_begins, hold_ends, strategy_t

cdef extern from *:
    int __builtin_ctzll(unsigned long long) nogil

ctypedef struct zone_bits_t:
    uint64_t *bits                      # one for each 2^order pages from base on
    pfn_t base
    int64_t nbits
    int64_t count                       # v10: bits set since the last pass; v12: bits set

ctypedef struct bitmaps_t:
    strategy_t *s
    zone_bits_t zone[NR_ZONES]
    int order                           # pages of one bit, and the smallest block that is noted
    int64_t threshold                   # count that starts a pass
    bint count_bits                     # count follows the bits (v12)
    bint keep_types                     # a pageblock keeps the type it had before the isolation (v12)
    bint to_tail
    block_t *block                      # isolated now
    int64_t n
    int64_t batch                       # blocks of one report
    int walked                          # zone that the pass is in, -1: between passes
    int64_t at                          # next bit of that zone
    int64_t passes
    int64_t reports
    int64_t visited                     # bits looked at
    int64_t stale                       # of these, not the first page of a free block of this order or more
    int64_t refused                     # the zone would have fallen below its min watermark
    int64_t captured_kib
    int64_t isolated_kib
    int64_t reported_kib
    int64_t returned_kib
    int64_t not_isolated                # pages that the host dropped while they were not isolated

cdef inline bint make_bitmaps(bitmaps_t *b, mm_t *m) noexcept nogil:
    """Size bitmaps and the report; False without memory."""
    cdef int i
    cdef zone_bits_t *z
    b.walked = -1
    b.block = <block_t *>calloc(b.batch, sizeof(block_t))
    if b.block == NULL:
        return False
    for i in range(NR_ZONES):
        if not m.zone[i].populated:
            continue
        z = &b.zone[i]
        z.base = m.zone[i].start
        z.nbits = (<int64_t>m.zone[i].end - m.zone[i].start + (1 << b.order) - 1) >> b.order
        z.bits = <uint64_t *>calloc((z.nbits + 63) // 64, sizeof(uint64_t))
        if z.bits == NULL:
            return False
    return True

cdef inline void free_bitmaps(bitmaps_t *b) noexcept nogil:
    cdef int i
    free(b.block)
    for i in range(NR_ZONES):
        free(b.zone[i].bits)

cdef inline void note_block(bitmaps_t *b, mm_t *m, pfn_t pfn, int order) noexcept nogil:
    """A free has ended in this block: set the bit of its first page."""
    cdef zone_bits_t *z
    cdef int64_t bit
    if order < b.order:
        return
    z = &b.zone[zone_of(m, pfn).index]
    bit = (pfn - z.base) >> b.order
    if z.bits[bit >> 6] >> (bit & 63) & 1:
        return
    z.bits[bit >> 6] |= <uint64_t>1 << (bit & 63)
    z.count += 1
    b.s.work.captured += 1
    b.captured_kib += <int64_t>4 << order

cdef inline bint is_due(const bitmaps_t *b) noexcept nogil:
    """Whether any zone has enough bits for a pass."""
    cdef int i
    for i in range(NR_ZONES):
        if b.zone[i].count >= b.threshold:
            return True
    return False

cdef inline int64_t next_bit(bitmaps_t *b, const zone_bits_t *z, int64_t at) noexcept nogil:
    """First set bit from `at` on, nbits if none."""
    cdef int64_t word = at >> 6
    cdef uint64_t bits
    if at >= z.nbits:
        return z.nbits
    bits = z.bits[word] & (~<uint64_t>0 << (at & 63))
    b.s.work.compares += 1
    while bits == 0:
        word += 1
        if word << 6 >= z.nbits:
            return z.nbits
        bits = z.bits[word]
        b.s.work.compares += 1
    return (word << 6) + __builtin_ctzll(bits)

cdef inline void restore_type(mm_t *m, int cpu, pfn_t pfn, int order, int mt) noexcept nogil:
    """Give the block's first pageblock its type back; all of them, with their free pages, where lists must agree (6.12)."""
    cdef int64_t movable
    cdef pfn_t at = pfn
    while m.k.strict_types and at < pfn + (<pfn_t>1 << order):
        if block_type(m, at) != mt:
            move_block(m, zone_of(m, at), cpu, at, mt, &movable)
            m.pageblock[at >> PAGEBLOCK_ORDER] = <uint8_t>mt
        at += PAGEBLOCK_PAGES
    m.pageblock[pfn >> PAGEBLOCK_ORDER] = <uint8_t>mt

cdef inline bint isolate_at(bitmaps_t *b, mm_t *m, int cpu, pfn_t pfn) noexcept nogil:
    """Isolate the block that begins here at its own order, if there is one."""
    cdef pfn_t head = NO_PFN
    cdef int order, mt
    cdef uint8_t tag = covering(m, pfn, &head)
    order = tag & TAG_ORDER
    if not tag_is_buddy(tag) or head != pfn or order < b.order:
        b.stale += 1
        return False
    mt = block_type(m, pfn)
    if not isolate(m, zone_of(m, pfn), cpu, pfn, order):
        b.refused += 1
        return False
    if b.keep_types and mt != MT_ISOLATE:
        restore_type(m, cpu, pfn, order, mt)
    b.block[b.n].pfn = pfn
    b.block[b.n].order = order
    b.n += 1
    b.s.work.isolated += 1
    b.isolated_kib += <int64_t>4 << order
    return True

cdef inline void visit(bitmaps_t *b, mm_t *m, int cpu, zone_bits_t *z, int64_t bit) noexcept nogil:
    """Look at the block of a bit under the zone lock and clear the bit."""
    b.visited += 1
    hold_begins(b.s)
    b.s.work.probes += 1
    b.s.work.locks += 1
    isolate_at(b, m, cpu, z.base + (<pfn_t>bit << b.order))
    hold_ends(b.s)
    z.bits[bit >> 6] &= ~(<uint64_t>1 << (bit & 63))
    if b.count_bits:
        z.count -= 1

cdef inline void begin_pass(bitmaps_t *b) noexcept nogil:
    b.passes += 1
    b.walked = 0
    b.at = -1

cdef inline bint walk(bitmaps_t *b, mm_t *m, int cpu) noexcept nogil:
    """Go on with a pass to the next report, True, or to its end, False."""
    cdef zone_bits_t *z
    while b.walked < NR_ZONES:
        z = &b.zone[b.walked]
        if b.at < 0:
            if z.count < b.threshold:
                b.walked += 1
                continue
            if not b.count_bits:
                z.count = 0
            b.at = 0
        b.at = next_bit(b, z, b.at)
        while b.at < z.nbits and b.n < b.batch:
            visit(b, m, cpu, z, b.at)
            b.at = next_bit(b, z, b.at + 1)
        if b.at >= z.nbits:
            b.walked += 1
            b.at = -1
        if b.n:
            b.reports += 1
            return True
    b.walked = -1
    return False

cdef inline void return_blocks(bitmaps_t *b, mm_t *m, int cpu) noexcept nogil:
    """The host is done: the blocks go back without setting bits."""
    cdef int64_t i
    cdef int fpi = FPI_SKIP_REPORT_NOTIFY | (FPI_TO_TAIL if b.to_tail else 0)
    for i in range(b.n):
        put_back(m, zone_of(m, b.block[i].pfn), cpu, b.block[i].pfn, b.block[i].order, fpi)
        b.reported_kib += <int64_t>4 << b.block[i].order
        b.returned_kib += <int64_t>4 << b.block[i].order
    b.s.work.returned += b.n
    b.n = 0

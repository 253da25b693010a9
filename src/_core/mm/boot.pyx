"""From a memory map to zones and free lists: the formulas of boot time, and the order in which boot frees memory.

Formulas follow Linux 5.0, 6.1 and 6.12 on x86-64 with one NUMA node. Sizes are pages unless a name says otherwise.
"""

from libc.stdint cimport int64_t

from hinting.errors import GuestError, PageError

from hinting._core.common cimport (
    MAX_ORDER,
    NR_RESERVES,
    NR_ZONES,
    PAGEBLOCK_ORDER,
    pfn_t,
)
from hinting._core.min_free cimport WATERMARK_SCALE_FACTOR, min_free_kbytes, zone_watermarks
from hinting._core.mm.alloc cimport free_pages
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.buddy cimport FPI_NONE, FPI_TO_TAIL, __builtin_ctz, free_block
from hinting._core.mm.pages cimport block_type, zone_of
from hinting._core.mm.state cimport mm_t

#: First page frame of each zone, and of what follows the last one.
ZONE_STARTS = (1, 4096, 1048576, 1 << 31)
#: lowmem_reserve_ratio of DMA, DMA32, Normal.
LOWMEM_RESERVE_RATIO = (256, 256, 32)
#: Pages of a memory section.
SECTION_PAGES = 32768


def counter_threshold(managed, ncpus):
    """Largest difference that a CPU keeps back from a zone's free-page counter."""
    return min(125, 2 * int(ncpus).bit_length() * (1 + (int(managed) >> 15).bit_length()))


def pcp_batch(managed):
    """Batch of a zone's per-CPU lists."""
    b = max(1, min(managed // 1024, 256) // 4)
    return max(1, (1 << ((b + b // 2).bit_length() - 1)) - 1)


def pcp_limits(kernel, managed, low_watermark, ncpus):
    """batch and high (5.0, 6.1) or high_min and high_max (6.12) of a zone's per-CPU lists."""
    batch = pcp_batch(managed)
    if kernel.pcp_tuning == "fixed":
        b = max(1, min(managed // 1024, 256) // 4)
        return {"batch": batch, "high": 6 * ((1 << ((b + b // 2).bit_length() - 1)) - 1)}
    high = max(low_watermark // ncpus, 4 * batch)
    if kernel.pcp_tuning == "free-factor":
        return {"batch": batch, "high": high}
    return {"batch": batch, "high": 0, "high_min": high, "high_max": max(managed // 8 // ncpus, 4 * batch)}


cdef list watermarks(list managed, int64_t maximum, bint thp):
    """(min, low, high) of each zone, pages. maximum: the version's upper clamp of min_free_kbytes."""
    cdef int64_t pages[NR_ZONES]
    cdef int64_t mark[3]
    cdef int64_t kib
    cdef int i
    for i in range(NR_ZONES):
        pages[i] = managed[i]
    kib = min_free_kbytes(pages, NR_ZONES, maximum, thp)
    marks = []
    for i in range(NR_ZONES):
        zone_watermarks(pages[i], sum(managed), kib, WATERMARK_SCALE_FACTOR, mark)
        marks.append((mark[0], mark[1], mark[2]))
    return marks


def lowmem_reserve(managed):
    """lowmem_reserve of each zone, 5 columns of pages."""
    managed = list(managed) + [0] * (NR_RESERVES - len(managed))
    rows = []
    for i in range(NR_ZONES):
        ratio = LOWMEM_RESERVE_RATIO[i] if i < len(LOWMEM_RESERVE_RATIO) else 0
        rows.append([
            sum(managed[i + 1:j + 1]) // ratio if j > i and ratio and managed[i] else 0 for j in range(NR_RESERVES)])
    return rows


def subtract(ranges, holes):
    """The parts of sorted page ranges [(first, end), ...] that no hole covers."""
    out = []
    for first, end in ranges:
        at = first
        for a, b in sorted(holes):
            if b <= at or a >= end:
                continue
            if a > at:
                out.append((at, a))
            at = max(at, b)
        if at < end:
            out.append((at, end))
    return out


def zones_of(kernel, ram, free, ncpus, thp, late=()):
    """Zone mappings for an Allocator from RAM ranges and the ranges that boot frees, all of them [(first pfn, end), ...].

    late: what boot gives back when it is over. It counts as managed then, but every limit was computed before that.
    """
    ram = sorted(ram)
    first, last = ram[0][0], max(end for _, end in ram)
    spans = {}
    for i in range(3):
        start, end = max(ZONE_STARTS[i], first), min(ZONE_STARTS[i + 1], last)
        if start < end:
            spans[i] = (start, end)

    def pages(ranges, span):
        return sum(max(0, min(b, span[1]) - max(a, span[0])) for a, b in ranges)

    managed = [pages(free, spans[i]) if i in spans else 0 for i in range(NR_ZONES)]
    if not sum(managed):
        raise GuestError("memory map: nothing is left to free after the reserved ranges")
    final = [pages([*free, *late], spans[i]) if i in spans else 0 for i in range(NR_ZONES)]
    marks = watermarks(managed, kernel.min_free_kbytes_max, thp)
    reserve = lowmem_reserve(managed)
    return [
        {
            "index": i, "start": start, "end": end, "managed": final[i], "present": pages(ram, (start, end)),
            "watermark": marks[i], "lowmem_reserve": reserve[i], "threshold": counter_threshold(managed[i], ncpus),
            **pcp_limits(kernel, managed[i], marks[i][1], ncpus),
        }
        for i, (start, end) in spans.items()
    ]


def deferred_start(ram):
    """First page frame whose initialisation boot defers, or the end of memory if it defers nothing."""
    last = max(end for _, end in ram)
    zone = max(i for i in range(3) if ZONE_STARTS[i] < last)
    counted = 0
    for first, end in sorted(ram):
        first = max(first, ZONE_STARTS[zone])
        at = first + -first % SECTION_PAGES
        while at < end:
            if counted + (at - first) + 1 > SECTION_PAGES:
                return at
            at += SECTION_PAGES
        counted += max(0, end - first)
    return last


cdef void _free_range(mm_t *m, pfn_t first, pfn_t end, int fpi) noexcept nogil:
    """Cut a range from its low end into the largest aligned blocks."""
    cdef int order
    while first < end:
        order = __builtin_ctz(first) if first else MAX_ORDER
        if order > MAX_ORDER:
            order = MAX_ORDER
        while first + (<pfn_t>1 << order) > end:
            order -= 1
        free_block(m, zone_of(m, first), 0, first, order, block_type(m, first), fpi)
        first += <pfn_t>1 << order


cdef void _free_deferred(mm_t *m, pfn_t first, pfn_t end, int unit, int fpi) noexcept nogil:
    """Whole aligned units of 2^unit pages at once, what is left over page by page.

    A pair of pageblocks is entered as the block of order 10 that it merges to, which leaves the same lists.
    """
    cdef int order
    cdef pfn_t size
    while first < end:
        order = 0
        for size in range(MAX_ORDER, unit - 1, -1):
            if first & ((<pfn_t>1 << size) - 1) == 0 and first + (<pfn_t>1 << size) <= end:
                order = size
                break
        free_block(m, zone_of(m, first), 0, first, order, block_type(m, first), fpi)
        first += <pfn_t>1 << order


cdef void _free_pages(mm_t *m, pfn_t first, pfn_t end) noexcept nogil:
    """Page by page as any page is freed: boot has used them."""
    while first < end:
        free_pages(m, 0, first, 0)
        first += 1


def free_memory(Allocator allocator not None, free, deferred_from=None, late=()):
    """Hand the ranges [(first pfn, end), ...] to an empty allocator in the order of boot.

    deferred_from: what lies at or above it is freed later, in the units of deferred initialisation (None: nothing).
    late: ranges that CPU 0 frees at the very end, page by page as any page is freed.
    """
    cdef int fpi = FPI_TO_TAIL if allocator.m.k.boot_to_tail else FPI_NONE
    cdef int unit = MAX_ORDER if allocator.m.k.deferred_by_max_order else PAGEBLOCK_ORDER
    cdef pfn_t a, b
    limit = allocator.m.npfn if deferred_from is None else deferred_from
    deferred = []
    for first, end in [*free, *late]:
        if not (0 <= first < end <= allocator.m.npfn) or zone_of(&allocator.m, first) == NULL:
            raise PageError(f"memory map: [{first}, {end}) is not inside the zones of this guest")
    for first, end in sorted(free):
        if end > limit:
            deferred.append((max(first, limit), end))
            end = limit
        if first < end:
            a, b = first, end
            with nogil:
                _free_range(&allocator.m, a, b, fpi)
    for first, end in deferred:
        a, b = first, end
        with nogil:
            _free_deferred(&allocator.m, a, b, unit, fpi)
    for first, end in sorted(late):
        a, b = first, end
        with nogil:
            _free_pages(&allocator.m, a, b)
    allocator.raise_errors()

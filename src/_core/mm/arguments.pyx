"""Checks of the arguments that reach the allocator from Python, and pages in words."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hinting.errors import PageError

from hinting._core.common cimport MAX_ORDER, NO_PFN, NR_MIGRATETYPES, NR_ZONES, pfn_t
from hinting._core.kernel cimport kernel_t
from hinting._core.mm.pages cimport (
    TAG_ISOLATED, TAG_KIND, TAG_ORDER, TAG_PREPARED, covering, tag_get, tag_is_buddy, tag_is_pcp, tag_is_used, zone_of)
from hinting._core.mm.state cimport mm_t, zone_t


cdef object integer(str name, value, low, high):
    """value as an int within [low, high]."""
    try:
        number = value.__index__()
    except AttributeError:
        raise PageError(f"{name} must be an integer, got {value!r}") from None
    if not low <= number <= high:
        raise PageError(f"{name} must be between {low} and {high}, got {number}")
    return number


cdef object describe(uint8_t tag):
    """What a page with this tag is, in words."""
    if tag_is_buddy(tag):
        return f"free (a block of order {tag & TAG_ORDER})"
    if tag_is_used(tag):
        return f"allocated (a block of order {tag & TAG_ORDER})"
    if tag_is_pcp(tag):
        return "free (on a per-CPU list)"
    if (tag & TAG_KIND) == TAG_ISOLATED:
        return f"isolated (a block of order {tag & TAG_ORDER})"
    if (tag & TAG_KIND) == TAG_PREPARED:
        return "being freed"
    return "not memory of this guest"


cdef object page_in_words(mm_t *m, pfn_t pfn):
    cdef pfn_t head = NO_PFN
    return describe(covering(m, pfn, &head))


cdef int order_of(value) except -1:
    return integer("order", value, 0, MAX_ORDER)


cdef int migratetype_of(value) except -1:
    return integer("migratetype", value, 0, NR_MIGRATETYPES - 1)


cdef int zone_index_of(value) except -1:
    return integer("zone", value, 0, NR_ZONES - 1)


cdef int cpu_of(const mm_t *m, value) except -1:
    return integer("cpu", value, 0, m.ncpus - 1)


cdef int pindex_of(const mm_t *m, value) except -1:
    return integer("index of a per-CPU list", value, 0, m.k.nr_pcp_lists - 1)


cdef int64_t gfp_of(const mm_t *m, value) except -1:
    """gfp as a number that no kernel would refuse: at most one zone by name, at most one kind of mobility."""
    cdef uint32_t bits = integer("gfp", value, 0, 0xFFFFFFFF)
    cdef const kernel_t *k = &m.k
    if (bits & k.gfp_dma != 0) + (bits & k.gfp_dma32 != 0) + (bits & k.gfp_highmem != 0) > 1:
        raise PageError(f"gfp must name at most one of the zones DMA, DMA32 and HIGHMEM, got {bits:#x}")
    if bits & k.gfp_movable and bits & k.gfp_reclaimable:
        raise PageError(f"gfp must be MOVABLE or RECLAIMABLE or neither, got both in {bits:#x}")
    return bits


cdef int64_t pfn_of(const mm_t *m, value) except -1:
    return integer("pfn", value, 0, m.npfn - 1)


cdef int64_t block_of(mm_t *m, pfn, int order) except -1:
    """pfn as the first page of a block of this order inside a zone."""
    cdef zone_t *z
    cdef int64_t first = pfn_of(m, pfn)
    if first & ((1 << order) - 1):
        raise PageError(f"pfn {first} is not aligned to order {order}: expected a multiple of {1 << order}")
    z = zone_of(m, <pfn_t>first)
    if z == NULL or first + (1 << order) > z.end:
        raise PageError(f"pfn {first} (order {order}) is not inside a zone of this guest")
    return first


cdef int must_be_used(mm_t *m, pfn_t pfn, int order) except -1:
    """Raise unless (pfn, order) is an allocated block."""
    cdef uint8_t tag = tag_get(m, pfn, order)
    cdef pfn_t head = NO_PFN
    if tag_is_used(tag) and (tag & TAG_ORDER) == order:
        return 0
    tag = covering(m, pfn, &head)
    what = describe(tag)
    if tag_is_used(tag) and head != pfn:
        what += f" that begins at {head}"
    raise PageError(f"pfn {pfn} of order {order} cannot be freed: expected an allocated block of this order, it is {what}")


cdef int must_be_absent(mm_t *m, pfn_t pfn, int order) except -1:
    """Raise unless none of these pages is in the allocator."""
    cdef pfn_t head = NO_PFN
    cdef uint8_t tag
    cdef pfn_t at
    for at in range(pfn, pfn + (<pfn_t>1 << order)):
        tag = covering(m, at, &head)
        if tag:
            raise PageError(f"pfn {at} is in the allocator already: {describe(tag)}")
    return 0

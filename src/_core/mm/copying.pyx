"""Exact copies of an allocator, page by page, at the cost of what is not zero.

Tags are copied where a 4 MiB block is split, list links where it holds the first page of a free block, so that memory
that nobody ever used costs a copy nothing, as it costs the original nothing.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy

from hinting.errors import PageError

from hinting._core.common cimport (
    MAX_BLOCK_PAGES,
    MAX_ORDER,
    MAX_PCP_LISTS,
    NR_ZONES,
    PAGEBLOCK_PAGES,
    PAGE_BYTES,
    pfn_t,
)
from hinting._core.kernel cimport Kernel
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.arrays cimport LIST_HEADS, big_link_bytes, map_arrays, pageblock_bytes
from hinting._core.mm.pages cimport TAG_BUDDY
from hinting._core.mm.state cimport link_t, mm_t, ring_t


cdef inline bint is_zero(const uint8_t *bytes, int64_t n) noexcept nogil:
    """n: a multiple of 8."""
    cdef const uint64_t *words = <const uint64_t *>bytes
    cdef uint64_t any = 0
    cdef int64_t i
    for i in range(n // 8):
        any |= words[i]
    return any == 0


cdef inline bint has_free_head(const uint8_t *tags) noexcept nogil:
    """A free block begins in this pageblock."""
    cdef uint32_t any = 0
    cdef int i
    for i in range(PAGEBLOCK_PAGES):
        any |= (tags[i] & 0xE0) == TAG_BUDDY
    return any != 0


cdef void copy_pages(mm_t *to, const mm_t *m) noexcept nogil:
    """Tags and links of all split 4 MiB blocks; a pageblock's links are one page of memory."""
    cdef uint32_t b
    cdef int i
    cdef pfn_t first, half
    for b in range(m.nblocks):
        first = b << MAX_ORDER
        if m.big_tag[b] or is_zero(&m.tag[first], MAX_BLOCK_PAGES):
            continue
        memcpy(&to.tag[first], &m.tag[first], MAX_BLOCK_PAGES)
        for i in range(MAX_BLOCK_PAGES // PAGEBLOCK_PAGES):
            half = first + i * PAGEBLOCK_PAGES
            if has_free_head(&m.tag[half]):
                memcpy(&to.link[half], &m.link[half], PAGEBLOCK_PAGES * sizeof(link_t))
    memcpy(&to.link[m.span], &m.link[m.span], LIST_HEADS * sizeof(link_t))


cdef void copy_blocks(mm_t *to, const mm_t *m) noexcept nogil:
    """What there is for each 4 MiB and each 2 MiB."""
    cdef int64_t size = pageblock_bytes(m), at = 0, part
    memcpy(to.big_tag, m.big_tag, m.nblocks)
    memcpy(to.big_link, m.big_link, big_link_bytes(m))
    memcpy(to.pageblock, m.pageblock, size)
    while at < size:
        part = PAGE_BYTES if size - at > PAGE_BYTES else size - at
        if part % 8 or not is_zero(&m.skip[at], part):
            memcpy(&to.skip[at], &m.skip[at], part)
        at += part


cdef bint copy_lists(mm_t *to, const mm_t *m) noexcept nogil:
    """The per-CPU page sets; False if there is no memory for one of their lists."""
    cdef int i, k
    cdef const ring_t *r
    cdef ring_t *ring
    for i in range(NR_ZONES * m.ncpus):
        to.pcp[i] = m.pcp[i]
        for k in range(MAX_PCP_LISTS):
            to.pcp[i].list[k].buf = NULL
    for i in range(NR_ZONES * m.ncpus):
        for k in range(MAX_PCP_LISTS):
            r = &m.pcp[i].list[k]
            ring = &to.pcp[i].list[k]
            if r.buf == NULL:
                continue
            ring.buf = <pfn_t *>malloc((r.mask + 1) * sizeof(pfn_t))
            if ring.buf == NULL:
                return False
            memcpy(ring.buf, r.buf, (r.mask + 1) * sizeof(pfn_t))
    return True


cdef void take_arrays(mm_t *to, const mm_t *m) noexcept nogil:
    """Point to the arrays of another state."""
    to.tag, to.link, to.big_tag, to.big_link = m.tag, m.link, m.big_tag, m.big_link
    to.pageblock, to.skip, to.pcp = m.pageblock, m.skip, m.pcp


cdef void no_hooks(mm_t *m) noexcept nogil:
    """Nor a replay's recorded decisions, nor the times of a guest that runs."""
    m.on_free = m.on_alloc = m.on_merged = NULL
    m.on_unlock = NULL
    m.hook_self = NULL
    m.split_keeps_reported = False
    m.claims = NULL
    m.times = NULL
    m.nr_claims = 0


def copy_of(Allocator allocator not None):
    """An independent allocator in exactly the same state, without hooks."""
    cdef Kernel kernel = allocator.kernel
    cdef Allocator new = Allocator.__new__(Allocator, kernel, None)
    cdef const mm_t *m = &allocator.m
    cdef mm_t *to = &new.m
    cdef mm_t plain = allocator.m
    cdef bint fine
    to.ncpus, to.npfn = m.ncpus, m.npfn
    with nogil:
        fine = map_arrays(to)
        if fine:
            take_arrays(&plain, to)
            no_hooks(&plain)
            to[0] = plain
            fine = copy_lists(to, m)
        if fine:
            copy_pages(to, m)
            copy_blocks(to, m)
    if not fine:
        raise MemoryError(f"no memory for a copy of a guest of {m.npfn} page frames")
    return new


def exchange(Allocator one not None, Allocator other not None):
    """Exchange the states of two allocators of the same kernel and size; each keeps its hooks."""
    cdef mm_t mine = one.m, theirs = other.m
    if one.kernel is not other.kernel:
        raise PageError(f"a state of {other.kernel.name} cannot become that of a guest with {one.kernel.name}")
    for name, ours, given in (("CPUs", one.m.ncpus, other.m.ncpus), ("page frames", one.m.npfn, other.m.npfn)):
        if ours != given:
            raise PageError(f"a state of {given} {name} cannot become that of a guest with {ours}")
    one.m, other.m = theirs, mine
    keep_hooks(&one.m, &mine)
    keep_hooks(&other.m, &theirs)


cdef void keep_hooks(mm_t *m, const mm_t *own) noexcept nogil:
    m.on_free, m.on_alloc, m.on_merged, m.on_unlock = own.on_free, own.on_alloc, own.on_merged, own.on_unlock
    m.hook_self, m.split_keeps_reported = own.hook_self, own.split_keeps_reported
    m.claims, m.nr_claims = own.claims, own.nr_claims
    m.times = own.times

"""What the host still backs of a guest's free memory, and what its backing looks like: counted when somebody asks."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from hinting._core.common cimport MAX_ORDER, NR_ORDERS, pfn_t
from hinting._core.engine.machine cimport machine_t
from hinting._core.host.state cimport BLOCK_ORDER, PMD_NONE
from hinting._core.host.words cimport popcount_block
from hinting._core.mm.pages cimport TAG_ISOLATED, TAG_KIND, TAG_ORDER, tag_is_buddy, tag_is_pcp
from hinting._core.mm.times cimport STAMP_GIVEN

ctypedef struct free_memory_t:
    int64_t backed[NR_ORDERS]           # pages free in the guest that the host backs, by order of their free block
    int64_t given                       # pages free in the guest that were given back and not backed since

cdef inline void count_block(const machine_t *g, pfn_t pfn, int order, free_memory_t *f) noexcept nogil:
    cdef int64_t at
    for at in range(pfn, <int64_t>pfn + (<int64_t>1 << order)):
        if g.backing.blocks[at >> BLOCK_ORDER].present[at >> 6 & 7] >> (at & 63) & 1:
            f.backed[order] += 1
        elif g.mm.times.stamp[at] & STAMP_GIVEN:
            f.given += 1

cdef inline void count_free_memory(const machine_t *g, free_memory_t *f) noexcept nogil:
    """Blocks of free lists, of per-CPU lists and isolated ones."""
    cdef int64_t at = 0
    cdef uint8_t tag
    while at < g.mm.npfn:
        tag = 0
        if at & ((1 << MAX_ORDER) - 1) == 0:
            tag = g.mm.big_tag[at >> MAX_ORDER]
        if tag == 0:
            tag = g.mm.tag[at]
        if tag_is_buddy(tag) or tag_is_pcp(tag) or (tag & TAG_KIND) == TAG_ISOLATED:
            count_block(g, <pfn_t>at, tag & TAG_ORDER, f)
        at += <int64_t>1 << (tag & TAG_ORDER) if tag else 1

cdef inline int64_t backed_blocks(const machine_t *g) noexcept nogil:
    """2 MiB blocks of which the host backs at least a page."""
    cdef uint64_t i
    cdef int64_t n = 0
    for i in range(g.backing.nblocks):
        n += g.backing.blocks[i].pmd != PMD_NONE and popcount_block(g.backing.blocks[i].present) > 0
    return n

"""The memory of an allocator's state: its arrays are mapped, emptied and released here and nowhere else."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from hinting._core.common cimport MAX_BLOCK_PAGES, MAX_PCP_LISTS, MT_MOVABLE, NR_MIGRATETYPES, NR_ORDERS, NR_ZONES
from hinting._core.memory cimport munmap, zero_pages
from hinting._core.mm.pages cimport link_between, links_of, list_head
from hinting._core.mm.state cimport link_t, mm_t, pcp_t

cdef enum:
    LIST_HEADS = NR_ZONES * NR_MIGRATETYPES * 16

cdef inline size_t link_bytes(const mm_t *m) noexcept nogil:
    return (<size_t>m.span + LIST_HEADS) * sizeof(link_t)

cdef inline size_t big_link_bytes(const mm_t *m) noexcept nogil:
    return (<size_t>m.nblocks + LIST_HEADS) * sizeof(link_t)

cdef inline size_t pageblock_bytes(const mm_t *m) noexcept nogil:
    return 2 * <size_t>m.nblocks

cdef inline void empty_lists(mm_t *m) noexcept nogil:
    """Every free list is its head alone."""
    cdef int zone, mt, order
    cdef uint32_t head
    for zone in range(NR_ZONES):
        for mt in range(NR_MIGRATETYPES):
            for order in range(NR_ORDERS):
                head = list_head(m, zone, mt, order)
                link_between(links_of(m, order), head, head, head)

cdef inline bint map_arrays(mm_t *m) noexcept nogil:
    """Arrays of m.ncpus CPUs and m.npfn page frames, all of them in no block; False if there is no address space.

    What was mapped before a failure stays with m, to be released with it.
    """
    cdef int i, k
    m.nblocks = (m.npfn + MAX_BLOCK_PAGES - 1) // MAX_BLOCK_PAGES
    m.span = m.nblocks * MAX_BLOCK_PAGES
    m.tag = <uint8_t *>zero_pages(m.span)
    m.link = <link_t *>zero_pages(link_bytes(m))
    m.big_tag = <uint8_t *>zero_pages(m.nblocks)
    m.big_link = <link_t *>zero_pages(big_link_bytes(m))
    m.pageblock = <uint8_t *>zero_pages(pageblock_bytes(m))
    m.skip = <uint8_t *>zero_pages(pageblock_bytes(m))
    m.pcp = <pcp_t *>calloc(NR_ZONES * m.ncpus, sizeof(pcp_t))
    if (m.tag == NULL or m.link == NULL or m.big_tag == NULL or m.big_link == NULL or m.pageblock == NULL
            or m.skip == NULL or m.pcp == NULL):
        return False
    memset(m.pageblock, MT_MOVABLE, pageblock_bytes(m))
    for i in range(NR_ZONES * m.ncpus):
        for k in range(MAX_PCP_LISTS):
            m.pcp[i].list[k].mask = <uint32_t>-1
    return True

cdef inline void unmap_arrays(mm_t *m) noexcept nogil:
    cdef int i, k
    if m.pcp != NULL:
        for i in range(NR_ZONES * m.ncpus):
            for k in range(MAX_PCP_LISTS):
                free(m.pcp[i].list[k].buf)
        free(m.pcp)
    if m.tag != NULL:
        munmap(m.tag, m.span)
    if m.link != NULL:
        munmap(m.link, link_bytes(m))
    if m.big_tag != NULL:
        munmap(m.big_tag, m.nblocks)
    if m.big_link != NULL:
        munmap(m.big_link, big_link_bytes(m))
    if m.pageblock != NULL:
        munmap(m.pageblock, pageblock_bytes(m))
    if m.skip != NULL:
        munmap(m.skip, pageblock_bytes(m))

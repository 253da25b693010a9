"""The owner of one guest's allocator and its memory, and what Python sees of it: lists, counters, limits.

With them are the counts over the free lists that the kernel shows and does not keep (mm/vmstat.c, pagetypeinfo).
"""

from libc.stdint cimport int64_t, uint32_t

import numpy as np

from hinting._core.common cimport MT_PCPTYPES, NR_MIGRATETYPES, NR_ORDERS, NR_RESERVES, NR_ZONES, PAGEBLOCK_PAGES, pfn_t
from hinting._core.kernel cimport Kernel
from hinting._core.mm.arguments cimport (
    block_of, cpu_of, migratetype_of, order_of, page_in_words, pfn_of, pindex_of, zone_index_of)
from hinting._core.mm.arrays cimport unmap_arrays
from hinting._core.mm.counter cimport free_exact, pcp_of
from hinting._core.mm.pages cimport TAG_KIND, TAG_REPORTED, links_of, list_head, pfn_of_node, tag_get
from hinting._core.mm.pcp cimport pindex, ring_at
from hinting._core.mm.pcp_fields cimport pcp_fields
from hinting._core.mm.state cimport (
    WM_HIGH, WM_LOW, WM_MIN, ZONE_BELOW_HIGH, ZONE_BOOSTED, ZONE_RECLAIM_ACTIVE, link_t, mm_t, ring_t,
    zone_t)
from hinting._core.mm.times cimport times_free


cdef int64_t list_length(mm_t *m, int zone, int mt, int order) noexcept nogil:
    cdef link_t *links = links_of(m, order)
    cdef uint32_t head = list_head(m, zone, mt, order)
    cdef uint32_t node = links[head].next
    cdef int64_t n = 0
    while node != head:
        n += 1
        node = links[node].next
    return n


cdef class AllocatorState:
    """Zones, free lists and per-CPU page lists of one guest, to be looked at. Pages are pfns, amounts are pages."""

    def __cinit__(self, Kernel kernel not None, zones, int ncpus=1):
        self.kernel = kernel
        self.m.k = kernel.k

    def __dealloc__(self):
        unmap_arrays(&self.m)
        times_free(self.m.times)

    @property
    def npfn(self):
        """One past the last page frame."""
        return self.m.npfn

    @property
    def ncpus(self):
        """CPUs with page lists of their own."""
        return self.m.ncpus

    @property
    def kswapd_wakeups(self):
        """How often kswapd was woken."""
        return self.m.kswapd_wakeups

    @property
    def allocstall(self):
        """Requests that failed where the kernel would have reclaimed directly."""
        return self.m.allocstall

    def zones(self):
        """Indices of the populated zones, ascending."""
        return [i for i in range(NR_ZONES) if self.m.zone[i].populated]

    def free_list_array(self, zone, order, migratetype):
        """pfns of one free list from head to tail, uint32."""
        cdef int i = zone_index_of(zone), o = order_of(order), mt = migratetype_of(migratetype)
        cdef link_t *links = links_of(&self.m, o)
        cdef uint32_t head = list_head(&self.m, i, mt, o)
        cdef uint32_t node = links[head].next
        cdef int64_t n = 0
        array = np.empty(list_length(&self.m, i, mt, o), np.uint32)
        cdef pfn_t[::1] out = array
        while node != head:
            out[n] = pfn_of_node(node, o)
            n += 1
            node = links[node].next
        return array

    def reported_array(self, const pfn_t[::1] pfns, order):
        """For each free block of this order, whether it carries the reported mark."""
        cdef int o = order_of(order)
        return np.array([(tag_get(&self.m, block_of(&self.m, pfn, o), o) & TAG_KIND) == TAG_REPORTED for pfn in pfns], bool)

    def free_lists(self):
        """{(zone, order, migratetype): [pfn, ...] head first}, without empty lists."""
        return {
            (z, o, mt): self.free_list_array(z, o, mt).tolist()
            for z in self.zones() for o in range(NR_ORDERS) for mt in range(NR_MIGRATETYPES)
            if self.m.zone[z].nonempty[mt] >> o & 1
        }

    def pcp_list_array(self, zone, cpu, index):
        """pfns of one per-CPU list from head to tail, uint32."""
        cdef ring_t *ring = &pcp_of(&self.m, &self.m.zone[zone_index_of(zone)], cpu_of(&self.m, cpu)).list[
            pindex_of(&self.m, index)]
        cdef uint32_t i
        array = np.empty(ring.len, np.uint32)
        cdef pfn_t[::1] out = array
        for i in range(ring.len):
            out[i] = ring_at(ring, i)
        return array

    def pcp_index(self, order, migratetype):
        """Number of the per-CPU list that serves requests of this order and migratetype; None if the kernel has none."""
        cdef int o = order_of(order), mt = migratetype_of(migratetype)
        return pindex(mt, o) if mt < MT_PCPTYPES and self.m.k.pcp_orders >> o & 1 else None

    def pcp_lists(self):
        """{(zone, cpu, pindex): [pfn, ...] head first}, without empty lists."""
        lists = {
            (z, c, i): self.pcp_list_array(z, c, i).tolist()
            for z in self.zones() for c in range(self.m.ncpus) for i in range(self.m.k.nr_pcp_lists)
        }
        return {key: pfns for key, pfns in lists.items() if pfns}

    def pcp_state(self, zone, cpu):
        """Fields of one per-CPU page set as a dict; count and high in pages, diff: its part of the counter."""
        return pcp_fields(pcp_of(&self.m, &self.m.zone[zone_index_of(zone)], cpu_of(&self.m, cpu)))

    def zone_state(self, zone):
        """Counters and limits of a zone as a dict; all in pages."""
        cdef zone_t *z = &self.m.zone[zone_index_of(zone)]
        return {
            "start": z.start, "end": z.end, "managed": z.managed, "present": z.present,
            "free": free_exact(&self.m, z), "counter": z.counter, "boost": z.boost, "boost_factor": z.boost_factor,
            "watermark": (z.watermark[WM_MIN], z.watermark[WM_LOW], z.watermark[WM_HIGH]),
            "lowmem_reserve": tuple(z.lowmem_reserve[k] for k in range(NR_RESERVES)),
            "nr_reserved_highatomic": z.nr_reserved_highatomic, "nr_free_highatomic": z.nr_free_highatomic,
            "boosted": bool(z.flags & ZONE_BOOSTED), "reclaim_active": bool(z.flags & ZONE_RECLAIM_ACTIVE),
            "below_high": bool(z.flags & ZONE_BELOW_HIGH), "nr_isolated_blocks": z.nr_isolated_blocks,
            "threshold": z.threshold, "flags": z.flags,
        }

    def block_types(self):
        """Migratetype of every pageblock up to the last page frame."""
        return [self.m.pageblock[b] for b in range((self.m.npfn + PAGEBLOCK_PAGES - 1) // PAGEBLOCK_PAGES)]

    def buddyinfo(self):
        """Free blocks by zone and order: int64 array (4, 11)."""
        cdef int i, o
        array = np.zeros((NR_ZONES, NR_ORDERS), np.int64)
        for i in range(NR_ZONES):
            for o in range(NR_ORDERS):
                array[i, o] = self.m.zone[i].nr_free[o]
        return array

    def page(self, pfn):
        """What a page is, in words: "free (a block of order 9)", "allocated (...)", ..."""
        return page_in_words(&self.m, pfn_of(&self.m, pfn))


def pagetypeinfo(AllocatorState allocator not None):
    """Free blocks by zone, migratetype and order: int64 array (4, 5, 11), counted by walking the lists."""
    cdef int zone, mt, order
    cdef int64_t[:, :, ::1] out
    array = np.zeros((NR_ZONES, NR_MIGRATETYPES, NR_ORDERS), np.int64)
    out = array
    with nogil:
        for zone in range(NR_ZONES):
            for mt in range(NR_MIGRATETYPES):
                for order in range(NR_ORDERS):
                    if allocator.m.zone[zone].nonempty[mt] >> order & 1:
                        out[zone, mt, order] = list_length(&allocator.m, zone, mt, order)
    return array

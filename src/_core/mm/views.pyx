"""Counts over the free lists that the kernel shows and does not keep (mm/vmstat.c, pagetypeinfo)."""

from libc.stdint cimport int64_t, uint32_t

import numpy as np

from hinting._core.common cimport NR_MIGRATETYPES, NR_ORDERS, NR_ZONES
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.pages cimport links_of, list_head
from hinting._core.mm.state cimport link_t, mm_t


cdef int64_t list_length(mm_t *m, int zone, int mt, int order) noexcept nogil:
    cdef link_t *links = links_of(m, order)
    cdef uint32_t head = list_head(m, zone, mt, order)
    cdef uint32_t node = links[head].next
    cdef int64_t n = 0
    while node != head:
        n += 1
        node = links[node].next
    return n


def pagetypeinfo(Allocator allocator not None):
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

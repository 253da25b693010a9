"""A given state, in: lists, page sets and counters in bulk, as a snapshot of a kernel has them.

Blocks are checked one by one; whether the whole is sound is seen by Allocator.check.
"""

from libc.stdint cimport int64_t, uint8_t

from hinting.errors import PageError

from hinting._core.common cimport MT_HIGHATOMIC, MT_ISOLATE, pfn_t
from hinting._core.mm.arguments cimport (
    block_of, cpu_of, migratetype_of, must_be_absent, order_of, pindex_of, zone_index_of)
from hinting._core.mm.buddy cimport list_add
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.pages cimport (
    TAG_ISOLATED, TAG_MOVABLE, TAG_ORDER, TAG_REPORTED, TAG_USED, block_type, covering, tag_set,
    zone_of)
from hinting._core.mm.pcp cimport mark_pcp, pindex_order, ring_push_tail
from hinting._core.mm.pcp_fields cimport pcp_fields, set_pcp_fields
from hinting._core.mm.state cimport mm_t, pcp_t, zone_t
from hinting._core.mm.views cimport AllocatorState


cdef int must_be_in(mm_t *m, pfn_t pfn, int order, int zone) except -1:
    """Raise unless this block is inside the zone, and none of its pages in the allocator."""
    if zone_of(m, <pfn_t>block_of(m, pfn, order)) != &m.zone[zone]:
        raise PageError(f"pfn {pfn} (order {order}) is not inside zone {zone}")
    return must_be_absent(m, pfn, order)


cdef int must_match(str name, int64_t n, int64_t wanted) except -1:
    if n != wanted:
        raise PageError(f"{name} must have {wanted} entries, got {n}")
    return 0


cdef class LoadableState(AllocatorState):
    """The state of an allocator, with what loads a given state into it."""

    def load_free(self, zone, order, migratetype, const pfn_t[::1] pfns, const uint8_t[::1] reported):
        """Append blocks to one free list in the order given, head first, with their reported marks."""
        cdef int index = zone_index_of(zone), o = order_of(order), mt = migratetype_of(migratetype)
        cdef zone_t *z = &self.m.zone[index]
        cdef int64_t i
        must_match("reported", reported.shape[0], pfns.shape[0])
        for i in range(pfns.shape[0]):
            must_be_in(&self.m, pfns[i], o, index)
            list_add(&self.m, z, pfns[i], o, mt, True)
            if mt == MT_HIGHATOMIC:
                z.nr_free_highatomic += <int64_t>1 << o
            if reported[i]:
                tag_set(&self.m, pfns[i], o, TAG_REPORTED)

    def load_isolated(self, pfn, order):
        """Make a block one that is isolated: outside the lists and not counted."""
        cdef int o = order_of(order)
        cdef pfn_t first = block_of(&self.m, pfn, o)
        must_be_absent(&self.m, first, o)
        tag_set(&self.m, first, o, TAG_ISOLATED)
        self.m.isolated += <int64_t>1 << o

    def load_pcp(self, zone, cpu, index, const pfn_t[::1] pfns, const uint8_t[::1] migratetypes):
        """Append pages to one per-CPU list in the order given, with their cached migratetypes (5.0, 6.1)."""
        cdef int number = zone_index_of(zone), k = pindex_of(&self.m, index)
        cdef pcp_t *p = pcp_of(&self.m, &self.m.zone[number], cpu_of(&self.m, cpu))
        cdef int order = pindex_order(k)
        cdef int64_t i
        cdef int mt
        must_match("migratetypes", migratetypes.shape[0], pfns.shape[0])
        for i in range(pfns.shape[0]):
            must_be_in(&self.m, pfns[i], order, number)
            mt = block_type(&self.m, pfns[i]) if self.m.k.strict_types else migratetypes[i]
            if mt >= MT_ISOLATE:
                raise PageError(f"pfn {pfns[i]} cannot be on a per-CPU list with migratetype {mt}")
            if not ring_push_tail(&self.m, &p.list[k], pfns[i]):
                raise MemoryError("a per-CPU page list could not grow")
            mark_pcp(&self.m, pfns[i], order, mt)
            p.count += <int64_t>1 << order

    def load_used(self, const uint8_t[::1] memory):
        """Make every page with memory[pfn] != 0 that is on no list an allocated single page; 2 = counts as movable."""
        cdef pfn_t at = 0, head
        cdef uint8_t tag
        must_match("memory", memory.shape[0], self.m.npfn)
        with nogil:
            while at < self.m.npfn:
                tag = covering(&self.m, at, &head)
                if tag:
                    at = head + (<pfn_t>1 << (tag & TAG_ORDER))
                    continue
                if memory[at]:
                    self.m.tag[at] = TAG_USED | (TAG_MOVABLE if memory[at] == 2 else 0)
                at += 1

    def load_pageblocks(self, const uint8_t[::1] types):
        """Migratetypes of all pageblocks from pfn 0 on."""
        cdef int64_t i
        for i in range(min(types.shape[0], 2 * self.m.nblocks)):
            self.m.pageblock[i] = <uint8_t>migratetype_of(types[i])

    def load_pcp_state(self, zone, cpu, state):
        """Set fields of one per-CPU page set: high, high_min, high_max, batch, free_factor, alloc_factor, ..., diff."""
        cdef pcp_t *p = pcp_of(&self.m, &self.m.zone[zone_index_of(zone)], cpu_of(&self.m, cpu))
        fields = pcp_fields(p)
        for name in state:
            if name == "count" or name not in fields:
                raise PageError(f"per-CPU state has no field {name!r}")
        set_pcp_fields(p, fields | dict(state))

    def load_zone_state(self, zone, counter=None, boost=None, flags=None, nr_isolated_blocks=None):
        """Set the free-page counter (pages), boost (pages) and flags (1 boosted, 2 reclaim active, 4 below high)."""
        cdef zone_t *z = &self.m.zone[zone_index_of(zone)]
        if counter is not None:
            z.counter = counter
        if boost is not None:
            z.boost = boost
        if flags is not None:
            z.flags = flags
        if nr_isolated_blocks is not None:
            z.nr_isolated_blocks = nr_isolated_blocks

"""A recording's rows as C arrays, shared by the levels of replay."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t

from hinting._core.mm.allocator cimport Allocator

cdef enum row_t:
    ROW_OTHER, ROW_ALLOC, ROW_FREE, ROW_RMQ, ROW_DRAINED, ROW_REFILL, ROW_DRAIN, ROW_MOVE, ROW_SETPB, ROW_ISOLATE
    ROW_PUTBACK, ROW_ROTATE, ROW_VMFOLD, ROW_DECAY, ROW_RETURN, ROW_ALLOC_FAIL
    ROW_OVERFLOW, ROW_LEAVE, ROW_REPORT, ROW_REPORT_WORK
    ROW_HINT_FREE, ROW_HINT_DRAIN, ROW_HINT_DRAIN_END, ROW_HINT_SCAN, ROW_HINT_DROP, ROW_HINT_REPLACE
    ROW_HINT_SCAN_END, ROW_HINT_WAKE, ROW_HINT_RUN, ROW_HINT_COMPOUND, ROW_HINT_REF, ROW_HINT_ISOLATED
    ROW_HINT_FAIL, ROW_HINT_NONBUDDY, ROW_HINT_REPORTED, ROW_HINT_RUN_END
    ROW_EXTFRAG, ROW_COMPACT, ROW_COMPACT_END, ROW_STEAL, ROW_INSERT

cdef enum:
    PATH_PCP = 0                        # ALLOC.aux
    PATH_DIRECT = 1
    PATH_CAPTURED = 3                   # compaction handed out a block at the moment it formed
    PATH_BULK = 4
    FREE_DIRECT = 2                     # FREE.aux
    BY_REPORTING = 1                    # ISOLATE.a
    BY_COMPACTION = 2
    BY_OTHERS = 3
    BY_HINTING = 4

ctypedef struct events_t:
    int64_t n
    const uint8_t *kind                 # row_t
    const uint8_t *cpu
    const int8_t *zone
    const int64_t *pfn
    const int8_t *order
    const int8_t *mt
    const int16_t *aux
    const uint32_t *gfp
    const int32_t *aflags
    const int64_t *a
    const int64_t *b
    const int64_t *c
    const int64_t *e                    # free-page counter of the preferred zone as the request saw it, -1
    const int64_t *f                    # that zone's boost + 65536 * its flags, -1

cdef class Events:
    cdef events_t e
    cdef object keep

cdef class Replay:
    cdef Allocator allocator
    cdef Events events
    cdef readonly int64_t at            # rows before this one have been replayed
    cdef void rows(self, int64_t stop) noexcept nogil

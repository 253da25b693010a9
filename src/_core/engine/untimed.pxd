"""A guest on its host without virtual time."""

from libc.stdint cimport int64_t

from hinting._core.host.ram cimport Backing
from hinting._core.mm.allocator cimport Allocator
from hinting._core.strategies.hooks cimport Strategy

ctypedef struct outcome_t:
    double stall_ns                     # the guest's, in second-level faults
    double host_ns                      # the VMM's, in discards
    double stolen_ns                    # lost by running vCPUs to discards
    int64_t reports
    int64_t reported_blocks
    int64_t reported_pages
    int64_t returned_frames             # frames that the host got back

cdef class Untimed:
    cdef readonly Allocator allocator
    cdef readonly Strategy strategy
    cdef readonly Backing backing
    cdef outcome_t o

    cdef int64_t _alloc(self, int cpu, int order, unsigned int gfp, int64_t n, unsigned int *out) noexcept nogil
    cdef void _free(self, int cpu, const unsigned int *pfns, int64_t n, int order) noexcept nogil
    cdef void _answer(self, int cpu, int ticket) noexcept nogil
    cdef void _settle(self, int cpu) noexcept nogil
    cdef void _settle_all(self) noexcept nogil

"""The Python face of one guest's allocator, and the owner of its memory."""

from hinting._core.common cimport pfn_t
from hinting._core.kernel cimport Kernel
from hinting._core.mm.state cimport mm_t, zone_t

cdef class Allocator:
    cdef mm_t m
    cdef readonly Kernel kernel
    cdef object hook_owner              # keeps alive what mm_t.hook_self points to

    cdef zone_t *zone_at(self, pfn_t pfn) noexcept nogil
    cdef pfn_t _block(self, pfn, int order) except? 0xFFFFFFFE
    cdef int _used(self, pfn_t pfn, int order) except -1
    cdef int _absent(self, pfn_t pfn, int order) except -1
    cdef int _no_error(self) except -1

"""Checks of the arguments that reach the allocator from Python; each raises PageError that says what was expected."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hinting._core.common cimport pfn_t
from hinting._core.mm.state cimport mm_t

cdef object describe(uint8_t tag)
cdef object integer(str name, value, low, high)
cdef int order_of(value) except -1
cdef int migratetype_of(value) except -1
cdef int zone_index_of(value) except -1
cdef int pindex_of(const mm_t *m, value) except -1
cdef int cpu_of(const mm_t *m, value) except -1
cdef int64_t gfp_of(const mm_t *m, value) except -1
cdef int64_t pfn_of(const mm_t *m, value) except -1
cdef int64_t block_of(mm_t *m, pfn, int order) except -1
cdef int must_be_used(mm_t *m, pfn_t pfn, int order) except -1
cdef int must_be_absent(mm_t *m, pfn_t pfn, int order) except -1
cdef object page_in_words(mm_t *m, pfn_t pfn)

"""The Python face of one guest's allocator."""

from hinting._core.mm.loading cimport LoadableState

cdef class Allocator(LoadableState):
    cdef object hook_owner              # keeps alive what mm_t.hook_self points to

    cpdef raise_errors(self)

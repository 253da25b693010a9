"""The state of one guest's allocator, with what loads a given state into it."""

from hinting._core.mm.views cimport AllocatorState

cdef class LoadableState(AllocatorState):
    pass

"""The owner of one guest's allocator and its memory, and what Python sees of it."""

from hinting._core.kernel cimport Kernel
from hinting._core.mm.state cimport mm_t

cdef class AllocatorState:
    cdef mm_t m
    cdef readonly Kernel kernel

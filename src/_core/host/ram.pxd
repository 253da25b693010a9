"""The Python object that owns a guest's backing; other cores work on the struct inside."""

from hinting._core.costs cimport Costs
from hinting._core.host.state cimport backing_t, host_t

cdef class Backing:
    cdef backing_t b
    cdef readonly object host           # keeps h alive
    cdef host_t *h
    cdef Costs costs
    cdef object guest                   # keeps b.mm and b.guest alive

    cdef int _range(self, pfn, npages) except -1

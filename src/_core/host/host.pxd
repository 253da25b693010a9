"""The Python objects that own a host and its guests' backings; other cores work on the structs inside."""

from hinting._core.costs cimport Costs
from hinting._core.host.state cimport backing_t, host_t

cdef class Backing

cdef class HostMemory:
    cdef host_t h
    cdef readonly Costs costs
    cdef list backings                  # keeps every backing alive that the host counts

    cdef Backing _owner(self, const backing_t *b)

cdef class Backing:
    cdef backing_t b
    cdef readonly HostMemory host
    cdef object guest                   # keeps b.mm and b.guest alive

    cdef int _range(self, pfn, npages) except -1

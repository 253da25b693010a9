"""The Python object that owns a host; other cores work on the struct inside."""

from hinting._core.costs cimport Costs
from hinting._core.host.ram cimport Backing
from hinting._core.host.state cimport backing_t, host_t

cdef class HostMemory:
    cdef host_t h
    cdef readonly Costs costs
    cdef list backings                  # keeps every backing alive that the host counts

    cdef Backing _owner(self, const backing_t *b)

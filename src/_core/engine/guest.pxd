"""The Python object that owns a machine; the engine works on the struct inside."""

from hinting._core.costs cimport Costs
from hinting._core.engine.machine cimport machine_t
from hinting._core.host.ram cimport Backing
from hinting._core.mm.allocator cimport Allocator
from hinting._core.strategies.hooks cimport Strategy

cdef class Machine:
    cdef machine_t g
    cdef readonly Allocator allocator
    cdef readonly Strategy strategy
    cdef readonly Backing backing
    cdef Costs costs
    cdef object cards
    cdef list programs
    cdef dict slab_caches

"""HyperAlloc on one guest."""

from hinting._core.strategies.hooks cimport Strategy
from hinting._core.strategies.hyperalloc_steps cimport hyperalloc_t

cdef class HyperAlloc(Strategy):
    cdef hyperalloc_t t

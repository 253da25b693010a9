"""Guest free page hinting v1 to v7: the state of one guest."""

from hinting._core.strategies.hooks cimport Strategy
from hinting._core.strategies.v1_steps cimport v1_t

cdef class V1(Strategy):
    cdef v1_t v

"""Guest free page hinting v8: the table of one guest."""

from hinting._core.strategies.hooks cimport Strategy
from hinting._core.strategies.v8_steps cimport v8_t

cdef class V8(Strategy):
    cdef v8_t v
    cdef readonly bint counted          # the build has counters

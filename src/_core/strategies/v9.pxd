"""Guest free page hinting v9: the state of one guest."""

from libc.stdint cimport int64_t

from hinting._core.strategies.runs cimport runs_t
from hinting._core.strategies.runs_strategy cimport Runs

ctypedef struct v9_t:
    runs_t r
    int64_t threshold                   # entries that start a run
    int min_order
    bint in_thread                      # the run is left to a per-CPU thread

cdef class V9(Runs):
    cdef v9_t t
    cdef readonly bint counted          # the build has counters

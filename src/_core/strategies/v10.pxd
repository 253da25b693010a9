"""Page hinting with zone bitmaps (v10, v11, v12): the state of one guest."""

from libc.stdint cimport int64_t

from hinting._core.strategies.bitmaps cimport bitmaps_t
from hinting._core.strategies.hooks cimport Strategy

ctypedef struct v10_t:
    bitmaps_t b
    bint requeues                       # a work item that runs can be queued once more
    bint one_hold                       # all blocks of a report are returned under one hold of the zone lock
    bint queued                         # the work item waits to run
    int runs_on                         # CPU of the pass under way, -1: none
    int64_t freed_kib

cdef class V10(Strategy):
    cdef v10_t t
    cdef readonly bint counted          # the build has counters

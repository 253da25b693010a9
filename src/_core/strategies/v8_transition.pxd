"""The form between hinting v7 and v8: the table of one guest."""

from hinting._core.common cimport MAX_CPUS
from hinting._core.strategies.hooks cimport Strategy
from hinting._core.strategies.runs cimport runs_t
from libc.stdint cimport int64_t

ctypedef struct transition_t:
    runs_t r                            # its lists are not used: the isolated arrays are those of v8
    int64_t sent[MAX_CPUS]              # blocks of the run that the host has answered

cdef class V8Transition(Strategy):
    cdef transition_t t

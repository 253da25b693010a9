"""Development builds after v8 that capture blocks of order 10: the state of one guest."""

from hinting._core.strategies.runs cimport runs_t
from hinting._core.strategies.runs_strategy cimport Runs

ctypedef struct max_order_t:
    runs_t r
    int min_order
    bint inside_lock                    # the run is made with the zone lock held

cdef class V8MaxOrder(Runs):
    cdef max_order_t t

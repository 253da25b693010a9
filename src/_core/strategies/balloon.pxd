"""The balloon of one guest."""

from hinting._core.strategies.balloon_steps cimport balloon_t
from hinting._core.strategies.hooks cimport Strategy

cdef class Balloon(Strategy):
    cdef balloon_t b
    cdef object gfp                     # names of the gfp bits of an inflation

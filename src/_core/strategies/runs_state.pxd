"""The state of strategies that run over captured blocks in the freeing context, out and in."""

from hinting._core.strategies.hooks cimport Strategy
from hinting._core.strategies.runs cimport runs_t

cdef runs_out(Strategy strategy, runs_t *r)
cdef int runs_in(Strategy strategy, runs_t *r, values) except -1

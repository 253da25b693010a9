"""Strategies that run over captured blocks in the freeing context: what v9 and the builds before it share."""

from libc.stdint cimport int64_t

from hinting._core.strategies.hooks cimport Strategy, done_hook_t
from hinting._core.strategies.runs cimport runs_t

cdef class Runs(Strategy):
    cdef runs_t *r                      # the first member of the subclass's state

    cdef int run_over(
        self, runs_t *r, int64_t entries, int min_order, str return_position, str host_action, int64_t call_pages,
        done_hook_t on_host_done,
    ) except -1

"""What the saved states of several strategies share: checks, isolated blocks, captured arrays, lists under way."""

from hinting._core.strategies.hooks cimport Strategy
from hinting._core.strategies.lists cimport lists_t
from hinting._core.strategies.v8_steps cimport v8_t

cdef int refuse(Strategy strategy, str what) except -1
cdef int check_counts(Strategy strategy, arrays, names) except -1
cdef int check_isolated(Strategy strategy, blocks) except -1
cdef captured_out(v8_t *v)
cdef captured_by_cpu(Strategy strategy, v8_t *v, rows)
cdef int captured_in(v8_t *v, captured) except -1
cdef lists_out(lists_t *l)
cdef int check_lists(Strategy strategy, arrays, bint isolated) except -1
cdef int lists_in(lists_t *l, arrays) except -1
cdef lists_in_flight(lists_t *l, submitted)

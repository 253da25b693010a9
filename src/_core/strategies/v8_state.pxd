"""The state of hinting v8 and its nearest builds, out and in."""

from libc.stdint cimport int64_t

from hinting._core.strategies.hooks cimport Strategy
from hinting._core.strategies.v8_steps cimport v8_t

# sent: by CPU, blocks at the front of its isolated array that are back already; NULL: none ever are.
cdef v8_out(Strategy strategy, v8_t *v, const int64_t *sent)
cdef int v8_in(Strategy strategy, v8_t *v, int64_t *sent, values) except -1

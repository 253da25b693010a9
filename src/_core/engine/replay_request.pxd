"""Replay at request level, as a base for the levels at which a strategy decides too."""

from libc.stdint cimport uint32_t

from hinting._core.engine.replay cimport Replay
from hinting._core.engine.replay_pressure cimport pressure_t
from hinting._core.engine.replay_steps cimport tally_t

cdef class RequestReplay(Replay):
    cdef tally_t t
    cdef pressure_t *p                  # NULL: neither reclaim nor compaction acted
    cdef uint32_t *actual               # [pfn] emulated page that stands for a recorded one, + 1; 0: itself
    cdef object keep

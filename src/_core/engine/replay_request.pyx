"""Replay at request level: requests, frees and what came from outside go in, the allocator chooses every page."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free

import numpy as np

from hinting._core.engine.replay cimport ROW_OTHER, Events, Replay, events_t
from hinting._core.engine.replay_pressure cimport begins_compacting, note_lists, plain_row, pressure_t
from hinting._core.engine.replay_steps cimport tally_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.state cimport mm_t


cdef class RequestReplay(Replay):
    """pressure: reclaim or compaction acted, take their recorded effects as inputs."""

    def __init__(self, Allocator allocator not None, Events events not None, *, bint pressure=False):
        cdef uint32_t[::1] actual = np.zeros(allocator.m.span + 1, np.uint32)
        cdef uint8_t[::1] listed
        super().__init__(allocator, events)
        self.keep = [actual]
        self.actual = &actual[0]
        self.t.first_row = self.t.first_expected = self.t.first_chosen = -1
        if pressure and self.p == NULL:
            self.p = <pressure_t *>calloc(1, sizeof(pressure_t))
            if self.p == NULL:
                raise MemoryError()
            listed = np.zeros(allocator.m.span + 1, np.uint8)
            self.keep.append(listed)
            self.p.listed = &listed[0]
            if begins_compacting(&events.e):
                note_lists(&allocator.m, self.p)

    def __dealloc__(self):
        free(self.p)

    cdef void rows(self, int64_t stop) noexcept nogil:
        cdef mm_t *m = &self.allocator.m
        cdef events_t *e = &self.events.e
        cdef tally_t *t = &self.t
        cdef pressure_t *p = self.p
        cdef uint32_t *actual = self.actual
        cdef int64_t i
        for i in range(self.at, stop):
            if e.kind[i] != ROW_OTHER:
                plain_row(m, e, t, p, actual, i)

    def result(self):
        """The tally: rows that were inputs, choices and those equal to the kernel's, and the first that is not."""
        effects = dict(self.p.n) if self.p != NULL else {}
        return {"rows": self.t.rows, "allocations": self.t.allocations, "identical": self.t.identical,
                "refused": self.t.refused, "assisted": self.t.assisted + sum(effects.values()),
                "first_row": self.t.first_row, "first_expected": self.t.first_expected,
                "first_chosen": self.t.first_chosen, "effects": effects}

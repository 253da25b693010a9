"""The samples of guests' memory as arrays."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memcpy

import numpy as np

from hinting.errors import HintingError

from hinting._core.engine.survey_state cimport free_row_t, pageblock_row_t

from hinting._core.engine.dtypes import FREE_ROW_DTYPE, PAGEBLOCK_ROW_DTYPE


cdef class Survey:
    """Samples of the guests of one Engine.

    every_ns: emulated time from one to the next. most: when there are so many, every second one is dropped and time
    between them doubles; an odd number, 0: there may be any number.
    """

    def __cinit__(self, int64_t every_ns, int most=0):
        if every_ns < 1 or most < 0 or (most and (most < 3 or most % 2 == 0)):
            raise HintingError(f"every_ns must be positive and most an odd number above 1, or 0, got {every_ns} and {most}")
        self.s.every_ns = every_ns
        self.s.most = most

    def __dealloc__(self):
        cdef int i
        for i in range(self.s.nr_seen):
            free(self.s.seen[i].block)
        free(self.s.seen)
        free(self.s.now)
        free(self.s.t_ns)
        free(self.s.row)
        free(self.s.free_row)

    def _check(self):
        if self.s.failed:
            raise MemoryError("no memory for the samples of the memory map")

    def times(self):
        """When the samples were taken, ns."""
        cdef int i
        self._check()
        return np.array([self.s.t_ns[i] for i in range(self.s.n)], np.int64)

    def pageblocks(self):
        """Pageblocks that were not as in the sample before, as a structured array; before the first one nobody has memory."""
        array = np.empty(self.s.nr_rows, PAGEBLOCK_ROW_DTYPE)
        assert array.itemsize == sizeof(pageblock_row_t)
        cdef const uint8_t[::1] out = array.view(np.uint8)
        self._check()
        if self.s.nr_rows:
            memcpy(<void *>&out[0], self.s.row, self.s.nr_rows * sizeof(pageblock_row_t))
        return array

    def free_blocks(self):
        """Free blocks by order of every living guest in every sample, as a structured array."""
        array = np.empty(self.s.nr_free_rows, FREE_ROW_DTYPE)
        assert array.itemsize == sizeof(free_row_t)
        cdef const uint8_t[::1] out = array.view(np.uint8)
        self._check()
        if self.s.nr_free_rows:
            memcpy(<void *>&out[0], self.s.free_row, self.s.nr_free_rows * sizeof(free_row_t))
        return array

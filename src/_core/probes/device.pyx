"""Reads and writes of a file that go past the page cache, timed in ns; the clock's own cost is in the samples."""

from libc.errno cimport errno
from libc.stdint cimport int64_t

import os

import numpy as np

from hinting._core.probes.clock cimport now_ns

cdef extern from "<unistd.h>" nogil:
    ssize_t pread(int fd, void *to, size_t n, long at)
    ssize_t pwrite(int fd, const void *data, size_t n, long at)


def transfer(int fd, char[::1] buffer not None, const int64_t[::1] offsets not None, bint write):
    """ns for each read (or write) of the whole buffer at the offsets; OSError if one is short or refused.

    fd opened with O_DIRECT needs a buffer and offsets that are aligned to the device's blocks.
    """
    if buffer.shape[0] == 0:
        raise ValueError("the buffer must not be empty")
    cdef double[::1] out = np.empty(offsets.shape[0])
    cdef Py_ssize_t i
    cdef ssize_t done
    cdef int refused = 0
    cdef int64_t since
    with nogil:
        for i in range(offsets.shape[0]):
            since = now_ns()
            if write:
                done = pwrite(fd, &buffer[0], buffer.shape[0], offsets[i])
            else:
                done = pread(fd, &buffer[0], buffer.shape[0], offsets[i])
            if done != buffer.shape[0]:
                refused = errno if done < 0 else 5
                break
            out[i] = <double>(now_ns() - since)
    if refused:
        raise OSError(refused, os.strerror(refused))
    return np.asarray(out)

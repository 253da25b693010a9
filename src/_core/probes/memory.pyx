"""Memory: an anonymous mapping that is touched, cleared, copied and handed back, each step timed.

Every method that measures returns float64 samples in ns; the clock's own cost is in them.
"""

from libc.errno cimport errno
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy, memset

import os

import numpy as np

from hinting._core.probes.clock cimport now_ns

cdef extern from *:
    """
    #include <sys/mman.h>
    #ifndef MADV_FREE
    #define MADV_FREE 8
    #endif
    #ifndef MADV_COLLAPSE
    #define MADV_COLLAPSE 25
    #endif
    """
    void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset) nogil
    int munmap(void *addr, size_t length) nogil
    int madvise(void *addr, size_t length, int advice) nogil
    int mincore(void *addr, size_t length, unsigned char *vec) nogil
    void *MAP_FAILED
    const int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS
    const int MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE

cdef enum:
    SMALL = 4096
    HUGE = 2097152

ADVICE = {"dontneed": MADV_DONTNEED, "free": MADV_FREE, "collapse": MADV_COLLAPSE}


cdef class Area:
    """Anonymous memory of this process, aligned to 2 MiB.

    nr_bytes: a multiple of 2 MiB. huge: ask for transparent huge pages (MADV_HUGEPAGE), else refuse them. Raises OSError
    if the system refuses.
    """

    cdef char *base
    cdef char *mapped
    cdef readonly size_t nr_bytes
    cdef readonly bint huge

    def __init__(self, size_t nr_bytes, bint huge=False):
        cdef uintptr_t start
        if nr_bytes == 0 or nr_bytes % HUGE:
            raise ValueError(f"nr_bytes must be a multiple of {HUGE}, got {nr_bytes}")
        if self.mapped != NULL:
            raise ValueError("an area is made once")
        cdef void *mapped = mmap(NULL, nr_bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if mapped == MAP_FAILED:
            raise OSError(errno, os.strerror(errno))
        self.mapped = <char *>mapped
        self.nr_bytes = nr_bytes
        start = (<uintptr_t>mapped + HUGE - 1) // HUGE * HUGE
        self.base = <char *>start
        self.allow_huge(huge)

    def __dealloc__(self):
        if self.mapped != NULL:
            munmap(self.mapped, self.nr_bytes + HUGE)

    @property
    def address(self):
        """Where it begins."""
        return <uintptr_t>self.base

    cdef size_t check(self, size_t offset, size_t length) except? 0:
        if offset > self.nr_bytes or length > self.nr_bytes - offset:
            raise ValueError(f"offset {offset} and length {length} must lie within {self.nr_bytes} bytes")
        return length

    def allow_huge(self, bint huge):
        """Ask for transparent huge pages from now on, or refuse them."""
        if madvise(self.base, self.nr_bytes, MADV_HUGEPAGE if huge else MADV_NOHUGEPAGE):
            raise OSError(errno, os.strerror(errno))
        self.huge = huge

    def resident(self, size_t offset, size_t length):
        """Pages of a part that are in memory."""
        self.check(offset, length)
        cdef unsigned char[::1] pages = np.empty(max(1, <Py_ssize_t>(length // SMALL)), np.uint8)
        if mincore(self.base + offset, length, &pages[0]):
            raise OSError(errno, os.strerror(errno))
        return int(np.sum(np.asarray(pages) & 1))

    def touch(self, size_t step, size_t chunk=HUGE, bint write=True):
        """ns for one touch (a write, or a read) of one byte every `step` bytes, a sample for every `chunk` bytes."""
        if step == 0 or chunk == 0 or chunk % step or self.nr_bytes % chunk:
            raise ValueError(f"step must divide chunk, and chunk {self.nr_bytes} bytes, got {step} and {chunk}")
        cdef Py_ssize_t i, n = self.nr_bytes // chunk
        cdef double[::1] out = np.empty(n)
        cdef size_t at
        cdef int64_t since
        cdef char *start
        cdef int seen = 0
        with nogil:
            for i in range(n):
                start = self.base + i * chunk
                since = now_ns()
                at = 0
                while at < chunk:
                    if write:
                        (<volatile char *>start)[at] = 1
                    else:
                        seen += (<volatile char *>start)[at]
                    at += step
                out[i] = <double>(now_ns() - since) / <double>(chunk // step)
        return np.asarray(out)

    def advise(self, str advice not None, size_t offset, size_t length, size_t stride, int calls):
        """ns for each of `calls` calls of madvise("dontneed", "free" or "collapse") over `length` bytes, `stride` apart.

        Raises OSError if one is refused.
        """
        cdef int which = ADVICE[advice]
        if calls < 1:
            raise ValueError(f"calls must be 1 or more, got {calls}")
        self.check(offset, length + stride * (calls - 1))
        cdef double[::1] out = np.empty(calls)
        cdef int i, refused = 0
        cdef int64_t since
        with nogil:
            for i in range(calls):
                since = now_ns()
                if madvise(self.base + offset + i * stride, length, which):
                    refused = errno
                    break
                out[i] = <double>(now_ns() - since)
        if refused:
            raise OSError(refused, os.strerror(refused))
        return np.asarray(out)

    def clear(self, size_t unit, const int64_t[::1] order not None, int each):
        """ns to clear `unit` bytes: pieces `order` of the area, a sample for every `each` of them."""
        return self.traffic(unit, order, each, None)

    def copy(self, Area source not None, size_t unit, const int64_t[::1] order not None, int each):
        """ns to copy `unit` bytes from the same piece of another area: pieces `order`, a sample for every `each`."""
        return self.traffic(unit, order, each, source)

    cdef object traffic(self, size_t unit, const int64_t[::1] order, int each, Area source):
        if unit == 0 or each < 1 or order.shape[0] < each:
            raise ValueError(f"unit and each must be positive and order as long as each, got {unit}, {each}")
        if np.min(order) < 0 or np.max(order) >= self.nr_bytes // unit:
            raise ValueError(f"order must name pieces below {self.nr_bytes // unit}")
        if source is not None and source.nr_bytes < self.nr_bytes:
            raise ValueError("the source must not be smaller than the area")
        cdef Py_ssize_t i, n = order.shape[0] // each
        cdef double[::1] out = np.empty(n)
        cdef char *origin = NULL if source is None else source.base
        cdef int j
        cdef size_t at
        cdef int64_t since
        with nogil:
            for i in range(n):
                since = now_ns()
                for j in range(each):
                    at = order[i * each + j] * unit
                    if origin == NULL:
                        memset(self.base + at, 0, unit)
                    else:
                        memcpy(self.base + at, origin + at, unit)
                out[i] = <double>(now_ns() - since) / each
        return np.asarray(out)

    def residency(self, int samples):
        """ns for each page that mincore answers for, over the whole area."""
        cdef unsigned char[::1] pages = np.empty(self.nr_bytes // SMALL, np.uint8)
        cdef double[::1] out = np.empty(samples)
        cdef int i
        cdef int64_t since
        with nogil:
            for i in range(samples):
                since = now_ns()
                mincore(self.base, self.nr_bytes, &pages[0])
                out[i] = <double>(now_ns() - since) / <double>pages.shape[0]
        return np.asarray(out)

    def unmap(self):
        """ns for each page to unmap the whole area; it is of no use afterwards."""
        if self.mapped == NULL or self.nr_bytes == 0:
            raise ValueError("the area is unmapped")
        cdef int64_t since
        cdef double took
        with nogil:
            since = now_ns()
            munmap(self.base, self.nr_bytes)
            took = <double>(now_ns() - since) / <double>(self.nr_bytes // SMALL)
        munmap(self.mapped, self.base - self.mapped)
        munmap(self.base + self.nr_bytes, HUGE - (self.base - self.mapped))
        self.mapped = NULL
        self.nr_bytes = 0
        return took

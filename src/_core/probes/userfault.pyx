"""Missing pages that user space provides (userfaultfd): one thread touches, another answers."""

from libc.errno cimport errno
from libc.stdint cimport int64_t, uint64_t, uintptr_t

import os

import numpy as np

from hinting._core.probes.clock cimport now_ns
from hinting._core.probes.memory import Area

cdef extern from *:
    """
    #include <fcntl.h>
    #include <unistd.h>
    #include <sys/ioctl.h>
    #include <sys/syscall.h>
    #include <linux/userfaultfd.h>
    #ifndef UFFD_USER_MODE_ONLY
    #define UFFD_USER_MODE_ONLY 1
    #endif
    static int open_userfault(void) {
        int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
        return fd >= 0 ? fd : syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    }
    static int register_missing(int fd, unsigned long start, unsigned long length) {
        struct uffdio_api api = {.api = UFFD_API};
        struct uffdio_register reg = {.range = {start, length}, .mode = UFFDIO_REGISTER_MODE_MISSING};
        return ioctl(fd, UFFDIO_API, &api) ? -1 : ioctl(fd, UFFDIO_REGISTER, &reg);
    }
    static int answer_one(int fd) {
        struct uffd_msg msg;
        struct uffdio_zeropage zero = {.range = {0, 4096}};
        if (read(fd, &msg, sizeof(msg)) != sizeof(msg) || msg.event != UFFD_EVENT_PAGEFAULT)
            return -1;
        zero.range.start = msg.arg.pagefault.address & ~4095UL;
        return ioctl(fd, UFFDIO_ZEROPAGE, &zero);
    }
    """
    int open_userfault() nogil
    int register_missing(int fd, unsigned long start, unsigned long length) nogil
    int answer_one(int fd) nogil


cdef class Missing:
    """An area whose missing pages are reported to `answer`; OSError if the system does not allow it."""

    cdef readonly object area
    cdef int fd
    cdef uintptr_t start

    def __init__(self, size_t nr_bytes):
        self.area = Area(nr_bytes)
        self.start = self.area.address
        self.fd = open_userfault()
        if self.fd < 0:
            raise OSError(errno, os.strerror(errno))
        if register_missing(self.fd, self.start, nr_bytes):
            raise OSError(errno, os.strerror(errno))

    def close(self):
        """Close the descriptor."""
        os.close(self.fd)

    def touch(self, int pages):
        """ns for each first touch of the first `pages` pages; `answer` must run meanwhile."""
        if not 0 < pages <= self.area.nr_bytes // 4096:
            raise ValueError(f"pages must be between 1 and {self.area.nr_bytes // 4096}, got {pages}")
        cdef double[::1] out = np.empty(pages)
        cdef int i
        cdef int64_t since
        with nogil:
            for i in range(pages):
                since = now_ns()
                (<volatile char *>self.start)[<uint64_t>i * 4096] = 1
                out[i] = <double>(now_ns() - since)
        return np.asarray(out)

    def answer(self, int pages):
        """Give a zero page for each of `pages` faults."""
        cdef int _
        with nogil:
            for _ in range(pages):
                if answer_one(self.fd):
                    break

"""Calls of users' Python code that a watchdog can end."""

from libc.stdint cimport int64_t

cdef class Guard:
    cdef readonly double time_limit_s
    cdef int64_t calls                  # outermost calls so far
    cdef int64_t seen                   # of them, when the watchdog first saw the one that runs
    cdef double seen_at
    cdef int depth
    cdef unsigned long thread
    cdef bint interrupted
    cdef object __weakref__

    cdef void enter_call(self) noexcept
    cdef bint leave_call(self) noexcept

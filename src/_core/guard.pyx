"""Calls of users' Python code that a watchdog can end: an exception is sent into a call that takes too long."""

import time

from cpython.ref cimport PyObject

from hinting._core.strategies.faults import StrategyStopped

cdef extern from "Python.h":
    int PyThreadState_SetAsyncExc(unsigned long thread, PyObject *error)
    unsigned long PyThread_get_thread_ident()


cdef class Guard:
    """Calls of users' Python code, one inside the other or one after the other."""

    cdef void enter_call(self) noexcept:
        if self.depth == 0:
            self.thread = PyThread_get_thread_ident()
            self.interrupted = False
            self.calls += 1
        self.depth += 1

    cdef bint leave_call(self) noexcept:
        """Whether the call was ended by the watchdog."""
        self.depth -= 1
        if self.depth == 0 and self.interrupted:
            PyThreadState_SetAsyncExc(self.thread, NULL)
        return self.interrupted

    def interrupt_if_late(self):
        """End the call that runs if it runs for longer than its limit. Called by the watchdog, now and then."""
        now = time.monotonic()
        if self.depth == 0 or self.seen != self.calls:
            self.seen = self.calls
            self.seen_at = now
        elif now - self.seen_at > self.time_limit_s:
            self.interrupted = True
            PyThreadState_SetAsyncExc(self.thread, <PyObject *>StrategyStopped)

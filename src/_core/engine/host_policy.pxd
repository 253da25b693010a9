"""A policy of the host that is written in Python, or whose decisions on reports Numba has compiled."""

from libc.stdint cimport int64_t

from hinting._core.engine.machine cimport machine_t, simulation_t
from hinting._core.engine.policy_state cimport policy_t, report_decision_t
from hinting._core.guard cimport Guard
from hinting._core.strategies.hooks cimport block_t

ctypedef struct compiled_t:
    report_decision_t on_report
    void *state
    void *owner                         # the HostPolicy
    bint stopped

cdef class HostPolicy(Guard):
    cdef policy_t p
    cdef compiled_t compiled
    cdef simulation_t *s
    cdef object policy
    cdef object name
    cdef object locate                  # (hook, exception): the line that it comes from
    cdef object owner                   # keeps compiled code and its state alive
    cdef object again                   # the compiled on_report in Python
    cdef readonly object fault
    cdef object host
    cdef object guests
    cdef int64_t ticked_at
    cdef double some
    cdef double full
    cdef list waited                    # by guest: (ns of stalls, pages backed again) at the last tick

    cdef int attach(self, simulation_t *s) except -1
    cdef int room(self, int machines) except -1
    cdef tuple arguments_of(self, int64_t number, const block_t *blocks, int64_t n)
    cdef guarded(self, hook, function, arguments)
    cdef fail(self, hook, text, error)
    cdef int decided(self, answer) noexcept
    cdef ask_again(self, arguments)
    cdef int victim(self, answer) noexcept
    cdef charge(self, machine_t *g, double ns)

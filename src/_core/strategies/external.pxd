"""A strategy whose hooks come from outside: a compiled plug-in, Numba, or Python."""

from hinting._core.api cimport guest_t, hooks_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.strategies.border cimport border_t
from hinting._core.strategies.hooks cimport Strategy

ctypedef struct external_t:
    border_t border                     # first: what hooks know as their guest
    hooks_t hooks
    void *state                         # the user's, passed to each hook

cdef class External(Strategy):
    cdef external_t e
    cdef readonly str name
    cdef readonly object owner          # keeps hooks and state alive
    cdef public object raised           # the exception that came out of a hook

    cdef int fill(self, const hooks_t *hooks, void *state, object owner) except -1

cdef void user_raised(guest_t *guest, object error) noexcept
cdef int take_settings(hooks_t *t, settings) except -1

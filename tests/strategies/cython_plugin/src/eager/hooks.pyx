# cython: language_level=3
"""The hooks: C functions over an opaque guest, with a state that a Python object owns."""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hinting._core.api cimport ACTION_DONTNEED, guest_t, hooks_t, isolate, new_core, put_back, report

ctypedef struct state_t:
    int min_order
    int64_t reported                    # blocks
    int64_t refused                     # blocks, for want of room in the queue


cdef void on_merged(void *state, guest_t *guest, int cpu, uint32_t pfn, int order) noexcept nogil:
    cdef state_t *s = <state_t *>state
    if order < s.min_order or isolate(guest, pfn, order) != 1:
        return
    if report(guest) >= 0:
        s.reported += 1
    else:
        s.refused += 1
        put_back(guest, pfn, order, False)


cdef class State:
    """Owns the state, and shows its counters."""

    cdef state_t s

    def counters(self):
        return {"reported": self.s.reported, "refused": self.s.refused}


def core_of(name, int min_order):
    """A strategy for one guest."""
    cdef State state = State()
    cdef hooks_t hooks
    memset(&hooks, 0, sizeof(hooks))
    hooks.size = sizeof(hooks)
    hooks.on_merged = on_merged
    hooks.host_action = ACTION_DONTNEED
    state.s.min_order = min_order
    return new_core(name, &hooks, &state.s, state)

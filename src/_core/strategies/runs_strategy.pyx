"""Strategies that run over captured blocks in the freeing context: what v9 and the builds before it share.

Their state in a snapshot:

| array | content |
|---|---|
| `captured`, `list_blocks`, `lists` | see states |
| `fill` | by CPU: entries in use |
| `counters` | the nine counters of v8, KiB, in the order of their names |
| `statistics` | runs, most_isolated of v8_t, then the counts of runs_t from requests to lockless_returns |
"""

from libc.stdint cimport int64_t

import numpy as np

from hinting._core.common cimport pfn_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.arrays cimport free_arrays, make_arrays
from hinting._core.strategies.hooks cimport Strategy, block_t, done_hook_t
from hinting._core.strategies.lists cimport free_lists, not_isolated
from hinting._core.strategies.runs cimport runs_t
from hinting._core.strategies.states cimport (
    captured_by_cpu,
    captured_in,
    captured_out,
    check_counts,
    check_lists,
    lists_in_flight,
    lists_in,
    lists_out,
    refuse,
)


cdef void on_discard(void *self, mm_t *m, pfn_t pfn, int order) noexcept nogil:
    cdef runs_t *r = <runs_t *>self
    r.lists.not_isolated += not_isolated(m, pfn, order)


cdef const block_t *report(void *self, int ticket, int64_t *n) noexcept nogil:
    cdef runs_t *r = <runs_t *>self
    n[0] = r.lists.list[ticket].n
    return r.lists.list[ticket].block


cdef _runs_out(Strategy strategy, runs_t *r):
    """See the table above."""
    cdef int cpu
    counters = dict(r.v.c)
    return strategy.common_state() | lists_out(&r.lists) | {
        "captured": captured_out(&r.v),
        "fill": np.array([r.v.cpu[cpu].kvm_pt.n for cpu in range(r.v.ncpus)], np.int64),
        "counters": np.array([counters[name] for name in sorted(counters)], np.int64),
        "statistics": np.array([r.v.runs, r.v.most_isolated, r.requests, r.dropped, r.discarded, r.barred, r.returned_at_once,
                                r.leaked_blocks, r.leaked_pages, r.lockless_returns], np.int64),
    }


cdef int _runs_in(Strategy strategy, runs_t *r, values) except -1:
    """Take over a state; StrategyError, with nothing changed, for one that contradicts itself or the guest."""
    cdef int cpu
    counters = dict(r.v.c)
    arrays = strategy.checked_state(values, {
        "captured": (None, 4), "fill": (r.v.ncpus,), "list_blocks": (None, 3), "lists": (3,),
        "counters": (len(counters),), "statistics": (10,)})
    strategy.check_common_state(arrays)
    check_counts(strategy, arrays, ("counters", "statistics", "work", "fill"))
    captured = captured_by_cpu(strategy, &r.v, arrays["captured"])
    for cpu, n in enumerate(arrays["fill"].tolist()):
        if n > len(captured[cpu]) or any(order < 0 for _, order, _ in captured[cpu][:n]):
            refuse(strategy, f"cpu {cpu}: {n} entries are in use, {len(captured[cpu])} are there or some are empty")
    check_lists(strategy, arrays, True)
    strategy.set_common_state(arrays)
    lists_in(&r.lists, arrays)
    captured_in(&r.v, captured)
    for cpu, n in enumerate(arrays["fill"].tolist()):
        r.v.cpu[cpu].kvm_pt.n = n
        r.v.cpu[cpu].at = -1
        r.v.cpu[cpu].busy = False
    r.v.c = dict(zip(sorted(counters), arrays["counters"].tolist()))
    (r.v.runs, r.v.most_isolated, r.requests, r.dropped, r.discarded, r.barred, r.returned_at_once, r.leaked_blocks,
     r.leaked_pages, r.lockless_returns) = arrays["statistics"].tolist()
    return 0


cdef class Runs(Strategy):
    """A strategy whose state begins with a runs_t."""

    cdef int run_over(
        self, runs_t *r, int64_t entries, int min_order, str return_position, str host_action, int64_t call_pages,
        done_hook_t on_host_done,
    ) except -1:
        """Wire the state that the hooks get."""
        self.r = r
        r.v.entries = entries
        r.v.isolate_min_order = min_order
        r.v.to_tail = return_position == "tail"
        r.v.s = &self.s
        self.s.descriptors = 1          # it points to the whole list
        return self.wire(r, host_action, call_pages, on_host_done, report, on_discard)

    cdef int prepare(self, Allocator allocator) except -1:
        if not make_arrays(&self.r.v, allocator.m.ncpus, False):
            raise MemoryError()
        return 0

    def __dealloc__(self):
        if self.r != NULL:
            free_arrays(&self.r.v, False)
            free_lists(&self.r.lists)

    def counters_by_name(self):
        """The nine counters by the names of the code, KiB."""
        return dict(self.r.v.c)

    def state(self):
        """Captured blocks, lists under way and counts: {name: int64 array}."""
        return _runs_out(self, self.r)

    def set_state(self, values):
        """Take over a state; StrategyError, with nothing changed, if it contradicts itself or the guest's memory."""
        _runs_in(self, self.r, values)

    def in_flight(self):
        """Lists that the host works on."""
        return [(ticket, None) for ticket in lists_in_flight(&self.r.lists, [number for number, _ in self.submitted()])]

"""The state of strategies that run over captured blocks in the freeing context (v9 and the builds before it).

| array | content |
|---|---|
| `captured`, `list_blocks`, `lists` | see states |
| `fill` | by CPU: entries in use |
| `counters` | the nine counters of v8, KiB, in the order of their names |
| `statistics` | runs, most_isolated of v8_t, then the counts of runs_t from requests to lockless_returns |
"""

import numpy as np

from hinting._core.strategies.hooks cimport Strategy
from hinting._core.strategies.runs cimport runs_t
from hinting._core.strategies.states cimport (
    captured_by_cpu,
    captured_in,
    captured_out,
    check_counts,
    check_lists,
    lists_in,
    lists_out,
    refuse,
)


cdef runs_out(Strategy strategy, runs_t *r):
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


cdef int runs_in(Strategy strategy, runs_t *r, values) except -1:
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

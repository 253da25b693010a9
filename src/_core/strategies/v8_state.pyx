"""The state of hinting v8 and its nearest builds, out and in: both arrays of each CPU, and how far each thread has come.

| array | content |
|---|---|
| `captured` | see states |
| `isolated` | block by block: cpu, pfn, order |
| `cpus` | by CPU: n, at, pfn, end, busy, seen of cpu_state_t (n: the kernel's index; at -1: no run under way) |
| `counters` | the nine counters, KiB, in the order of their names |
| `statistics` | scans, wakes, runs, isolated_overflow, most_isolated, not_isolated, skipped_reports, no_device |
"""

from libc.stdint cimport int64_t

import numpy as np

from hinting._core.strategies.hooks cimport Strategy
from hinting._core.strategies.states cimport (
    captured_by_cpu,
    captured_in,
    captured_out,
    check_counts,
    check_isolated,
    refuse,
)
from hinting._core.strategies.v8_steps cimport cpu_state_t, v8_t

_CPUS = ("n", "at", "pfn", "end", "busy", "seen")
_MOST = 1 << 62


cdef v8_out(Strategy strategy, v8_t *v, const int64_t *sent):
    """See the table above."""
    cdef cpu_state_t *c
    cdef int64_t i, first
    cdef int cpu
    isolated, cpus = [], []
    for cpu in range(v.ncpus):
        c = &v.cpu[cpu]
        first = sent[cpu] if sent != NULL and c.at >= 0 else 0
        isolated += [(cpu, c.hyp[i].pfn, c.hyp[i].order) for i in range(first, c.hyp_idx)]
        cpus.append((c.kvm_pt.n, c.at, c.pfn, c.end, c.busy, c.seen))
    counters = dict(v.c)
    return strategy.common_state() | {
        "captured": captured_out(v),
        "isolated": np.array(isolated, np.int64).reshape(-1, 3),
        "cpus": np.array(cpus, np.int64).reshape(-1, len(_CPUS)),
        "counters": np.array([counters[name] for name in sorted(counters)], np.int64),
        "statistics": np.array([v.scans, v.wakes, v.runs, v.isolated_overflow, v.most_isolated, v.not_isolated,
                                v.skipped_reports, v.no_device], np.int64),
    }


cdef int _check_cpu(Strategy strategy, v8_t *v, int cpu, values, entries, int64_t isolated) except -1:
    """Where a CPU stands fits its arrays."""
    n, at, pfn, end, busy, seen = values
    if not 0 <= n <= len(entries) or not -1 <= at <= n or busy not in (0, 1) or not 0 <= seen <= _MOST:
        refuse(strategy, f"cpu {cpu}: {dict(zip(_CPUS, values))} does not fit {len(entries)} captured entries")
    if isolated > v.entries:
        refuse(strategy, f"cpu {cpu} holds {isolated} blocks, the array has {v.entries}")
    if at >= 0 and not busy or at < 0 and isolated:
        refuse(strategy, f"cpu {cpu}: at is {at}, busy {busy} and {isolated} blocks are isolated, which no run leaves behind")
    for i, (first, order, _) in enumerate(entries):
        if order < 0 and max(at, 0) <= i < n:
            refuse(strategy, f"cpu {cpu} entry {i} is empty, expected {n} entries")
    if not 0 <= pfn <= 1 << 31 or not 0 <= end <= 1 << 31:
        refuse(strategy, f"cpu {cpu}: pages {pfn} and {end} are not page frames")
    if 0 <= at < n:
        first, order, _ = entries[at]
        if not first <= pfn <= end or end != first + (1 << order) - 1:
            refuse(strategy, f"cpu {cpu}: page {pfn} up to {end} is not inside entry {at}, pfn {first} of order {order}")
    return 0


cdef int v8_in(Strategy strategy, v8_t *v, int64_t *sent, values) except -1:
    """Take over a state; StrategyError, with nothing changed, for one that contradicts itself or the guest."""
    cdef cpu_state_t *c
    cdef int64_t i
    cdef int cpu
    counters = dict(v.c)
    arrays = strategy.checked_state(values, {
        "captured": (None, 4), "isolated": (None, 3), "cpus": (v.ncpus, len(_CPUS)), "counters": (len(counters),),
        "statistics": (8,)})
    strategy.check_common_state(arrays)
    check_counts(strategy, arrays, ("counters", "statistics", "work"))
    if arrays["thread_ticket"].tolist() != list(range(v.ncpus)) or arrays["submitted"].size:
        refuse(strategy, "a thread's ticket is its CPU's number, and nothing else is submitted")
    for number in set(arrays["isolated"][:, 0].tolist()) - set(range(v.ncpus)):
        refuse(strategy, f"isolated has entries of cpu {number}, the guest has {v.ncpus}")
    check_isolated(strategy, arrays["isolated"].tolist())
    captured = captured_by_cpu(strategy, v, arrays["captured"])
    isolated = [arrays["isolated"][arrays["isolated"][:, 0] == i].tolist() for i in range(v.ncpus)]
    cpus = arrays["cpus"].tolist()
    for cpu in range(v.ncpus):
        _check_cpu(strategy, v, cpu, cpus[cpu], captured[cpu], len(isolated[cpu]))
    strategy.set_common_state(arrays)
    captured_in(v, captured)
    for cpu in range(v.ncpus):
        c = &v.cpu[cpu]
        for i, (_, pfn, order) in enumerate(isolated[cpu]):
            c.hyp[i].pfn, c.hyp[i].order = pfn, order
        c.hyp_idx = len(isolated[cpu])
        c.kvm_pt.n, c.at, c.pfn, c.end, c.busy, c.seen = cpus[cpu]
        if sent != NULL:
            sent[cpu] = 0
    v.c = dict(zip(sorted(counters), arrays["counters"].tolist()))
    statistics = arrays["statistics"].tolist()
    (v.scans, v.wakes, v.runs, v.isolated_overflow, v.most_isolated, v.not_isolated, v.skipped_reports) = statistics[:7]
    v.no_device = statistics[7] != 0
    return 0

"""The state of hinting v8, out and in: both arrays of each CPU, the counters, and how far each thread has come.

| array | content |
|---|---|
| `captured` | entry by entry, all CPUs one after the other: cpu, pfn, order (-1: empty slot), zone |
| `isolated` | block by block: cpu, pfn, order |
| `cpus` | by CPU: n, at, pfn, end, busy, seen of cpu_state_t (n: the kernel's index; at -1: no run under way) |
| `counters` | the nine counters, KiB, in the order of their names |
| `statistics` | scans, wakes, runs, isolated_overflow, most_isolated, not_isolated, skipped_reports, no_device |
"""

from libc.stdint cimport int64_t

import numpy as np

from hinting.errors import StrategyError

from hinting._core.common cimport MAX_ORDER
from hinting._core.mm.pages cimport TAG_ISOLATED, tag_get, zone_of
from hinting._core.mm.state cimport mm_t, zone_t
from hinting._core.strategies.v8 cimport V8
from hinting._core.strategies.v8_steps cimport cpu_state_t

_STATISTICS = ("scans", "wakes", "runs", "isolated_overflow", "most_isolated", "not_isolated", "skipped_reports", "no_device")
_CPUS = ("n", "at", "pfn", "end", "busy", "seen")
_MOST = 1 << 62


cdef int64_t _slots(const cpu_state_t *c):
    """Slots up to the last one that is in use or not empty."""
    cdef int64_t n = c.kvm_pt.capacity
    while n > c.kvm_pt.n and c.kvm_pt.order[n - 1] < 0 and c.kvm_pt.pfn[n - 1] == 0:
        n -= 1
    return n


cdef _statistics(V8 strategy):
    known = strategy.statistics() | {"no_device": int(strategy.v.no_device)}
    return [known[name] for name in _STATISTICS]


def state(V8 strategy not None):
    """See the table above."""
    cdef cpu_state_t *c
    cdef int64_t i
    cdef int cpu
    common = strategy.common_state()
    captured, isolated, cpus = [], [], []
    for cpu in range(strategy.v.ncpus):
        c = &strategy.v.cpu[cpu]
        captured += [(cpu, c.kvm_pt.pfn[i], c.kvm_pt.order[i], c.kvm_pt.zone[i]) for i in range(_slots(c))]
        isolated += [(cpu, c.hyp[i].pfn, c.hyp[i].order) for i in range(c.hyp_idx)]
        cpus.append((c.kvm_pt.n, c.at, c.pfn, c.end, c.busy, c.seen))
    counters = dict(strategy.v.c)
    return common | {
        "captured": np.array(captured, np.int64).reshape(-1, 4),
        "isolated": np.array(isolated, np.int64).reshape(-1, 3),
        "cpus": np.array(cpus, np.int64).reshape(-1, len(_CPUS)),
        "counters": np.array([counters[name] for name in sorted(counters)], np.int64),
        "statistics": np.array(_statistics(strategy), np.int64),
    }


cdef _no(what):
    raise StrategyError(f"state of strategy V8: {what}")


cdef _check_captured(V8 strategy, int cpu, entries):
    """Entries are blocks of the guest or empty slots."""
    cdef zone_t *z
    cdef mm_t *m = &strategy.allocator.m
    if len(entries) > strategy.v.entries:
        _no(f"cpu {cpu} has {len(entries)} captured entries, the array has {strategy.v.entries}")
    for i, (pfn, order, zone) in enumerate(entries):
        if order == -1 and pfn == 0 and zone == -1:
            continue
        z = zone_of(m, pfn) if 0 <= pfn < m.npfn else NULL
        if (not 0 <= order <= MAX_ORDER or z == NULL or z.index != zone or pfn + (1 << order) > z.end
                or pfn % (1 << order)):
            _no(f"cpu {cpu} entry {i}: no block of order {order} begins at pfn {pfn} in zone {zone} of this guest")


cdef _check_isolated(V8 strategy, blocks):
    """Isolated blocks are isolated in the allocator, and each is held once."""
    cdef mm_t *m = &strategy.allocator.m
    seen = set()
    for cpu, pfn, order in blocks:
        if not (0 <= order <= MAX_ORDER and 0 <= pfn < m.npfn and pfn % (1 << order) == 0
                and tag_get(m, pfn, order) == (TAG_ISOLATED | <int>order)):
            _no(f"cpu {cpu} holds pfn {pfn} of order {order}, which is not an isolated block of the guest")
        if pfn in seen:
            _no(f"pfn {pfn} is held twice")
        seen.add(pfn)


cdef _check_cpu(V8 strategy, int cpu, values, entries, int64_t isolated):
    """Where a CPU stands fits its arrays."""
    n, at, pfn, end, busy, seen = values
    if not 0 <= n <= len(entries) or not -1 <= at <= n or busy not in (0, 1) or not 0 <= seen <= _MOST:
        _no(f"cpu {cpu}: {dict(zip(_CPUS, values))} does not fit {len(entries)} captured entries")
    if isolated > strategy.v.entries:
        _no(f"cpu {cpu} holds {isolated} blocks, the array has {strategy.v.entries}")
    if at >= 0 and not busy or at < 0 and isolated:
        _no(f"cpu {cpu}: at is {at}, busy {busy} and {isolated} blocks are isolated, which no run leaves behind")
    for i, (first, order, _) in enumerate(entries):
        if order < 0 and max(at, 0) <= i < n:
            _no(f"cpu {cpu} entry {i} is empty, expected {n} entries")
    if not 0 <= pfn <= 1 << 31 or not 0 <= end <= 1 << 31:
        _no(f"cpu {cpu}: pages {pfn} and {end} are not page frames")
    if 0 <= at < n:
        first, order, _ = entries[at]
        if not first <= pfn <= end or end != first + (1 << order) - 1:
            _no(f"cpu {cpu}: page {pfn} up to {end} is not inside entry {at}, pfn {first} of order {order}")


def set_state(V8 strategy not None, values):
    """Take over a state that `state` gave."""
    cdef cpu_state_t *c
    cdef int64_t i
    cdef int cpu
    cdef int ncpus = strategy.allocator.m.ncpus if strategy.allocator is not None else 0
    rows = {key: len(values[key]) for key in ("captured", "isolated") if key in values and np.ndim(values[key]) == 2}
    arrays = strategy.checked_state(values, {
        "captured": (rows.get("captured", 0), 4), "isolated": (rows.get("isolated", 0), 3), "cpus": (ncpus, len(_CPUS)),
        "counters": (len(strategy.counters_by_name()),), "statistics": (len(_STATISTICS),)})
    strategy.check_common_state(arrays)
    for key in ("counters", "statistics", "work"):
        if arrays[key].min() < 0 or arrays[key].max() > _MOST:
            _no(f"{key} must be between 0 and {_MOST}, got {arrays[key].tolist()}")
    if arrays["thread_ticket"].tolist() != list(range(ncpus)) or arrays["submitted"].size:
        _no("a thread's ticket is its CPU's number, and nothing else is submitted")
    for key in ("captured", "isolated"):
        for cpu in set(arrays[key][:, 0].tolist()) - set(range(ncpus)):
            _no(f"{key} has entries of cpu {cpu}, the guest has {ncpus}")
    captured = [arrays["captured"][arrays["captured"][:, 0] == i, 1:].tolist() for i in range(ncpus)]
    isolated = [arrays["isolated"][arrays["isolated"][:, 0] == i].tolist() for i in range(ncpus)]
    cpus = arrays["cpus"].tolist()
    _check_isolated(strategy, arrays["isolated"].tolist())
    for cpu in range(ncpus):
        _check_captured(strategy, cpu, captured[cpu])
        _check_cpu(strategy, cpu, cpus[cpu], captured[cpu], len(isolated[cpu]))
    strategy.set_common_state(arrays)
    for cpu in range(ncpus):
        c = &strategy.v.cpu[cpu]
        for i in range(strategy.v.entries):
            c.kvm_pt.pfn[i], c.kvm_pt.order[i], c.kvm_pt.zone[i] = (
                captured[cpu][i] if i < len(captured[cpu]) else (0, -1, -1))
        for i, (_, pfn, order) in enumerate(isolated[cpu]):
            c.hyp[i].pfn, c.hyp[i].order = pfn, order
        c.hyp_idx = len(isolated[cpu])
        c.kvm_pt.n, c.at, c.pfn, c.end, c.busy, c.seen = cpus[cpu]
    strategy.v.c = dict(zip(sorted(strategy.counters_by_name()), arrays["counters"].tolist()))
    (strategy.v.scans, strategy.v.wakes, strategy.v.runs, strategy.v.isolated_overflow,
     strategy.v.most_isolated, strategy.v.not_isolated, strategy.v.skipped_reports,
     strategy.v.no_device) = arrays["statistics"].tolist()

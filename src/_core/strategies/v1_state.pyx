"""The state of hinting v1 to v7, out and in. The shared list of runs is empty between two slow paths.

| array | content |
|---|---|
| `runs` | entries of the CPUs' arrays, one CPU after the other: cpu, pfn, pages, unchecked |
| `list_blocks`, `lists` | see states |
| `statistics` | the counts of v1_t, in its order |
"""

import numpy as np

from hinting._core.strategies.states cimport check_counts, check_lists, lists_in, lists_out, refuse
from hinting._core.strategies.v1 cimport V1
from hinting._core.strategies.v1_steps cimport run_t


def state(V1 strategy not None):
    """See the table above."""
    cdef int cpu
    cdef run_t *entry
    v = &strategy.v
    runs = []
    for cpu in range(v.ncpus):
        for i in range(v.cpu[cpu].kvm_pt_idx):
            entry = &v.cpu[cpu].kvm_pt[i]
            runs.append((cpu, entry.pfn, entry.pages, entry.unchecked))
    return strategy.common_state() | lists_out(&v.lists) | {
        "runs": np.array(runs, np.int64).reshape(-1, 4),
        "statistics": np.array([v.slow_paths, v.compressions, v.hypercalls, v.checked_pages, v.non_buddy_pages,
                                v.tail_pages, v.sent_pages, v.lost_pages, v.unsafe_hint, v.discarded_in_use], np.int64),
    }


def set_state(V1 strategy not None, values):
    """Take over a state that `state` gave."""
    cdef int cpu, i
    v = &strategy.v
    arrays = strategy.checked_state(values, {"runs": (None, 4), "list_blocks": (None, 3), "lists": (3,),
                                             "statistics": (10,)})
    strategy.check_common_state(arrays)
    check_counts(strategy, arrays, ("statistics", "work"))
    check_lists(strategy, arrays, False)
    runs = [arrays["runs"][arrays["runs"][:, 0] == cpu, 1:].tolist() for cpu in range(v.ncpus)]
    if sum(map(len, runs)) != len(arrays["runs"]):
        refuse(strategy, f"runs has entries of a CPU that does not exist, the guest has {v.ncpus}")
    for cpu, entries in enumerate(runs):
        if len(entries) >= v.entries:
            refuse(strategy, f"cpu {cpu} has {len(entries)} entries, an array of {v.entries} is worked off when it is full")
        for i, (pfn, pages, unchecked) in enumerate(entries):
            if not (0 <= pfn < pfn + pages <= strategy.allocator.m.npfn and 0 <= unchecked <= pages):
                refuse(strategy, f"cpu {cpu} entry {i}: {pages} pages from pfn {pfn}, {unchecked} of them unchecked, are "
                                 f"not pages of the guest")
    strategy.set_common_state(arrays)
    lists_in(&v.lists, arrays)
    for cpu in range(v.ncpus):
        for i, (pfn, pages, unchecked) in enumerate(runs[cpu]):
            v.cpu[cpu].kvm_pt[i].pfn, v.cpu[cpu].kvm_pt[i].pages = pfn, pages
            v.cpu[cpu].kvm_pt[i].unchecked = unchecked
        v.cpu[cpu].kvm_pt_idx = len(runs[cpu])
    (v.slow_paths, v.compressions, v.hypercalls, v.checked_pages, v.non_buddy_pages, v.tail_pages, v.sent_pages,
     v.lost_pages, v.unsafe_hint, v.discarded_in_use) = arrays["statistics"].tolist()

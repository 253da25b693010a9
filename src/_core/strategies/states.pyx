"""What the saved states of several strategies share: checks, isolated blocks, captured arrays, lists under way.

| array | content |
|---|---|
| `captured` | entry by entry, all CPUs one after the other: cpu, pfn, order (-1: empty slot), zone |
| `list_blocks` | block by block of the lists under way: ticket, pfn, order |
| `lists` | most_lists, most_blocks, not_isolated |
"""

from libc.stdint cimport int64_t

import numpy as np

from hinting.errors import StrategyError

from hinting._core.common cimport MAX_ORDER
from hinting._core.mm.pages cimport TAG_ISOLATED, tag_get, zone_of
from hinting._core.mm.state cimport mm_t, zone_t
from hinting._core.strategies.capture cimport capture_t
from hinting._core.strategies.hooks cimport MAX_TICKETS, Strategy
from hinting._core.strategies.lists cimport list_append, lists_t
from hinting._core.strategies.v8_steps cimport v8_t

_MOST = 1 << 62


cdef int refuse(Strategy strategy, str what) except -1:
    raise StrategyError(f"state of strategy {type(strategy).__name__}: {what}")


cdef int check_counts(Strategy strategy, arrays, names) except -1:
    """Arrays of things that were counted."""
    for name in names:
        if arrays[name].size and (arrays[name].min() < 0 or arrays[name].max() > _MOST):
            refuse(strategy, f"{name} must be between 0 and {_MOST}, got {arrays[name].tolist()}")
    return 0


cdef int check_isolated(Strategy strategy, blocks) except -1:
    """Blocks (owner, pfn, order) are isolated in the allocator, and each is held once."""
    cdef mm_t *m = &strategy.allocator.m
    seen = set()
    for row, (_, pfn, order) in enumerate(blocks):
        if not (0 <= order <= MAX_ORDER and 0 <= pfn < m.npfn and pfn % (1 << order) == 0
                and tag_get(m, pfn, order) == (TAG_ISOLATED | <int>order)):
            refuse(strategy, f"isolated block {row}: pfn {pfn} of order {order} is not an isolated block of the guest")
        if pfn in seen:
            refuse(strategy, f"isolated block {row}: pfn {pfn} is held twice")
        seen.add(pfn)
    return 0


# -- captured arrays -------------------------------------------------------------------------------------------

cdef int64_t _slots(const capture_t *c) noexcept:
    """Slots up to the last one that is in use or not empty."""
    cdef int64_t n = c.capacity
    while n > c.n and c.order[n - 1] < 0 and c.pfn[n - 1] == 0:
        n -= 1
    return n


cdef captured_out(v8_t *v):
    """Entries of all CPUs: int64 array of rows (cpu, pfn, order, zone)."""
    cdef capture_t *c
    cdef int64_t i
    cdef int cpu
    rows = []
    for cpu in range(v.ncpus):
        c = &v.cpu[cpu].kvm_pt
        rows += [(cpu, c.pfn[i], c.order[i], c.zone[i]) for i in range(_slots(c))]
    return np.array(rows, np.int64).reshape(-1, 4)


cdef captured_by_cpu(Strategy strategy, v8_t *v, rows):
    """The entries of each CPU, once they are blocks of the guest or empty slots."""
    cdef zone_t *z
    cdef mm_t *m = &strategy.allocator.m
    cdef int cpu
    for number in set(rows[:, 0].tolist()) - set(range(v.ncpus)):
        refuse(strategy, f"captured has entries of cpu {number}, the guest has {v.ncpus}")
    captured = [rows[rows[:, 0] == cpu, 1:].tolist() for cpu in range(v.ncpus)]
    for cpu in range(v.ncpus):
        if len(captured[cpu]) > v.entries:
            refuse(strategy, f"cpu {cpu} has {len(captured[cpu])} captured entries, the array has {v.entries}")
        for i, (pfn, order, zone) in enumerate(captured[cpu]):
            if order == -1 and pfn == 0 and zone == -1:
                continue
            z = zone_of(m, pfn) if 0 <= pfn < m.npfn else NULL
            if (not 0 <= order <= MAX_ORDER or z == NULL or z.index != zone or pfn + (1 << order) > z.end
                    or pfn % (1 << order)):
                refuse(strategy, f"cpu {cpu} entry {i}: no block of order {order} begins at pfn {pfn} in zone {zone} of "
                                 f"this guest")
    return captured


cdef int captured_in(v8_t *v, captured) except -1:
    """Take over entries that were checked; the arrays' n are left to the caller."""
    cdef capture_t *c
    cdef int64_t i
    cdef int cpu
    for cpu in range(v.ncpus):
        c = &v.cpu[cpu].kvm_pt
        entries = captured[cpu]
        for i in range(v.entries):
            c.pfn[i], c.order[i], c.zone[i] = entries[i] if i < len(entries) else (0, -1, -1)
    return 0


# -- lists under way -------------------------------------------------------------------------------------------

cdef lists_out(lists_t *l):
    cdef int ticket
    cdef int64_t i
    rows = []
    for ticket in range(MAX_TICKETS):
        if l.list[ticket].taken:
            rows += [(ticket, l.list[ticket].block[i].pfn, l.list[ticket].block[i].order)
                     for i in range(l.list[ticket].n)]
    return {"list_blocks": np.array(rows, np.int64).reshape(-1, 3),
            "lists": np.array([l.most_lists, l.most_blocks, l.not_isolated], np.int64)}


cdef int check_lists(Strategy strategy, arrays, bint isolated) except -1:
    """Blocks of lists are blocks of the guest (isolated ones, if so wanted); what was submitted is a list."""
    cdef mm_t *m = &strategy.allocator.m
    blocks = arrays["list_blocks"].tolist()
    check_counts(strategy, arrays, ("lists",))
    for row, (ticket, pfn, order) in enumerate(blocks):
        if not 0 <= ticket < MAX_TICKETS:
            refuse(strategy, f"list_blocks row {row}: ticket must be between 0 and {MAX_TICKETS - 1}, got {ticket}")
        if not (0 <= order <= MAX_ORDER and 0 <= pfn and pfn + (1 << order) <= m.span and pfn % (1 << order) == 0):
            refuse(strategy, f"list_blocks row {row}: pfn {pfn} of order {order} is not a block of the guest")
    if isolated:
        check_isolated(strategy, blocks)
    submitted = arrays["submitted"].tolist()
    for ticket in submitted:
        if submitted.count(ticket) > 1 or ticket not in {row[0] for row in blocks}:
            refuse(strategy, f"submitted ticket {ticket} is no list of list_blocks, or is there twice")
    return 0


cdef int lists_in(lists_t *l, arrays) except -1:
    """Take over lists that were checked."""
    cdef int ticket
    for ticket in range(MAX_TICKETS):
        l.list[ticket].taken = False
        l.list[ticket].n = 0
    l.lists = 0
    l.blocks = 0
    for ticket, pfn, order in arrays["list_blocks"].tolist():
        if not list_append(&l.list[ticket], pfn, order):
            raise MemoryError()
        l.lists += not l.list[ticket].taken
        l.list[ticket].taken = True
        l.blocks += 1
    l.most_lists, l.most_blocks, l.not_isolated = arrays["lists"].tolist()
    return 0


cdef lists_in_flight(lists_t *l, submitted):
    """Tickets of lists that the host has: those that are no longer submitted."""
    return [ticket for ticket in range(MAX_TICKETS) if l.list[ticket].taken and ticket not in submitted]

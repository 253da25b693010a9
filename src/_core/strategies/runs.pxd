"""A run over captured blocks in the freeing context: isolate what is still free into a list of its own.

The looks at each page are those of v8 (v8_steps.examine); the list is allocated for each run and goes to the host under
a ticket, as in the development builds after v8 and in v9.
"""

from libc.stdint cimport int64_t, int8_t

from hinting._core.common cimport MAX_ORDER, pfn_t
from hinting._core.mm.buddy cimport FPI_SKIP_REPORT_NOTIFY, FPI_TO_TAIL
from hinting._core.mm.state cimport mm_t, zone_t
from hinting._core.strategies.capture cimport clear
from hinting._core.strategies.hooks cimport hold_begins, hold_ends, submit
from hinting._core.strategies.lists cimport (
    list_is_back,
    list_leaves,
    list_room,
    list_t,
    lists_t,
    return_list,
    take_list,
)
from hinting._core.strategies.v8_steps cimport (
    V8_ISOLATED,
    begin_entry,
    begin_run,
    cpu_state_t,
    end_run,
    event_t,
    examine,
    is_examined,
    kib,
    v8_t,
)

cdef enum:
    QUEUE_SIZE = 128                    # buffers of the virtqueue, one for each list

ctypedef struct runs_t:
    v8_t v                              # captured arrays, counters and how a page is looked at
    lists_t lists
    int64_t barrier                     # blocks that a zone must have free when its turn comes
    int64_t fail_every                  # so many requests for a list's memory have one that fails; 0: none does
    int64_t requests                    # for a list's memory
    bint heads_are_tails                # tail_isolated counts every isolated block
    int64_t dropped                     # blocks not captured, the array was full
    int64_t discarded                   # entries thrown away, no list could be had
    int64_t barred                      # entries passed over, the zone had too few free blocks
    int64_t returned_at_once            # lists that the virtqueue did not take
    int64_t leaked_blocks               # never returned, the answer of their list was thrown away
    int64_t leaked_pages
    int64_t lockless_returns            # blocks returned without the zone lock

cdef inline int64_t free_blocks(const zone_t *z, int order) noexcept nogil:
    """Free blocks of at least this order."""
    cdef int64_t n = 0
    cdef int o
    for o in range(order, MAX_ORDER + 1):
        n += z.nr_free[o]
    return n

cdef inline void skip_entry(cpu_state_t *c) noexcept nogil:
    clear(&c.kvm_pt, c.at)
    c.at += 1
    begin_entry(c)

cdef inline void sort_by_zone(cpu_state_t *c) noexcept nogil:
    """Stable; the real sort compares zones only and may permute the entries of a zone."""
    cdef int64_t i, k
    cdef pfn_t pfn
    cdef int8_t order, zone
    for i in range(1, c.kvm_pt.n):
        pfn, order, zone = c.kvm_pt.pfn[i], c.kvm_pt.order[i], c.kvm_pt.zone[i]
        k = i
        while k > 0 and c.kvm_pt.zone[k - 1] > zone:
            c.kvm_pt.pfn[k] = c.kvm_pt.pfn[k - 1]
            c.kvm_pt.order[k] = c.kvm_pt.order[k - 1]
            c.kvm_pt.zone[k] = c.kvm_pt.zone[k - 1]
            k -= 1
        c.kvm_pt.pfn[k], c.kvm_pt.order[k], c.kvm_pt.zone[k] = pfn, order, zone

cdef inline void isolate_entries(runs_t *r, mm_t *m, cpu_state_t *c, int cpu) noexcept nogil:
    """Examine all entries in order; the run's list is c.hyp."""
    cdef event_t e
    cdef int8_t zone = -1
    cdef bint barred = False
    cdef int64_t locks = r.v.s.work.locks
    begin_run(&r.v, c)
    while not is_examined(c):
        if c.kvm_pt.zone[c.at] != zone:
            hold_ends(r.v.s)
            hold_begins(r.v.s)
            zone = c.kvm_pt.zone[c.at]
            locks += 1
            barred = r.barrier and free_blocks(&m.zone[zone], r.v.isolate_min_order) < r.barrier
        if barred:
            r.barred += 1
            skip_entry(c)
            continue
        r.v.s.work.probes += 1
        e = examine(&r.v, m, c, cpu)
        if r.heads_are_tails and e.kind == V8_ISOLATED and e.head == e.page:
            r.v.c.tail_isolated += kib(e.order)
    hold_ends(r.v.s)
    r.v.s.work.locks = locks            # one hold for each stretch of entries of one zone

cdef inline int run(runs_t *r, mm_t *m, int cpu) noexcept nogil:
    """Work off this CPU's array; the ticket of the list of isolated blocks, -1 if there is none."""
    cdef cpu_state_t *c = &r.v.cpu[cpu]
    cdef int ticket = take_list(&r.lists)
    cdef list_t *a
    cdef bint fails
    r.requests += 1
    fails = r.fail_every and r.requests % r.fail_every == 0
    if fails or ticket < 0 or not list_room(&r.lists.list[ticket], r.v.entries):
        r.discarded += c.kvm_pt.n
        end_run(c)
        if ticket >= 0:
            r.lists.list[ticket].taken = False
        return -1
    a = &r.lists.list[ticket]
    c.hyp = a.block
    c.hyp_idx = 0
    sort_by_zone(c)
    isolate_entries(r, m, c, cpu)
    if c.hyp_idx > r.v.most_isolated:
        r.v.most_isolated = c.hyp_idx
    a.n = c.hyp_idx
    end_run(c)
    if a.n == 0:
        a.taken = False
        return -1
    list_leaves(&r.lists, ticket)
    return ticket

cdef inline void give_back(runs_t *r, mm_t *m, int cpu, int ticket) noexcept nogil:
    """Return the blocks of a list to their free lists and let the list go."""
    cdef list_t *a = &r.lists.list[ticket]
    cdef int64_t i
    for i in range(a.n):
        r.v.c.guest_returned += kib(a.block[i].order)
    return_list(a, m, cpu, FPI_SKIP_REPORT_NOTIFY | (FPI_TO_TAIL if r.v.to_tail else 0), &r.v.s.work)
    list_is_back(&r.lists, ticket)

cdef inline void run_and_send(runs_t *r, mm_t *m, int cpu) noexcept nogil:
    """Work off this CPU's array and submit what was isolated."""
    cdef int ticket = run(r, m, cpu)
    if ticket < 0:
        return
    if r.lists.lists > QUEUE_SIZE or not submit(r.v.s, ticket):
        r.returned_at_once += 1
        give_back(r, m, cpu, ticket)

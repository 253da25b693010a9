"""Replay at hinting level: besides the allocator, hinting v8 decides; every decision is held against the kernel's.

Inputs are the requests, the frees and the moments at which the scan and the thread go on; each recorded decision makes
the emulated one take its next step, and both are compared.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

import numpy as np

from hinting._core.common cimport MAX_CPUS, NO_PFN, pfn_t
from hinting._core.engine.replay cimport (
    BY_HINTING,
    FREE_DIRECT,
    ROW_DRAIN,
    ROW_FREE,
    ROW_HINT_COMPOUND,
    ROW_HINT_DRAIN,
    ROW_HINT_DRAIN_END,
    ROW_HINT_DROP,
    ROW_HINT_FREE,
    ROW_HINT_ISOLATED,
    ROW_HINT_NONBUDDY,
    ROW_HINT_REF,
    ROW_HINT_REPLACE,
    ROW_HINT_REPORTED,
    ROW_HINT_RUN,
    ROW_HINT_RUN_END,
    ROW_HINT_SCAN,
    ROW_HINT_SCAN_END,
    ROW_HINT_WAKE,
    ROW_ISOLATE,
    ROW_OTHER,
    ROW_RETURN,
    Events,
    events_t,
)
from hinting._core.engine.replay_answers cimport answers_t, judge
from hinting._core.engine.replay_pressure cimport plain_row, pressed_put, pressure_t
from hinting._core.engine.replay_request cimport RequestReplay
from hinting._core.engine.replay_start cimport learn_start
from hinting._core.engine.replay_steps cimport mapped, tally_t
from hinting._core.mm.alloc cimport carve_used, free_direct, free_prepared, split_used
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.buddy cimport FPI_NONE
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.pages cimport (
    TAG_COMPOUND,
    TAG_ORDER,
    TAG_PREPARED,
    block_type,
    covering,
    tag_get,
    tag_is_used,
    tag_set,
    zone_of,
)
from hinting._core.mm.pcp cimport bulk_drain, lowest
from hinting._core.mm.state cimport mm_t, pcp_t, zone_t
from hinting._core.strategies.v8 cimport V8
from hinting._core.strategies.v8_steps cimport (
    V8_COMPOUND,
    V8_DROPPED,
    V8_IN_USE,
    V8_ISOLATED,
    V8_KEPT_HEAD,
    V8_KEPT_OTHER,
    V8_NON_BUDDY,
    V8_REFUSED,
    V8_REPLACED,
    begin_run,
    capture,
    cpu_state_t,
    end_run,
    end_scan,
    event_t,
    examine,
    is_examined,
    return_block,
    scan_entry,
    v8_t,
    would_change,
)

ctypedef struct scan_t:                 # a scan under way on a CPU
    int64_t at                          # next entry, -1: none
    int64_t heads                       # entries seen that are first page of a free block
    int64_t others                      # entries seen in no free block and kept
    int64_t dropped_others              # entries dropped because they are in no free block (variant)
    int64_t steady                      # entries before this one were not to be changed when the last one was
    bint draining

ctypedef struct progress_t:
    answers_t answers
    scan_t scan[MAX_CPUS]
    int64_t returned[MAX_CPUS]          # next block to go back
    int64_t assisted                    # what only the recording tells: moments where two CPUs raced, split blocks


cdef void hint_free(v8_t *v, mm_t *m, events_t *e, progress_t *t, const uint32_t *actual, int64_t i) noexcept nogil:
    """The free hook: the page is on no list yet."""
    cdef pfn_t pfn = mapped(actual, <pfn_t>e.pfn[i])
    cdef int order = e.order[i]
    cdef cpu_state_t *c = &v.cpu[e.cpu[i]]
    cdef uint8_t tag
    cdef bint got, same = False
    if pfn < m.npfn and pfn & ((<pfn_t>1 << order) - 1) == 0 and zone_of(m, pfn) != NULL:
        tag = tag_get(m, pfn, order)
        if tag_is_used(tag) and (tag & TAG_ORDER) == order or carve_used(m, pfn, order):
            tag_set(m, pfn, order, TAG_PREPARED)
            got = capture(v, m, c, pfn, order)
            same = got == (e.aux[i] == 1) and (not got or c.kvm_pt.n - 1 == e.a[i])
    judge(&t.answers, i, same, NO_PFN)


cdef bint put(mm_t *m, events_t *e, pressure_t *p, const uint32_t *actual, int64_t i) noexcept nogil:
    """A page that passed the hook reaches its list; False if it did not pass the hook."""
    cdef pfn_t pfn = mapped(actual, <pfn_t>e.pfn[i])
    cdef int order = e.order[i]
    if pfn >= m.npfn or tag_get(m, pfn, order) != (TAG_PREPARED | order):
        return False
    if p != NULL:
        pressed_put(m, e, p, i, pfn)
    elif e.aux[i] == FREE_DIRECT:
        free_direct(m, zone_of(m, pfn), e.cpu[i], pfn, order, FPI_NONE)
    else:
        free_prepared(m, zone_of(m, pfn), e.cpu[i], pfn, order, block_type(m, pfn))
    return True


cdef void look_ahead(v8_t *v, mm_t *m, cpu_state_t *c, scan_t *s) noexcept nogil:
    """Several CPUs: how far the scan would go unchanged if it looked at all of it right now."""
    s.steady = s.at
    while m.ncpus > 1 and s.steady < c.kvm_pt.n and not would_change(v, m, c, s.steady):
        s.steady += 1


cdef void scan_on(v8_t *v, mm_t *m, events_t *e, progress_t *t, int64_t i) noexcept nogil:
    """Scan on to the next entry that changes, and compare it with the recorded one (or with the end of the scan).

    A scan takes no lock, so with several CPUs what is free may change while it runs, and the moment at which an entry
    was left alone is not recorded. It lies between the last change and this one: an entry may stay if it was not to be
    changed at either moment.
    """
    cdef int cpu = e.cpu[i]
    cdef cpu_state_t *c = &v.cpu[cpu]
    cdef scan_t *s = &t.scan[cpu]
    cdef event_t got
    cdef bint at_end = e.kind[i] == ROW_HINT_SCAN_END
    cdef int64_t recorded = c.kvm_pt.n if at_end else e.a[i]
    cdef bint same
    got.kind = V8_KEPT_OTHER
    got.entry = got.order = -1
    got.page = got.head = NO_PFN
    while 0 <= s.at < c.kvm_pt.n and s.at <= recorded:
        if s.at < recorded and s.at < s.steady and would_change(v, m, c, s.at):
            t.assisted += 1
            s.at += 1
            continue
        got = scan_entry(v, m, c, s.at)
        s.at += 1
        if got.kind == V8_KEPT_HEAD:
            s.heads += 1
        elif got.kind == V8_KEPT_OTHER:
            s.others += 1
        else:
            break
    if at_end:
        same = got.kind != V8_DROPPED and got.kind != V8_REPLACED and s.at >= 0
        end_scan(v, c)
        same = same and c.kvm_pt.n == e.a[i]
        if m.ncpus == 1:
            same = same and s.heads == e.b[i] and (s.others == e.c[i] or s.others + s.dropped_others == e.c[i])
        s.at = -1
    else:
        same = got.kind == <int>(V8_DROPPED if e.kind[i] == ROW_HINT_DROP else V8_REPLACED) and got.entry == e.a[i]
        if e.kind[i] == ROW_HINT_DROP and e.aux[i] == 1:        # variant: dropped because it is in no free block
            same = same and got.head == NO_PFN
            s.dropped_others += 1
        elif e.kind[i] == ROW_HINT_DROP and same and m.ncpus > 1 and (got.head != e.b[i] or got.order != e.c[i]):
            t.assisted += 1             # the kernel read mark and order while the other CPU changed the block
        else:
            same = same and got.head == e.b[i] and got.order == e.c[i]
        look_ahead(v, m, c, s)
    judge(&t.answers, i, same, got.page)


cdef void see_split(mm_t *m, progress_t *t, pfn_t pfn) noexcept nogil:
    """A page in use that is not the first of its block: its owner has split the block, which no row shows."""
    cdef pfn_t head = NO_PFN
    cdef uint8_t tag = covering(m, pfn, &head)
    if tag_is_used(tag) and not tag & TAG_COMPOUND and head != pfn:
        split_used(m, head, tag & TAG_ORDER)
        t.assisted += 1


cdef void thread_on(v8_t *v, mm_t *m, events_t *e, progress_t *t, int64_t i) noexcept nogil:
    """The thread examines its next page."""
    cdef int cpu = e.cpu[i]
    cdef int kind = e.kind[i]
    cdef cpu_state_t *c = &v.cpu[cpu]
    cdef event_t got
    cdef bint same = False
    got.page = NO_PFN
    if c.at >= 0 and not is_examined(c):
        if kind == ROW_HINT_REF:
            see_split(m, t, c.pfn)
        got = examine(v, m, c, cpu)
        same = got.entry == e.a[i]
        if kind == ROW_HINT_COMPOUND:
            same = same and got.kind == V8_COMPOUND and got.page == e.pfn[i] and got.head == e.b[i]
        elif kind == ROW_HINT_REF:
            same = same and got.kind == V8_IN_USE and got.page == e.pfn[i]
        elif kind == ROW_HINT_NONBUDDY:
            same = same and got.kind == V8_NON_BUDDY and got.page == e.pfn[i]
        else:
            same = (same and got.kind == <int>(V8_ISOLATED if kind == ROW_HINT_ISOLATED else V8_REFUSED)
                    and got.head == e.pfn[i] and got.order == e.order[i] and got.page == e.b[i])
            if kind == ROW_HINT_ISOLATED:
                same = same and c.hyp_idx - 1 == e.c[i] and (got.head != got.page) == (e.aux[i] == 1)
    judge(&t.answers, i, same, got.page)


cdef void hint_return(v8_t *v, mm_t *m, events_t *e, progress_t *t, int64_t i) noexcept nogil:
    """The next block of the isolated array goes back."""
    cdef int cpu = e.cpu[i]
    cdef cpu_state_t *c = &v.cpu[cpu]
    cdef int64_t k = t.returned[cpu]
    cdef bint same = k < c.hyp_idx
    if same:
        same = c.hyp[k].pfn == e.pfn[i] and c.hyp[k].order == e.order[i] and k == e.a[i]
        same = same and block_type(m, c.hyp[k].pfn) == e.mt[i]
        return_block(v, m, cpu, &c.hyp[k])
        t.returned[cpu] = k + 1
    judge(&t.answers, i, same, NO_PFN)


cdef void hint_row(
    v8_t *v, mm_t *m, events_t *e, tally_t *requests, pressure_t *pressure, progress_t *t, uint32_t *actual, int64_t i,
) noexcept nogil:
    cdef int kind = e.kind[i]
    cdef int cpu = e.cpu[i]
    cdef cpu_state_t *c = &v.cpu[cpu]
    cdef uint32_t *changed = actual if requests.first_row >= 0 else NULL
    cdef zone_t *z
    cdef pcp_t *p
    if kind == ROW_HINT_FREE:
        hint_free(v, m, e, t, changed, i)
    elif kind == ROW_FREE:
        if not put(m, e, pressure, changed, i):
            plain_row(m, e, requests, pressure, actual, i)
        else:
            requests.rows += 1
    elif kind == ROW_HINT_DRAIN:
        judge(&t.answers, i, c.kvm_pt.n == v.entries and not c.busy, NO_PFN)
        t.scan[cpu].draining = True
    elif kind == ROW_DRAIN and t.scan[cpu].draining:
        z = &m.zone[e.zone[i]]
        p = pcp_of(m, z, e.order[i])
        bulk_drain(m, z, p, cpu, lowest(p.count, <int64_t>p.batch << m.k.pcp_scale_max), 0)
    elif kind == ROW_HINT_DRAIN_END:
        t.scan[cpu].draining = False
    elif kind == ROW_HINT_SCAN:
        judge(&t.answers, i, c.kvm_pt.n == e.a[i], NO_PFN)
        t.scan[cpu].at = t.scan[cpu].heads = t.scan[cpu].others = t.scan[cpu].dropped_others = 0
        look_ahead(v, m, c, &t.scan[cpu])
    elif kind == ROW_HINT_DROP or kind == ROW_HINT_REPLACE or kind == ROW_HINT_SCAN_END:
        scan_on(v, m, e, t, i)
    elif kind == ROW_HINT_WAKE:
        judge(&t.answers, i, c.busy, NO_PFN)
    elif kind == ROW_HINT_RUN:
        judge(&t.answers, i, c.busy and c.at < 0, NO_PFN)
        begin_run(v, c)
        t.returned[cpu] = 0
    elif ROW_HINT_COMPOUND <= kind <= ROW_HINT_NONBUDDY:
        thread_on(v, m, e, t, i)
    elif kind == ROW_HINT_REPORTED:
        judge(&t.answers, i, c.at >= 0 and is_examined(c) and c.hyp_idx == e.a[i], NO_PFN)
        if c.hyp_idx > v.most_isolated:
            v.most_isolated = c.hyp_idx
    elif kind == ROW_RETURN:
        hint_return(v, m, e, t, i)
    elif kind == ROW_HINT_RUN_END:
        judge(&t.answers, i, c.at >= 0 and is_examined(c) and t.returned[cpu] == c.hyp_idx == e.a[i], NO_PFN)
        c.hyp_idx = 0
        end_run(c)
    elif kind != ROW_ISOLATE or e.a[i] != BY_HINTING:
        plain_row(m, e, requests, pressure, actual, i)


cdef class HintingReplay(RequestReplay):
    """strategy: attached to the allocator and loaded with the captured array of the start."""

    cdef V8 strategy
    cdef progress_t steps

    def __init__(self, Allocator allocator not None, V8 strategy not None, Events events not None, *, bint pressure=False):
        cdef int cpu
        cdef uint8_t[::1] touched = np.zeros(allocator.m.span + 1, np.uint8)
        super().__init__(allocator, events, pressure=pressure)
        learn_start(&allocator.m, &events.e, &touched[0])
        self.strategy = strategy
        self.steps.answers.first_row = self.steps.answers.first_pfn = -1
        for cpu in range(MAX_CPUS):
            self.steps.scan[cpu].at = -1
        allocator.m.on_free = NULL          # the rows drive the strategy step by step

    cdef void rows(self, int64_t stop) noexcept nogil:
        cdef mm_t *m = &self.allocator.m
        cdef events_t *e = &self.events.e
        cdef v8_t *v = &self.strategy.v
        cdef int64_t i
        for i in range(self.at, stop):
            if e.kind[i] != ROW_OTHER:
                hint_row(v, m, e, &self.t, self.p, &self.steps, self.actual, i)

    def result(self):
        """The tally of the requests; assisted also counts moments that only the recording tells."""
        tally = super().result()
        tally["assisted"] += self.steps.assisted
        return tally

    def answers(self):
        """How many decisions were recorded, how many of ours were the same, and the first that was not."""
        return dict(self.steps.answers)

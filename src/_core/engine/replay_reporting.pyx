"""Replay at hinting level of mainline page reporting: every decision of its worker is held against the kernel's.

Inputs are the requests, the frees and the moments of the worker: its start (REPORT_WORK), and its return from the host
(the first PUTBACK of a report). Each recorded decision makes the emulated worker take its next step, at the moment of
the recorded one. A pass whose remaining decisions the recording does not have is run to its end at its last row; what
it decides there is counted as different.

Up to the first REPORT_WORK the rows of a pass that was under way at the start are taken as recorded.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

import numpy as np

from hinting._core.common cimport NO_PFN, PAGE_BYTES, pfn_t
from hinting._core.engine.replay cimport (
    ROW_ISOLATE,
    ROW_OTHER,
    ROW_PUTBACK,
    ROW_REPORT,
    ROW_REPORT_WORK,
    ROW_ROTATE,
    Events,
    events_t,
)
from hinting._core.engine.replay_answers cimport answers_t, judge
from hinting._core.engine.replay_steps cimport request_row, tally_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.pages cimport block_type
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.page_reporting cimport PageReporting
from hinting._core.strategies.page_reporting_steps cimport (
    AT_HOST,
    AT_NONE,
    AT_RETURN,
    PR_DONE,
    PR_ISOLATED,
    PR_REFUSED,
    PR_REPORT,
    PR_RETURNED,
    PR_ROTATED,
    PR_WAITS,
    REPORTING_REQUESTED,
    begin_pass,
    decided_t,
    end_pass,
    host_is_done,
    reporting_t,
    step,
)

cdef enum:
    BY_REPORTING = 1                    # ISOLATE.a


cdef bint is_out(const reporting_t *r, pfn_t pfn) noexcept nogil:
    """The block is in a slot, isolated."""
    cdef int64_t i = r.returned if r.place == AT_RETURN else r.free_slots
    while i < r.capacity:
        if r.slot[i].pfn == pfn:
            return True
        i += 1
    return False


cdef bint is_workers(const events_t *e, int64_t i) noexcept nogil:
    """A row that the worker writes anywhere but in a put back."""
    cdef int kind = e.kind[i]
    return (kind == ROW_REPORT_WORK or kind == ROW_REPORT or kind == ROW_ROTATE
            or kind == ROW_ISOLATE and e.a[i] == BY_REPORTING)


cdef bint pass_goes_on(const events_t *e, int64_t i) noexcept nogil:
    """The recording has another decision of the pass that row i belongs to."""
    cdef int64_t k = i + 1
    while k < e.n and not is_workers(e, k):
        k += 1
    return k < e.n and e.kind[k] != ROW_REPORT_WORK


cdef void run_out(reporting_t *r, mm_t *m, answers_t *t, int cpu, int64_t i) noexcept nogil:
    """Run a pass to its end; nothing should be left to decide."""
    cdef decided_t d
    while r.place != AT_NONE:
        d = step(r, m, cpu)
        if d.kind == PR_DONE:
            end_pass(r)
        elif d.kind == PR_WAITS:
            host_is_done(r)
        else:
            judge(t, i, False, d.pfn)


cdef void settle(reporting_t *r, mm_t *m, events_t *e, answers_t *t, int64_t i) noexcept nogil:
    """After a decision: if it was the pass's last one in the recording, the pass has to end by itself."""
    if r.place != AT_NONE and r.place != AT_HOST and r.place != AT_RETURN and not pass_goes_on(e, i):
        run_out(r, m, t, e.cpu[i], i)


cdef void work_begins(reporting_t *r, mm_t *m, events_t *e, answers_t *t, int64_t i) noexcept nogil:
    """REPORT_WORK: the work runs because somebody asked for it, and not before its last pass is over."""
    cdef bint over = r.place == AT_NONE
    run_out(r, m, t, e.cpu[i], i)
    judge(t, i, over and r.state == REPORTING_REQUESTED, NO_PFN)
    begin_pass(r)
    settle(r, m, e, t, i)


cdef void decide(reporting_t *r, mm_t *m, events_t *e, answers_t *t, int64_t i) noexcept nogil:
    """The worker takes its next step, which is compared with the row."""
    cdef int kind = e.kind[i]
    cdef int mt = -1
    cdef decided_t d
    cdef bint same
    if kind == ROW_PUTBACK:
        if r.place == AT_HOST:
            host_is_done(r)
        mt = block_type(m, r.slot[r.returned].pfn)
    d = step(r, m, e.cpu[i])
    same = d.pfn == e.pfn[i]
    if kind == ROW_ISOLATE:
        same = same and d.order == e.order[i] and (d.kind == PR_ISOLATED if e.aux[i] else d.kind == PR_REFUSED)
    elif kind == ROW_ROTATE:
        same = same and d.kind == PR_ROTATED
    elif kind == ROW_REPORT:
        same = same and d.kind == PR_REPORT and r.capacity - r.free_slots == e.a[i]
        same = same and <int64_t>PAGE_BYTES << d.order == e.b[i]
    else:
        same = same and d.kind == PR_RETURNED and d.order == e.order[i] and mt == e.mt[i]
    if d.kind == PR_DONE and r.place != AT_NONE:
        end_pass(r)
    judge(t, i, same, d.pfn)
    settle(r, m, e, t, i)


cdef void one_row(
    reporting_t *r, mm_t *m, events_t *e, tally_t *requests, answers_t *t, uint32_t *actual, bint *started, int64_t i,
) noexcept nogil:
    cdef int kind = e.kind[i]
    if kind == ROW_REPORT_WORK:
        started[0] = True
        work_begins(r, m, e, t, i)
    elif started[0] and (is_workers(e, i) or kind == ROW_PUTBACK and is_out(r, <pfn_t>e.pfn[i])):
        decide(r, m, e, t, i)
    else:
        request_row(m, e, requests, actual, i)


def reporting_level(Allocator allocator not None, PageReporting strategy not None, Events events not None,
                    int64_t stop=-1):
    """Replay at hinting level; returns (tally of the requests, answers) as dicts.

    strategy: attached to the allocator. answers: how many decisions were recorded, how many of ours were the same, and
    the first that was not. stop: row to stop before, -1 for all rows.
    """
    cdef mm_t *m = &allocator.m
    cdef reporting_t *r = &strategy.r
    cdef events_t *e = &events.e
    cdef tally_t requests
    cdef answers_t t
    cdef bint started = False
    cdef int64_t i
    cdef int64_t n = e.n if stop < 0 or stop > e.n else stop
    cdef uint32_t[::1] actual = np.zeros(m.span + 1, np.uint32)
    memset(&requests, 0, sizeof(requests))
    memset(&t, 0, sizeof(t))
    requests.first_row = t.first_row = t.first_pfn = -1
    with nogil:
        for i in range(n):
            if e.kind[i] != ROW_OTHER:
                one_row(r, m, e, &requests, &t, &actual[0], &started, i)
    return (
        {"rows": requests.rows, "allocations": requests.allocations, "identical": requests.identical,
         "refused": requests.refused, "assisted": requests.assisted, "first_row": requests.first_row,
         "first_expected": requests.first_expected, "first_chosen": requests.first_chosen},
        dict(t),
    )

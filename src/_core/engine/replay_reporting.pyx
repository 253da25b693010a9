"""Replay of mainline page reporting: its worker is the emulated one; inputs are the requests, the frees and its moments.

Those are its start (REPORT_WORK) and its return from the host (the first PUTBACK of a report). At request level the
worker runs from there to its next report, or to the end of the pass, by itself. At hinting level each recorded decision
makes it take its next step, at the moment of the recorded one, and both are compared; so it does with several CPUs,
where others may change the lists between two steps; a list that the kernel left with nothing to report is left here
too if another CPU has freed into it by the time of the next decision. A pass whose remaining decisions the recording
does not have is run to its end at its last row; what it decides there is counted as different.

Up to the first REPORT_WORK the rows of a pass that was under way at the start are taken as recorded.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hinting._core.common cimport MAX_ORDER, MT_ISOLATE, NO_PFN, NR_MIGRATETYPES, PAGE_BYTES, pfn_t
from hinting._core.engine.replay cimport (
    BY_REPORTING,
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
from hinting._core.engine.replay_pressure cimport plain_row
from hinting._core.engine.replay_request cimport RequestReplay
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.pages cimport (
    TAG_KIND,
    TAG_ORDER,
    TAG_REPORTED,
    block_type,
    covering,
    links_of,
    list_head,
    node_of,
    pfn_of_node,
    tag_get,
    tag_is_buddy,
    zone_of,
)
from hinting._core.mm.state cimport link_t, mm_t
from hinting._core.strategies.page_reporting cimport PageReporting
from hinting._core.strategies.page_reporting_steps cimport (
    AT_HOST,
    AT_LIST,
    AT_NONE,
    AT_RETURN,
    AT_ZONE,
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
    """The recording has another decision of the pass that row i belongs to, or ends before that is known."""
    cdef int64_t k = i + 1
    while k < e.n and not is_workers(e, k):
        k += 1
    return k == e.n or e.kind[k] != ROW_REPORT_WORK


cdef void run_to_report(reporting_t *r, mm_t *m, int cpu) noexcept nogil:
    """Let the worker go on until it waits for the host, or to the end of the pass."""
    while r.place != AT_NONE and r.place != AT_HOST:
        if step(r, m, cpu).kind == PR_DONE:
            end_pass(r)


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


cdef bint has_unreported(const reporting_t *r, mm_t *m) noexcept nogil:
    """The list before which the worker stands has something to report by now."""
    cdef link_t *links = links_of(m, r.order)
    cdef uint32_t head = list_head(m, r.zone, r.mt, r.order)
    cdef uint32_t node = links[head].next
    while node != head and (tag_get(m, pfn_of_node(node, r.order), r.order) & TAG_KIND) == TAG_REPORTED:
        node = links[node].next
    return node != head


cdef int64_t pass_by(reporting_t *r, mm_t *m, int zone, int order, int mt) noexcept nogil:
    """Several CPUs: go on to a list, since the kernel has left those before it, when they had nothing to report.

    Other CPUs may have freed blocks into them since. Returns how many of them have something by now.
    """
    cdef int64_t later = 0
    if r.place == AT_LIST and r.zone < zone and r.free_slots == r.capacity:
        r.place = AT_ZONE
        r.zone += 1
    if r.place == AT_ZONE and r.zone <= zone:
        r.zone = zone
        r.place = AT_LIST
        r.order = r.min_order
        r.mt = 0
    while r.place == AT_LIST and r.zone == zone and r.order <= MAX_ORDER and (
            r.order < order or r.order == order and r.mt < mt):
        later += has_unreported(r, m)
        r.mt += 1
        if r.mt == MT_ISOLATE:
            r.mt = 0
            r.order += 1
    return later


cdef int64_t catch_up(reporting_t *r, mm_t *m, const events_t *e, int64_t i) noexcept nogil:
    """Bring the worker to the list that a recorded decision of several CPUs is about; see pass_by."""
    cdef pfn_t pfn = <pfn_t>e.pfn[i], head = NO_PFN
    cdef uint32_t base, node
    cdef uint8_t tag
    if e.kind[i] == ROW_REPORT:
        return pass_by(r, m, r.zone, MAX_ORDER + 1, 0) if r.place == AT_LIST and r.free_slots else 0
    tag = covering(m, pfn, &head)
    if e.kind[i] != ROW_ISOLATE or not tag_is_buddy(tag) or head != pfn or (tag & TAG_ORDER) < r.min_order:
        return 0
    base = m.nblocks if (tag & TAG_ORDER) == MAX_ORDER else m.span
    node = node_of(pfn, tag & TAG_ORDER)
    while node < base:
        node = links_of(m, tag & TAG_ORDER)[node].prev
    return pass_by(r, m, zone_of(m, pfn).index, tag & TAG_ORDER, ((node - base) >> 4) % NR_MIGRATETYPES)


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


cdef class ReportingReplay(RequestReplay):
    """strategy: attached to the allocator. step_by_step: the recorded decisions set the pace and are judged."""

    cdef PageReporting strategy
    cdef bint step_by_step
    cdef bint started                   # the worker is ours since the first REPORT_WORK
    cdef bint answered                  # the host has answered the last report
    cdef answers_t decided

    def __init__(self, Allocator allocator not None, PageReporting strategy not None, Events events not None, *,
                 bint step_by_step, bint pressure=False):
        super().__init__(allocator, events, pressure=pressure)
        self.strategy = strategy
        self.step_by_step = step_by_step
        self.decided.first_row = self.decided.first_pfn = -1
        self.t.reporting = True

    cdef void by_itself(self, reporting_t *r, mm_t *m, events_t *e, int64_t i) noexcept nogil:
        """A row of the worker at request level: only its moments count."""
        cdef int kind = e.kind[i], cpu = e.cpu[i]
        if kind == ROW_REPORT_WORK:
            while r.place != AT_NONE:
                if r.place == AT_HOST:
                    host_is_done(r)
                run_to_report(r, m, cpu)
            begin_pass(r)
            run_to_report(r, m, cpu)
        elif kind == ROW_REPORT:
            self.answered = False
        elif kind == ROW_PUTBACK and not self.answered:
            self.answered = True
            if r.place == AT_HOST:
                host_is_done(r)
                run_to_report(r, m, cpu)

    cdef void rows(self, int64_t stop) noexcept nogil:
        cdef mm_t *m = &self.allocator.m
        cdef events_t *e = &self.events.e
        cdef reporting_t *r = &self.strategy.r
        cdef int64_t i
        cdef int kind
        for i in range(self.at, stop):
            kind = e.kind[i]
            if kind == ROW_OTHER:
                continue
            if kind == ROW_REPORT_WORK:
                self.started = True
            if not self.started or not is_workers(e, i) and kind != ROW_PUTBACK:
                plain_row(m, e, &self.t, self.p, self.actual, i)
            elif not self.step_by_step:
                self.by_itself(r, m, e, i)
            elif kind == ROW_REPORT_WORK:
                work_begins(r, m, e, &self.decided, i)
            elif kind != ROW_PUTBACK or is_out(r, <pfn_t>e.pfn[i]):
                if m.ncpus > 1:
                    self.t.assisted += catch_up(r, m, e, i)
                decide(r, m, e, &self.decided, i)
            else:
                plain_row(m, e, &self.t, self.p, self.actual, i)

    def answers(self):
        """How many decisions were recorded, how many of ours were the same, and the first that was not."""
        return dict(self.decided)

"""What ran when: spans of programs, threads, reports and the VMM, kept only if somebody wants a picture of them."""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport realloc

from hinting._core.engine.machine cimport SIM_NO_MEMORY, machine_t, simulation_t, span_t, vcpu_t

cdef enum log_kind_t:
    LOG_ROW                             # a row of a vCPU's program; what: OP_*, amount: its `a` or `b`
    LOG_SLEEP                           # the vCPU has nothing to do
    LOG_THREAD                          # the strategy's thread runs
    LOG_WAIT                            # it waits for the host
    LOG_REPORT                          # from the kick to the answer; what: blocks, amount: pages
    LOG_VMM                             # the VMM works on a report; what: blocks, amount: pages

cdef inline void log_span(
    machine_t *g, int kind, int lane, int64_t begin, int64_t end, int what, int64_t amount,
) noexcept nogil:
    """lane: the vCPU, or the ticket of a report."""
    cdef simulation_t *s = g.sim
    cdef span_t *grown
    if not s.logs:
        return
    if s.nr_spans == s.spans_size:
        grown = <span_t *>realloc(s.span, (s.spans_size * 2 + 256) * sizeof(span_t))
        if grown == NULL:
            s.error = SIM_NO_MEMORY
            return
        s.span = grown
        s.spans_size = s.spans_size * 2 + 256
    s.span[s.nr_spans].begin = begin
    s.span[s.nr_spans].end = end
    s.span[s.nr_spans].guest = g.number
    s.span[s.nr_spans].kind = kind
    s.span[s.nr_spans].lane = lane
    s.span[s.nr_spans].what = what
    s.span[s.nr_spans].amount = amount
    s.nr_spans += 1

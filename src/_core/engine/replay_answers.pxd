"""The strategy's decisions held against the recorded ones, whatever the strategy is."""

from libc.stdint cimport int64_t

from hinting._core.common cimport NO_PFN, pfn_t

ctypedef struct answers_t:
    int64_t seen                        # recorded decisions, and own ones that the kernel did not take
    int64_t same
    int64_t first_row                   # first row whose decision differs, -1
    int64_t first_pfn                   # page or block of the own decision there, -1: none was taken

cdef inline void judge(answers_t *t, int64_t row, bint same, pfn_t own) noexcept nogil:
    """Count a decision. own: what it was about here, NO_PFN if nothing was decided."""
    t.seen += 1
    t.same += same
    if not same and t.first_row < 0:
        t.first_row = row
        t.first_pfn = -1 if own == NO_PFN else own

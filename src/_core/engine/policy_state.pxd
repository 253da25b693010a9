"""A policy of the host: what it is asked, what it sees and what it may answer."""

from libc.stdint cimport int64_t, uint64_t

from hinting._core.common cimport pfn_t
from hinting._core.strategies.hooks cimport block_t

cdef enum:
    DECIDE_DISCARD = 0                  # give the frames back now
    DECIDE_DEFER = 1                    # later, unless the guest writes before
    DECIDE_IGNORE = 2                   # never
    DECIDE_FREE = 3                     # MADV_FREE: when the host runs short, unless the guest writes before
    NR_DECISIONS = 4

    KERNELS_CHOICE = -1                 # a policy that names no victim

ctypedef struct host_view_t:            # pages, as the policy is asked
    int64_t now_ns
    int64_t pages
    int64_t free
    int64_t wmark_min
    int64_t wmark_low
    int64_t wmark_high
    int64_t swap
    int64_t swap_used
    double psi_some                     # share of the last ten seconds, in percent, as avg10 of /proc/pressure/memory
    double psi_full

ctypedef struct guest_view_t:           # pages, as the policy is asked
    int64_t number
    int64_t memory                      # configured
    int64_t held                        # what it costs the host
    int64_t rss
    int64_t swapped
    int64_t deferred                    # given back lazily or deferred, and still there
    int64_t discarded
    int64_t refaulted
    double refault_rate                 # discarded pages backed again a second, averaged over ten seconds
    double psi_some

ctypedef struct range_t:                # adjacent blocks of a report
    pfn_t pfn
    int64_t pages

ctypedef struct ranges_t:               # of the report under way, in address order
    range_t *range
    int64_t n
    int64_t size
    uint64_t *seen                      # words of the largest range
    int64_t seen_size

ctypedef int (*report_decision_t)(
    void *state, const host_view_t *host, const guest_view_t *guest, const block_t *blocks, int64_t n
) noexcept nogil
ctypedef int (*oom_decision_t)(void *self) noexcept nogil

ctypedef struct policy_t:
    void *self
    void *state                         # first argument of on_report
    host_view_t *host
    guest_view_t *guest                 # by number
    report_decision_t on_report         # NULL: everything is discarded
    oom_decision_t on_oom               # number of the guest to kill, or KERNELS_CHOICE; NULL: the kernel chooses
    bint merges                         # one call for adjacent blocks of a report
    bint lazily                         # what is discarded is freed lazily, whatever the strategy says

"""The hook table that every strategy fills, and what it may ask of whoever runs the guest.

A report is a list of isolated blocks under a ticket, a number that the strategy gives. A thread reports by returning
THREAD_REPORTS; any other hook by `submit`. When the host has dropped the blocks, on_host_done gets the ticket back.

Hooks run where the kernel's own would: `on_free` at the position of arch_free_page, before the page reaches any list
and without the zone lock; `on_alloc` at the position of arch_alloc_page; `on_merged` after an ordinary free entered a
block in a free list, `on_unlock` when the zone lock is released at the end of such frees. A NULL hook costs one
predictable branch.

Tracepoints are noted only between start_trace and stop_trace.

A submitted report is answered by an interrupt, or with submit_waits its CPU spins for it. Hooks run in one go, so a
spinning CPU first ends its present step (of a process's exit: a page table's worth of pages).
"""

from libc.stdint cimport int64_t, uint8_t

from hinting._core.common cimport MAX_CPUS, pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.state cimport backing_t, host_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.slowpath cimport reclaimer_t
from hinting._core.mm.state cimport cpu_hook_t, mm_t, page_hook_t

cdef enum:
    THREAD_SLEEPS = 0                   # nothing left to do on this CPU
    THREAD_REPORTS = 1                  # blocks are isolated and wait for the host
    THREAD_PAUSES = 2                   # goes on after pause_ns
    THREAD_RETRIES = 3                  # the same, and will get nowhere unless something else happens in the guest
    THREAD_MOVES = 4                    # goes on when the pages in use in its range have moved elsewhere, or could not

    HOST_DONTNEED = 0                   # what the host does with a reported block
    HOST_IGNORE = 1                     # nothing: a hint that frees no host memory
    HOST_FREE = 2                       # MADV_FREE: dropped under pressure, unless the guest writes before

    MAX_TICKETS = 256                   # reports under way at once
    MAX_POPULATE = 4                    # frames of 2 MiB that one allocation can reach into

    TRACE_FREE_PAGE = 0                 # guest_free_page: pfn, order
    TRACE_ISOLATED_PFN = 1              # guest_isolated_pfn: pfn, pages

ctypedef struct block_t:
    pfn_t pfn
    int order

ctypedef struct trace_event_t:
    int point                           # TRACE_*
    pfn_t pfn
    int64_t value

ctypedef struct work_t:                 # what the strategy's own code did, for whoever charges time for it
    int64_t captured                    # pages or blocks noted by the free hook
    int64_t probes                      # page states looked at by a scan
    int64_t compares                    # entries compared while looking for a duplicate
    int64_t drained                     # pages drained from per-CPU lists on request of the strategy
    int64_t locks                       # zone lock round trips
    int64_t isolated                    # blocks isolated
    int64_t returned                    # blocks put back
    int64_t stalls                      # times that a CPU waited with an allocation for a report to end
    int64_t allocated                   # single pages that the strategy allocated for itself
    int64_t allocated_blocks            # blocks of order 9 that it allocated
    int64_t freed                       # of the single pages: freed
    int64_t freed_blocks                # of the blocks: freed
    int64_t struct_pages                # gone over in a row by the allocator, which prepares and checks each page of a block
    int64_t cleared                     # 2 MiB of new struct pages that were cleared
    int64_t config_writes               # writes to the device's configuration, each an exit to the VMM

ctypedef struct seen_t:                 # of the guest's state, for on_poll; set by whoever runs the guest
    int64_t cached                      # pages of files
    int64_t reclaimable                 # pages of kernel caches that can be shrunk
    int64_t minor_faults

ctypedef int (*thread_hook_t)(void *self, mm_t *m, int cpu) noexcept nogil
ctypedef void (*done_hook_t)(void *self, mm_t *m, int cpu, int ticket) noexcept nogil
ctypedef bint (*timer_hook_t)(void *self, mm_t *m, int cpu) noexcept nogil
ctypedef void (*discard_hook_t)(void *self, mm_t *m, pfn_t pfn, int order) noexcept nogil
ctypedef const block_t *(*report_hook_t)(void *self, int ticket, int64_t *n) noexcept nogil
ctypedef void (*resize_hook_t)(void *self, mm_t *m, int64_t pages) noexcept nogil
ctypedef int64_t (*oom_hook_t)(void *self, mm_t *m, int cpu) noexcept nogil
ctypedef int64_t (*shrink_hook_t)(void *self, mm_t *m, int cpu, int64_t pages) noexcept nogil
ctypedef void (*device_hook_t)(
    void *self, int ticket, host_t *h, backing_t *b, const costs_t *c, const block_t *block, int running_vcpus,
    double *host_ns, double *stolen_ns,
) noexcept nogil

ctypedef struct strategy_t:
    void *self
    page_hook_t on_free
    page_hook_t on_alloc
    page_hook_t on_merged
    cpu_hook_t on_unlock
    thread_hook_t on_thread             # run this CPU's thread until it sleeps or has something to report
    done_hook_t on_host_done            # the host has dropped the blocks of a ticket; runs on this CPU
    done_hook_t on_host_lost            # the driver threw this answer away
    discard_hook_t on_discard           # the host is about to drop a block: the moment to see whether it may
    timer_hook_t on_timer               # every timer_ns on each CPU; True wakes the CPU's thread
    report_hook_t report                # the blocks of a ticket
    device_hook_t device                # the VMM's device handles one block of a ticket; NULL: host_action
    resize_hook_t on_resize             # the host wants the guest to do without so many pages
    oom_hook_t on_oom                   # no page for this CPU: pages that a report submitted here will free, 0 none
    shrink_hook_t on_shrink             # the guest reclaims so many pages: pages given back; asked for 0: pages that could be
    done_hook_t on_poll                 # the host wants a ticket's buffer back: fill it; on_host_done: it has arrived
    int64_t timer_ns                    # 0: no timer
    int64_t wake_latency_ns             # from a wake-up to the thread's first step: a latency, or a work item's delay
    bint delayed                        # wake_latency_ns is the delay of a work item, as long as a period
    int64_t pause_ns                    # of a thread that pauses or retries
    pfn_t move_first                    # range of a thread that moves pages: what is free in it is isolated already
    int64_t move_pages
    int64_t moved                       # of these: pages that moved, whose old places are isolated now
    const reclaimer_t *reclaimer        # on_thread: who reclaims for its allocations, NULL: nobody
    seen_t seen
    int64_t withheld                    # pages of free memory that it has allocated and will give back by itself
    int64_t gone                        # isolated pages that come back only if the guest is resized
    int run_order                       # `order` of its blocks counts adjoining blocks of this order; 0: it is an order
    bint by_host                        # on_resize is followed by work of the VMM, not of the guest's thread
    pfn_t populate[MAX_POPULATE]        # on_alloc: 2 MiB that the host must back before the guest goes on
    int nr_populate
    int descriptors                     # virtqueue descriptors of one report, 0: one for each block
    int64_t call_pages                  # pages of one discard call on the host, 0: a whole block
    int host_action                     # HOST_*
    bint submit_waits                   # the CPU of a submitted report spins until the host is done
    bint submit_silent                  # nobody is told when it is done: the device keeps the buffer
    bint stops_alloc                    # meanwhile the other CPUs' allocations wait
    bint drops_answers                  # submitting throws away answers whose interrupt has not come
    bint one_answer                     # an interrupt delivers one answer, others wait for the next one
    bint synchronous                    # the thread spins on its vCPU until the host is done, else it sleeps
    uint8_t wake[MAX_CPUS]              # this CPU's thread was woken and has not run yet
    int thread_ticket[MAX_CPUS]         # what on_thread reports when it returns THREAD_REPORTS
    int submitted[MAX_TICKETS]          # tickets that other hooks handed in and nobody has taken yet
    int nr_submitted
    work_t work
    trace_event_t *trace                # NULL: nothing is traced
    int64_t trace_size
    int64_t traced                      # events since the start, those that found no room included
    double entry_ns                     # costs of what is done under the zone lock, set by whoever charges time
    double lock_ns
    double isolate_ns
    double put_back_ns
    int holds                           # how often it has taken the zone lock and not released it
    work_t before_hold
    double hold_sum_ns                  # holds of the zone lock by the strategy
    double hold_most_ns                 # the longest

cdef inline void tracepoint(strategy_t *s, int point, pfn_t pfn, int64_t value) noexcept nogil:
    if s.trace == NULL:
        return
    if s.traced < s.trace_size:
        s.trace[s.traced].point = point
        s.trace[s.traced].pfn = pfn
        s.trace[s.traced].value = value
    s.traced += 1

cdef inline void note_holds(strategy_t *s, int64_t n, int64_t entries, int64_t isolated, int64_t returned) noexcept nogil:
    """n holds of the zone lock, under each of which so many list entries were walked and blocks isolated or put back."""
    cdef double ns = s.lock_ns + entries * s.entry_ns + isolated * s.isolate_ns + returned * s.put_back_ns
    s.hold_sum_ns += n * ns
    if n and ns > s.hold_most_ns:
        s.hold_most_ns = ns

cdef inline void hold_begins(strategy_t *s) noexcept nogil:
    """The strategy takes the zone lock; what it counts in `work` until hold_ends is done under it. Holds may nest."""
    if s.holds == 0:
        s.before_hold = s.work
    s.holds += 1

cdef inline void hold_ends(strategy_t *s) noexcept nogil:
    """The lock is released, if it is held."""
    if s.holds == 0:
        return
    s.holds -= 1
    if s.holds == 0:
        note_holds(s, 1, s.work.probes - s.before_hold.probes, s.work.isolated - s.before_hold.isolated,
                   s.work.returned - s.before_hold.returned)

cdef inline bint submit(strategy_t *s, int ticket) noexcept nogil:
    """Report from a hook other than on_thread: the answer comes as an interrupt. False if too many wait already."""
    if s.nr_submitted == MAX_TICKETS:
        return False
    s.submitted[s.nr_submitted] = ticket
    s.nr_submitted += 1
    return True

cdef class Strategy:
    """A strategy attached to at most one guest. Subclasses fill the table in their constructor."""

    cdef strategy_t s
    cdef readonly Allocator allocator
    cdef bint key

    cdef int wire(
        self, void *state, str host_action, int64_t call_pages, done_hook_t on_host_done, report_hook_t report,
        discard_hook_t on_discard,
    ) except -1
    cdef int prepare(self, Allocator allocator) except -1
    cdef int _discard(self, int ticket) except -1
    cdef int _answer(self, int ticket, int cpu) except -1

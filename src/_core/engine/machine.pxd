"""State of the running machines: vCPUs and their programs, the VMM of each guest, the host's time line.

All times are emulated nanoseconds. Each guest has one account per kind of CPU time; every charge goes to exactly one.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from hinting._core.common cimport MAX_CPUS, pfn_t
from hinting._core.costs cimport costs_t, deck_t
from hinting._core.engine.ops cimport op_t
from hinting._core.engine.pagecache cimport cache_t
from hinting._core.engine.policy_state cimport policy_t, ranges_t
from hinting._core.engine.process cimport gather_t, process_t
from hinting._core.engine.sharing cimport split_queue_t
from hinting._core.engine.slab cimport slab_cache_t
from hinting._core.engine.survey_state cimport survey_t
from hinting._core.histogram cimport hist_t
from hinting._core.host.state cimport backing_t, host_t
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.hooks cimport MAX_TICKETS, strategy_t, work_t

cdef enum:
    NEVER = 0x7FFFFFFFFFFFFFFF
    SECOND = 1000000000

    PROGRAM_RUNS = 0
    PROGRAM_SLEEPS = 1
    PROGRAM_ENDED = 2
    PROGRAM_WAITS = 3                   # for a mark
    PROGRAM_COMPUTES = 4                # up to `until`, put off by what the vCPU does in between

    THREAD_IDLE = 0
    THREAD_WOKEN = 1                    # runs once thread_at has come and the CPU reaches a scheduling point
    THREAD_WAITS = 2                    # reported, the host works
    THREAD_TRIES = 3                    # runs once thread_at has come, in vain unless something else happens

    WAITER_THREAD = 0                   # who waits for the answer to a request: a CPU's thread
    WAITER_CPU = 1                      # a CPU, spinning
    WAITER_IRQ = 2                      # nobody, an interrupt tells
    WAITER_NONE = 3                     # nobody, and the device keeps the buffer

    GUEST_FINE = 0
    GUEST_LOST = 1                      # killed by the host's OOM killer
    GUEST_SHUT_DOWN = 2

    NR_QUANTILES = 3                    # 50, 90 and 99 %
    NR_WINDOWS = 3                      # 1, 10 and 60 s

ctypedef struct accounts_t:             # ns
    double guest_user
    double guest_kernel
    double guest_report                 # the strategy's own work in the guest
    double guest_stall                  # waiting in second-level faults
    double guest_reclaim                # CPU time of kswapd and of direct reclaim
    double guest_disk                   # waiting for the guest's own disk
    double guest_spin                   # busy waiting for the host's answer to a report
    double stolen                       # flushes of a running vCPU's translations
    double vmm                          # the VMM and the host kernel on its behalf

ctypedef struct slot_t:                 # blocks that kernel code of the guest holds
    pfn_t *pfn
    uint8_t *order
    int64_t n
    int64_t size

ctypedef struct vcpu_t:
    int64_t now
    double carry                        # part of a nanosecond not yet in `now`
    const op_t *ops
    int64_t nr_ops
    int64_t pc
    int64_t done                        # progress within the current row, its own unit
    bint unwritten                      # the newest block of the current OP_ALLOC is not written yet
    int program                         # PROGRAM_*
    int64_t until                       # end of a sleep or of a computation
    int thread                          # THREAD_*
    int64_t thread_at
    int waits                           # submitted reports that it spins for
    bint stalled                        # an allocation waits until no CPU spins any more
    int64_t interrupt_at                # when answers to submitted reports are delivered; NEVER: none is due
    int64_t next_timer
    int64_t next_second                 # when the CPU folds its counters
    int64_t exit                        # the process exit under way, -1: none
    int64_t asked_at                    # when the request under way began, -1: none
    int64_t row_at                      # when the row under way began, -1: not yet
    int64_t wait_at                     # when the thread began to wait for the host
    int64_t stalled_until               # end of its last wait for memory of the host
    double held_lock_ns                 # how long it has held the zone lock, ns

ctypedef struct request_t:              # a report in the virtqueue
    int ticket
    int cpu                             # vCPU that gets the answer
    int waiter                          # WAITER_*
    int64_t at                          # time of the kick

ctypedef struct vmm_t:                  # the VMM's main loop: one report at a time, first come first served
    request_t queue[MAX_CPUS + MAX_TICKETS]
    int queued
    int64_t now
    int64_t at                          # block of the first report that comes next; -1: not started
    int64_t began                       # when it was started
    int decision                        # DECIDE_*: what becomes of it
    bint merged                         # it is handled by ranges of adjacent blocks
    ranges_t ranges
    double carry
    int64_t polls_from                  # since when it polls the empty queue, -1: it does not
    request_t used[MAX_TICKETS]         # answered, but not delivered yet
    int nr_used

ctypedef struct kswapd_t:
    int64_t now                         # its clock; NEVER: it sleeps
    int cpu                             # vCPU it runs on
    int priority
    int failures                        # runs in a row that reclaimed nothing
    int64_t reclaimed                   # in this run
    int64_t boost_left                  # pages to reclaim because of watermark boosts
    int64_t runs

ctypedef struct reclaim_t:              # pages, since launch
    int64_t scanned_kswapd
    int64_t scanned_direct
    int64_t stolen_kswapd
    int64_t stolen_direct
    int64_t written                     # dirty pages that reclaim had to write
    int64_t slab                        # pages of kernel caches
    int64_t stalls                      # direct reclaims

ctypedef struct kill_t:                 # by the guest's OOM killer
    int64_t t_ns
    int64_t process
    int64_t rss_pages

ctypedef struct mark_t:
    int64_t number
    int64_t t_ns
    int64_t host_used                   # frames
    int64_t held                        # frames this guest costs the host

ctypedef struct exit_t:                 # a process that ended; pages that the host still backed
    int64_t begin                       # ns
    int64_t end                         # -1: under way
    int64_t freed
    int64_t given                       # of these, given back so far
    int64_t first                       # ns, first and last time that some were given back; -1: none yet
    int64_t last
    int64_t reached[NR_QUANTILES]       # ns from the end until 50, 90, 99 % were given back; -1: not yet

ctypedef struct psi_t:                  # pressure stall information: vCPUs wait for memory of the host
    int64_t until                       # end of the waits seen so far
    double some                         # ns in which at least one waits
    double full                         # in which all that are not idle wait

ctypedef struct meter_t:                # what is measured of a guest; meter.pxd is its owner
    int64_t launched_at
    int64_t held                        # as last noted: frames, and the backing's counters
    int64_t rss
    int64_t discarded
    int64_t refaulted
    int64_t isolated
    double held_time                    # sum of the changes of `held`, each times when it happened: frames x ns
    double rss_time                     # the same for `rss`
    int64_t row                         # the guest's last row of the time line, -1: none
    int64_t row_since                   # time of its first change
    int row_clock
    exit_t *exit
    int64_t nr_exits
    int64_t exits_size
    int64_t first_discard               # ns, -1: none
    int64_t last_discard
    int64_t refaults[NR_WINDOWS]        # pages backed again less than 1, 10, 60 s after their discard
    double fault_ns                     # in second-level faults
    double refault_ns                   # the part for discarded pages
    double cleared_again_ns             # of it, the host's clearing of pages that the guest clears too
    hist_t lag                          # from a page's free to its discard
    hist_t after_exit                   # from the end of the process exit that freed a page to its discard
    hist_t latency                      # of a guest's allocation, its first touch included
    psi_t psi
    int64_t failed_while_isolated       # allocations that found nothing while the strategy had free memory isolated

ctypedef struct machine_t:
    int number
    int state                           # GUEST_*
    int64_t ended_at                    # when it was killed or shut down
    mm_t *mm
    backing_t *backing
    strategy_t *strategy                # NULL: none
    const costs_t *costs                # of the charge at hand
    deck_t deck
    simulation_t *sim
    int ncpus
    vcpu_t *vcpu
    vmm_t vmm
    process_t *process
    uint32_t nr_processes
    slot_t *slot
    uint32_t nr_slots
    gather_t gather
    cache_t cache
    slab_cache_t *slab_cache
    uint32_t nr_slab_caches
    split_queue_t split_queue           # huge pages of which a part is unmapped
    kswapd_t kswapd
    reclaim_t reclaim
    uint32_t gfp_user
    uint32_t gfp_huge
    uint32_t gfp_table
    uint32_t gfp_read                   # a page of a file, by readahead
    uint32_t gfp_write                  # a page of a file that is written
    uint32_t gfp_kind[4]                # by KIND_*
    bint thp                            # guest THP: always
    bint thp_cow_copies                 # a write to a shared huge page copies all of it, not one page (before 5.8)
    int transport                       # VIA_*: how reports reach the host
    int64_t poll_ns                     # how long the back-end polls the empty queue before it sleeps
    bint async_pf                       # a read from swap stalls the task, not the vCPU
    accounts_t account
    work_t charged                      # the strategy's work that has been charged
    double holds_charged                # its holds of the zone lock, ns
    bint contends                       # who takes the zone lock may have to wait for it
    double held_lock_ns                 # how long all vCPUs have held it
    double lock_wait_ns                 # and waited for it
    int64_t refilled_charged            # entries of refills and drains that have been charged
    int64_t drained_charged
    int quiet_ticks                     # ticks of timers since anything else happened in an idle guest
    int64_t kswapd_at                   # when kswapd ends a boost
    mark_t *mark
    int64_t nr_marks
    int64_t marks_size
    int64_t touched_pages               # pages that processes faulted in
    int64_t minor_faults                # page faults of its processes
    int64_t thp_faults
    int64_t thp_fallbacks
    int64_t thp_mapping_splits          # mappings of 2 MiB that became table entries
    int64_t thp_page_splits             # huge pages that became single ones
    int64_t forks
    int64_t cow_pages                   # pages copied at a first write after a fork
    int64_t passed_over                 # rows of processes or mappings that did not exist when their turn came
    kill_t *kill
    int64_t guest_oom_kills
    int64_t failed_allocations
    int64_t requests                    # requests to a rival's device
    int64_t installs                    # calls to the VMM to have 2 MiB backed
    int64_t reports
    int64_t reported_blocks
    int64_t reported_pages
    int64_t returned_frames             # frames that the host got back through reports
    int64_t deferred_pages              # reported pages that the host's policy deferred
    int64_t ignored_pages               # that it ignored
    int spinning                        # submitted reports that a CPU spins for
    int64_t lost_answers                # reports whose answer the guest's driver threw away
    int64_t in_flight                   # pages isolated and reported, not yet answered
    int64_t max_isolated                # most of them at once
    bint host_oom                       # the last fault found no frame
    meter_t meter

ctypedef struct row_t:                  # what changed at a time
    int64_t t_ns
    int32_t guest                       # -1: the host's own needs
    int32_t held                        # frames the guest costs the host, its VMM and tables included
    int32_t rss                         # pages mapped by its VMM's process
    int32_t discarded                   # pages that the host backed and discarded
    int32_t refaulted                   # discarded pages that it backed again
    int32_t isolated                    # pages reported and not yet answered

ctypedef struct span_t:                 # what ran from when to when; log.pxd is its owner
    int64_t begin                       # ns
    int64_t end
    int32_t guest
    int32_t kind                        # LOG_*
    int32_t lane                        # vCPU, or ticket of a report
    int32_t what
    int64_t amount

ctypedef struct simulation_t:
    host_t *host
    const costs_t *costs                # of the host, of the charge at hand
    deck_t deck
    machine_t **machine
    int nr_machines
    int64_t now
    int64_t slice_ns                    # longest stretch that one vCPU runs before others are looked at
    int64_t kswapd_ns                   # from a wake-up to the end of a watermark boost
    int64_t oom_kills
    psi_t psi                           # of all guests together
    int64_t steps                       # slices run
    double host_kernel_async            # CPU time of the host's kernel threads, ns
    row_t *row                          # the time line, in the order in which things were emulated
    int64_t nr_rows
    int64_t rows_size
    int64_t resolution_ns               # changes of one clock that are closer share a row
    int64_t used_noted                  # frames of the host that the rows account for
    bint logs                           # spans are kept
    span_t *span
    int64_t nr_spans
    int64_t spans_size
    survey_t *survey                    # samples of guests' memory, NULL: none
    policy_t *policy                    # of the host, NULL: none
    int error                           # SIM_*

cdef enum:
    SIM_NO_MEMORY = 1
    SIM_GUEST = 2                       # a guest has something to raise
    SIM_POLICY = 3                      # the host's policy has

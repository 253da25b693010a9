"""The state of one guest's page allocator: zones, per-CPU page lists, page and block arrays.

One owner for each piece: tags and links are written by pages.pxd, free lists by buddy.pxd, per-CPU lists by pcp.pxd,
the free-page counter by counter.pxd. Memory that was never split costs nothing: the per-page arrays are zero pages
of an anonymous mapping, and whole 4 MiB blocks are kept in arrays of their own.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from hinting._core.common cimport (
    MAX_PCP_LISTS,
    NR_MIGRATETYPES,
    NR_ORDERS,
    NR_RESERVES,
    NR_ZONES,
    pfn_t,
)
from hinting._core.kernel cimport kernel_t
from hinting._core.mm.times cimport times_t

ctypedef struct link_t:                 # list links; node numbers: a pfn (or block number), or a list head
    uint32_t next
    uint32_t prev

ctypedef struct ring_t:                 # a per-CPU page list: a double-ended queue of pfns
    pfn_t *buf
    uint32_t mask                       # capacity - 1; all ones without a buffer
    uint32_t head                       # index of the first entry, modulo the capacity
    uint32_t len

ctypedef struct pcp_t:
    int64_t count                       # pages
    int64_t high
    int64_t high_min                    # 6.12
    int64_t high_max                    # 6.12
    int32_t batch
    int32_t free_factor                 # 6.1
    int32_t alloc_factor                # 6.12
    int32_t free_count                  # 6.12
    uint32_t flags                      # PCP_*
    int32_t diff                        # this CPU's part of the zone's free-page counter, pages
    ring_t list[MAX_PCP_LISTS]

cdef enum:
    PCP_PREV_FREE_HIGH_ORDER = 1
    PCP_FREE_HIGH_BATCH = 2

    ZONE_BOOSTED = 1
    ZONE_RECLAIM_ACTIVE = 2
    ZONE_BELOW_HIGH = 4

    WM_MIN = 0
    WM_LOW = 1
    WM_HIGH = 2

ctypedef struct zone_t:
    pfn_t start
    pfn_t end                           # start + spanned
    int index
    bint populated                      # managed > 0
    int64_t managed
    int64_t present
    int64_t watermark[3]                # min, low, high, without the boost
    int64_t boost
    int64_t boost_factor                # 1/10000 of the high watermark
    int64_t lowmem_reserve[NR_RESERVES]
    int64_t nr_reserved_highatomic
    int64_t nr_free_highatomic          # 6.12
    int64_t counter                     # free pages as watermark tests see them, without the CPUs' differences
    int32_t threshold                   # largest difference a CPU keeps to itself
    uint32_t flags                      # ZONE_*
    int64_t nr_isolated_blocks          # pageblocks of type ISOLATE
    int64_t nr_free[NR_ORDERS]          # blocks of each order, all types
    uint16_t nonempty[NR_MIGRATETYPES]  # bit o: list (o, type) has a block

ctypedef struct mm_t

ctypedef void (*page_hook_t)(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil
ctypedef void (*cpu_hook_t)(void *self, mm_t *m, int cpu) noexcept nogil

ctypedef struct mm_t:
    kernel_t k
    pfn_t npfn                          # one past the last page frame
    uint32_t span                       # npfn rounded up to 4 MiB: first list-head node number of `link`
    uint32_t nblocks                    # span / 1024: first list-head node number of `big_link`
    int ncpus
    uint8_t *tag                        # per page: what the page is (pages.pxd)
    link_t *link                        # per page, then the list heads: free blocks below order 10; else their user's
    uint8_t *big_tag                    # per 4 MiB: tag of a whole block of order 10, 0 if split
    link_t *big_link                    # per 4 MiB, then the list heads
    uint8_t *pageblock                  # per 2 MiB: migratetype
    uint8_t *skip                       # per 2 MiB: compaction skip bit
    zone_t zone[NR_ZONES]
    pcp_t *pcp                          # [zone * ncpus + cpu]
    page_hook_t on_free                 # the arch free hook's position: before the page reaches any list
    page_hook_t on_alloc                # the arch alloc hook's position
    page_hook_t on_merged               # after a block was entered in a free list by an ordinary free
    cpu_hook_t on_unlock                # after the zone lock was released at the end of such frees
    pfn_t merged_from                   # first page of what was freed, while on_merged runs
    void *hook_self
    bint split_keeps_reported           # the halves of a reported block keep its mark (no released kernel)
    const uint8_t *claims               # replay under pressure: recorded fallbacks, 1 if claimed + order << 1; NULL: decide
    int nr_claims
    int64_t overruled                   # claims that were recorded otherwise than decided here
    int64_t refilled                    # entries that refills took from the buddy lists
    int64_t drained                     # entries that went from per-CPU lists to the buddy lists
    int64_t kswapd_wakeups
    int64_t allocstall                  # requests that would have had to reclaim
    int64_t isolated                    # pages held outside the lists by isolation
    bint kswapd_wanted                  # a wake-up since the engine last looked
    int error                           # MM_*: to be raised by whoever called
    times_t *times                      # when pages were freed; NULL: not kept

cdef enum:
    MM_NO_MEMORY = 1                    # a per-CPU list could not grow
    MM_STRATEGY = 2                     # a user's strategy was stopped

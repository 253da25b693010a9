"""The public C interface for strategies: what a hook gets, what it may ask, and how the hooks become a strategy.

Compile against it with `from hinting._core.api cimport ...`; nothing else of hinting._core is meant for cimport by
others. Everything is a free function over an opaque guest, so that a compiled plug-in goes on working when the inside
changes. Pages are page frame numbers, orders are powers of two of 4 KiB pages, CPUs count from 0.

After a fault (hinting.StrategyError says which) every function answers STOPPED: the hook must return at once. Each call
of a hook may make a limited number of requests; a loop that asks nothing is not stopped.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t

cdef enum:
    STOPPED = -1                        # the strategy was stopped: return
    NONE = -2                           # no such block
    NO_ROOM = -3                        # too many reports are under way

    PAGE_OTHER = 0                      # in flight, on a per-CPU list, isolated, or no memory
    PAGE_FREE = 1                       # in a block on a free list
    PAGE_USED = 2                       # in an allocated block that is not compound
    PAGE_COMPOUND = 3                   # in a compound page

    ACTION_DONTNEED = 0                 # the host drops reported blocks (MADV_DONTNEED)
    ACTION_IGNORE = 1                   # the host ignores them

cdef struct guest_t:                    # the guest as seen by one strategy; only pointers to it are passed on
    char opaque

ctypedef struct hooks_t:                # a NULL hook is not called
    size_t size                         # sizeof(hooks_t)
    # a page or block is freed / was allocated / was entered in a free list, perhaps merged
    void (*on_free)(void *state, guest_t *guest, int cpu, uint32_t pfn, int order) noexcept nogil
    void (*on_alloc)(void *state, guest_t *guest, int cpu, uint32_t pfn, int order) noexcept nogil
    void (*on_merged)(void *state, guest_t *guest, int cpu, uint32_t pfn, int order) noexcept nogil
    void (*on_thread)(void *state, guest_t *guest, int cpu) noexcept nogil      # the CPU's thread was woken
    void (*on_timer)(void *state, guest_t *guest, int cpu) noexcept nogil       # every timer_ns
    void (*on_host_done)(void *state, guest_t *guest, int cpu, int ticket) noexcept nogil
    int64_t timer_ns                    # 0: no timer
    int64_t wake_latency_ns             # from a wake-up to the thread's first step
    int64_t call_pages                  # pages of one discard call of the host, 0: a whole block
    int64_t step_budget                 # requests that one call of a hook may make, 0: the default
    int descriptors                     # virtqueue descriptors of one report, 0: one for each block
    int host_action                     # ACTION_*
    bint synchronous                    # a thread that reported spins on its CPU until the host is done

# The free block that holds a page (no lock taken, one probe): packed first page and order, or NONE.
cdef int64_t block(guest_t *guest, int64_t pfn) noexcept nogil
# What a page is (one hold of the zone lock): packed PAGE_*, and first page and order of the block it belongs to.
cdef int64_t page(guest_t *guest, int64_t pfn) noexcept nogil
# Take a free block of exactly this order off its list: 1, or 0 if the min watermark forbids it.
cdef int isolate(guest_t *guest, int64_t pfn, int64_t order) noexcept nogil
# Report all blocks isolated in this call: a ticket, NONE without any, or NO_ROOM. on_thread waits for its own report.
cdef int report(guest_t *guest) noexcept nogil
# Block i of a report under way, packed, or NONE.
cdef int64_t reported(guest_t *guest, int ticket, int64_t i) noexcept nogil
# Return a block isolated in this call, or in on_host_done one of the report: where an ordinary free would put it, or to
# the tail of its list. on_merged does not hear of it.
cdef int put_back(guest_t *guest, int64_t pfn, int64_t order, bint tail) noexcept nogil
# Return all blocks that this call has isolated and not reported.
cdef int release(guest_t *guest, bint tail) noexcept nogil
# on_host_done: return all that is left of the report. A strategy without on_host_done has this done for it.
cdef int put_back_all(guest_t *guest, int ticket, bint tail) noexcept nogil
# Empty the per-CPU page lists of a CPU; returns pages.
cdef int64_t drain(guest_t *guest, int cpu) noexcept nogil
# Wake the thread of the CPU that runs the hook.
cdef int wake(guest_t *guest) noexcept nogil
# First block of a free list, and the block behind one: a pfn, or NONE.
cdef int64_t first(guest_t *guest, int zone, int migratetype, int order) noexcept nogil
cdef int64_t next_block(guest_t *guest, int64_t pfn) noexcept nogil
# The mark of free page reporting on a free block, which the allocator clears when the block changes.
cdef int mark_reported(guest_t *guest, int64_t pfn, int64_t order) noexcept nogil
cdef int is_reported(guest_t *guest, int64_t pfn) noexcept nogil
# Count the strategy's own work, for which the guest is charged time: pages noted, entries compared.
cdef int work(guest_t *guest, int64_t captured, int64_t compared) noexcept nogil
# Free blocks of an order, free pages, and a watermark (0 min, 1 low, 2 high; pages) of a zone; zone and migratetype of
# a page.
cdef int64_t free_blocks(guest_t *guest, int zone, int order) noexcept nogil
cdef int64_t free_pages(guest_t *guest, int zone) noexcept nogil
cdef int64_t watermark(guest_t *guest, int zone, int which) noexcept nogil
cdef int zone(guest_t *guest, int64_t pfn) noexcept nogil
cdef int migratetype(guest_t *guest, int64_t pfn) noexcept nogil
# Page frames and CPUs of the guest.
cdef int64_t n_pages(guest_t *guest) noexcept nogil
cdef int n_cpus(guest_t *guest) noexcept nogil

# Parts of a packed answer.
cdef inline uint32_t packed_pfn(int64_t answer) noexcept nogil:
    return <uint32_t>answer

cdef inline int packed_order(int64_t answer) noexcept nogil:
    return <int>(answer >> 32 & 0xFF)

cdef inline int packed_page(int64_t answer) noexcept nogil:
    return <int>(answer >> 40)

# A new strategy for one guest, to be returned by the core() of a hinting.strategies.StrategySpec (needs the GIL).
# state: passed to every hook; owner: a Python object that keeps it alive, and may have counters() and statistics().
cdef object new_core(str name, const hooks_t *hooks, void *state, object owner)

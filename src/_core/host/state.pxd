"""What the emulated KVM host knows: its frames, and the backing of every guest's RAM.

Frames and pages are 4 KiB; a block is an aligned 2 MiB run of 512 pages. One owner for each piece: the frame pool is
frames.pxd, the queue of partly unmapped huge folios deferred.pxd, blocks are written by fault.pxd and discard.pxd,
guests come and go in guest.pxd. Zero bytes mean "not backed", so the block array costs nothing until it is touched.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from hinting._core.host.reclaim_state cimport NR_LISTS, aged_t, list_t, reclaim_t
from hinting._core.mm.state cimport mm_t

cdef enum:
    HOST_OK = 0
    HOST_NOMEM = -1                     # no frame above the min watermark, even after reclaim
    HOST_AGAIN = 1                      # what was asked about has changed: look again

    BLOCK_ORDER = 9
    BLOCK_PAGES = 1 << BLOCK_ORDER
    WORD_PAGES = 64
    BLOCK_WORDS = BLOCK_PAGES / WORD_PAGES
    DIRECTORY_ORDER = 18                # pages one page directory covers: 1 GiB

    NO_GROUP = -1

    PMD_NONE = 0
    PMD_TABLE = 1                       # a table of 512 entries exists, also if all are empty
    PMD_HUGE = 2

    FOLIO_SMALL = 0                     # each present page has a frame of its own
    FOLIO_HUGE = 1                      # one huge frame, wholly mapped
    FOLIO_HUGE_PARTIAL = 2              # one huge frame, partly unmapped and not split; other pages may be small

    DIRECTORY_HOST = 1
    DIRECTORY_EPT = 2

    OOM_SCORE_ADJ_MIN = -1000           # never killed

    RAM_ANONYMOUS = 0                   # what guest RAM is made of: private anonymous memory, huge pages where they can be had
    RAM_SHARED = 1                      # a memfd: small pages, discarded by a hole punch
    RAM_HUGETLB = 2                     # whole pages of the host's pool

    # What a touch does beside reading.
    TOUCH_WRITES = 1
    TOUCH_WHOLE = 2                     # the guest overwrites the whole page: its old contents are not wanted
    TOUCH_DISK = 4                      # the virtual disk's data goes into the page: nor are they
    TOUCH_WRITEBACK = 8                 # the guest reads the page to write it to its own disk

    # What a host does to guests that it swaps without asking them; each can be switched off.
    EFFECT_SILENT_WRITE = 1             # unmodified copies of disk blocks are written to swap
    EFFECT_STALE_READ = 2               # a swapped page is read before the disk's data goes over it
    EFFECT_FALSE_READ = 4               # a swapped page is read before the guest overwrites it
    EFFECT_DECAY = 8                    # what is next to each other in the guest's memory is scattered over swap
    EFFECT_TEXT = 16                    # the VMM's own code is dropped

    VMM_TEXT_FRAMES = 1024              # code that the VMM's wake-ups need (an estimate: 4 MiB)

    OVERCOMMIT_GUESS = 0                # vm.overcommit_memory
    OVERCOMMIT_ALWAYS = 1
    OVERCOMMIT_NEVER = 2

ctypedef struct block_t:                # 208 bytes, 0.41 a page
    uint64_t present[BLOCK_WORDS]       # page has a frame
    uint64_t ept[BLOCK_WORDS]           # page can be touched without an exit; all ones under a 2M entry
    uint64_t gone[BLOCK_WORDS]          # page was discarded since the block last was a whole huge folio
    uint32_t prev                       # deferred-split queue: block number + 1, 0 at the ends
    uint32_t next
    uint32_t thp_attempts               # huge frames asked for
    uint8_t pmd                         # PMD_*: host page table
    uint8_t folio                       # FOLIO_*: who owns the frames
    uint8_t ept_huge                    # the second level maps 2 MiB
    uint8_t ept_table                   # a second-level table page exists

ctypedef struct lazy_t:                 # of a block
    uint64_t pages[BLOCK_WORDS]         # page was freed lazily and not touched since: has a frame, is not mapped
    uint32_t next                       # queue of blocks with such pages: block number + 1, 0 at its end
    uint32_t next_dropped               # blocks that reclaim took such pages of and that were not looked at yet
    bint queued
    bint dropped
    int64_t since                       # when the first of them was deferred, ns + 1; 0: none was

ctypedef struct counters_t:             # of one guest, since its start
    uint64_t faults_4k                  # second-level faults that took a frame
    uint64_t faults_2m                  # second-level faults that took a huge frame
    uint64_t faults_pool                # second-level faults that took a page of the host's pool
    uint64_t map_faults                 # second-level faults on pages that had a frame
    uint64_t thp_fallbacks              # huge frames asked for and not had
    uint64_t refaulted_pages            # pages that got a frame again after a discard
    uint64_t discard_calls              # madvise calls
    uint64_t discard_pages              # pages these calls named
    uint64_t discarded_pages            # of these, pages that were backed
    uint64_t ignored_pages              # pages of ranges that the VMM did not discard: locked, or no whole pages of the pool
    uint64_t flush_exits                # running vCPUs that such a call took out of guest mode
    uint64_t lazily_dropped             # lazily freed pages whose frames reclaim took
    uint64_t thp_splits                 # huge folios this guest lost to a partial discard
    uint64_t folio_splits               # huge folios split under pressure
    uint64_t swapped_out                # pages that were evicted and had to be written
    uint64_t swapped_in                 # pages that were read, read-ahead included
    uint64_t major_faults               # second-level faults that waited for the device
    uint64_t swap_cache_hits            # second-level faults that found their page in the swap cache
    uint64_t dropped_copies             # pages that were evicted without a write, their copy being valid
    uint64_t discarded_swapped          # swapped pages that were discarded: no I/O
    uint64_t free_page_swap_writes      # pages that were written while they were free in the guest
    uint64_t silent_swap_writes         # pages that were written although they were a disk block's unmodified copy
    uint64_t stale_swap_reads           # pages that were read for the disk to go over them
    uint64_t false_swap_reads           # pages that were read for the guest to overwrite them
    uint64_t vmm_major_faults           # reads of the VMM's own code that it waited for
    uint64_t double_paging              # swapped pages that were read for the guest to write them to its disk
    uint64_t collapses                  # blocks that khugepaged made huge
    uint64_t refaults_active            # swapped-in pages that came back soon enough to be active at once

ctypedef struct migration_t:            # pre-copy of a guest that runs on; bitmaps of one bit a page
    uint64_t *todo                      # to be sent in this round
    uint64_t *dirty                     # written since the last synchronisation
    uint64_t *ram                       # pages that exist
    int64_t words
    int64_t at                          # next word to look at in this round
    int64_t rounds                      # begun
    int64_t sent                        # pages that hold something, all rounds
    int64_t read                        # of these, read back from swap
    int64_t zero                        # pages that were never backed, announced
    int64_t skipped                     # pages that hold something that hints took out of a round
    bint hints                          # hints count now: the bitmap is unsynchronised

ctypedef struct backing_t:              # RAM of one guest; all amounts in frames
    uint64_t npfn                       # one past the last guest page frame; holes are never touched
    uint64_t nblocks
    block_t *blocks
    uint8_t *directories                # per GiB: DIRECTORY_*
    size_t mapped_bytes                 # of the mapping that holds both arrays
    uint64_t ram_frames                 # configured RAM, without holes
    uint32_t id                         # number of the launch, from 0
    bint attached                       # the host counts it
    int made_of                         # RAM_*
    bint thp                            # faults may take huge frames
    bint locked                         # all of it stays: never evicted, and the VMM discards nothing
    int64_t pool_blocks                 # blocks of one page of the host's pool, 0: RAM is not made of them
    int64_t pool_reserved               # pages of the pool that are set aside for RAM that was never touched
    bint no_page                        # a fault found the pool empty: a bus error ends the VMM
    int64_t reaped_at                   # it was killed: its memory is free from then on; 0: it lives
    int oom_score_adj                   # -1000 .. 1000
    int64_t rss_pages                   # guest pages with a frame: what ps shows
    int64_t held_frames                 # frames that guest pages cost the host
    int64_t vmm_frames                  # of the VMM itself
    int64_t text_in                     # of them, code that a wake-up needs and reclaim may drop
    int64_t text_out                    # dropped
    bint text_used                      # the VMM ran since reclaim last looked
    int64_t host_tables                 # page-table frames of the VMM process
    int64_t ept_tables                  # second-level page-table frames
    int64_t huge_blocks                 # blocks that are one mapped huge folio
    int64_t deferred_blocks             # blocks on the deferred-split queue
    int64_t deferred_frames             # unmapped, but held by a folio on the queue
    uint32_t deferred_head              # block number + 1: next to split
    uint32_t deferred_tail
    aged_t *aged                        # per block, NULL on a host that cannot swap
    uint32_t *slots                     # per page: swap slot
    size_t aged_bytes                   # of the mapping that holds both arrays
    list_t list[NR_LISTS]
    int64_t swapped_pages               # guest pages that live in swap
    int64_t swap_slots                  # slots of this guest: swapped pages and valid copies
    int64_t swap_cache                  # frames of this guest in the swap cache
    uint32_t evictions                  # pages evicted or activated so far, wraps
    uint32_t read_window                # pages read at the last major fault
    uint32_t read_hits                  # read-ahead pages that were wanted since
    uint32_t read_page                  # last page that was read or was found to be read ahead
    int group                           # index of its memory cgroup, -1: none
    int slice                           # index of the slice around it, -1: none
    bint limited                        # one of them has a limit
    int64_t usage_seen                  # frames charged when memory.high was last looked at
    double reclaim_stall                # ns that the guest waited for direct reclaim
    double swap_stall                   # for reads from swap
    double high_stall                   # for memory.high
    int64_t locked_until                # the VMM's address space is locked by a collapse
    uint64_t (*disk_copies)(void *guest, uint64_t first, uint64_t pages) noexcept nogil  # NULL: none; see swapout.pxd
    void *guest                         # its first argument
    const mm_t *mm                      # the guest's allocator, NULL if unknown: for free_page_swap_writes
    lazy_t *lazy                        # by block, NULL until a page is freed lazily
    int64_t lazy_pages                  # lazily freed pages that still have their frames
    uint32_t lazy_head                  # block number + 1: next to lose them
    uint32_t lazy_tail
    migration_t *migration              # NULL: none under way
    uint32_t dropped_head               # block number + 1
    counters_t n

ctypedef struct group_t:                # a memory cgroup; amounts in frames
    int64_t max
    int64_t high
    int64_t low
    int64_t min
    int64_t swap_max                    # slots
    uint64_t hits_max                   # charges that met memory.max
    uint64_t hits_high
    uint64_t oom_kill

ctypedef struct vmstat_t:               # named as in /proc/vmstat
    uint64_t pgfault                    # faults of guest pages that the host mm handled
    uint64_t allocstall                 # faults that had to reclaim for themselves
    uint64_t thp_fault_alloc
    uint64_t thp_fault_fallback
    uint64_t thp_collapse_alloc
    uint64_t thp_collapse_alloc_failed
    uint64_t thp_split_pmd
    uint64_t thp_split_page
    uint64_t thp_deferred_split_page
    uint64_t oom_kill
    uint64_t pgmajfault
    uint64_t pswpin
    uint64_t pswpout
    uint64_t swap_ra                    # pages read ahead
    uint64_t swap_ra_hit                # of these, pages that a fault found in the swap cache
    uint64_t pgscan_kswapd
    uint64_t pgscan_direct
    uint64_t pgsteal_kswapd
    uint64_t pgsteal_direct
    uint64_t pgactivate
    uint64_t pgdeactivate
    uint64_t thp_swpout                 # huge folios written whole
    uint64_t thp_swpout_fallback        # huge folios split for the want of a free cluster
    uint64_t workingset_refault_anon
    uint64_t workingset_activate_anon

ctypedef struct pool_t:                 # hugetlbfs: huge pages that the host has set aside, all of one size
    int64_t blocks                      # of a page: 1 or 512
    int64_t total                       # pages
    int64_t free
    int64_t reserved                    # of the free ones, pages that mappings may count on

ctypedef struct host_t:
    int64_t frames_total                # all that the page allocator manages
    int64_t frames_free
    int64_t host_base_frames            # host OS and daemons
    int64_t wmark_min                   # frames, all zones together
    int64_t wmark_low
    int64_t wmark_high
    uint64_t seed                       # of the draws for huge frames
    double fragmentation                # share of huge frames that cannot be had, 0 .. 1
    double fragmentation_growth         # added when all of frames_total were once freed as 4K
    int64_t freed_small                 # frames freed by 4K discards, and swapped in, since the start
    bint thp                            # guest RAM is THP-eligible (QEMU: MADV_HUGEPAGE)
    bint init_on_free                   # frames are cleared when they are freed, not when they are taken
    bint thp_defrag                     # a huge fault compacts before it falls back (defrag=madvise)
    bint pt_reclaim                     # a discard of a whole block frees its empty table (6.14 and later)
    bint ept_reclaim                    # a zap of a whole block frees its second-level table (KVM before 5.18)
    bint khugepaged                     # the thread runs
    int64_t khugepaged_at               # its next round, ns
    int scan_guest                      # index of the guest that it looks at next
    uint64_t scan_block
    bint thp_deposit                    # count the table that a huge mapping keeps ready for its split
    backing_t **guests                  # by launch, oldest first
    int nr_guests
    int guests_size                     # pointers allocated
    group_t *groups
    int nr_groups
    int oom_group                       # cgroup whose limit the last failure met, -1: the host itself
    int64_t oom_reap_ns                 # from a kill until the victim's memory is free
    int nr_dying                        # guests that were killed and still have their memory
    pool_t pool
    uint32_t launches
    int64_t now                         # time of the caller, ns: a cost that is summed up comes on top
    reclaim_t *reclaim                  # NULL on a host that cannot swap
    int effects                         # EFFECT_*
    int64_t page_cache                  # frames of clean files that nobody maps
    vmstat_t vm

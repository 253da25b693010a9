"""A kernel profile as a C struct: what differs between Linux versions, as data and a few named branches.

The values come from the data files in hinting/kernels; nothing here is a default.
"""

from libc.stdint cimport uint32_t

cdef enum:
    # How free pages of another migratetype are taken when the own lists are empty.
    FALLBACK_MOVE_AND_RETRY = 0         # 5.0, 6.1: move to the own list, look again
    FALLBACK_CLAIM_OR_STEAL = 1         # 6.12: claim the pageblock, else steal one block

    # How many pages a refill takes and an overflowing free gives back.
    PCP_FIXED = 0                       # 5.0: batch and batch
    PCP_FREE_FACTOR = 1                 # 6.1: batch >> order; batch << free_factor
    PCP_AUTO_TUNED = 2                  # 6.12: batch << alloc_factor; free_count

    # Which requests may go below the watermark, and how far.
    RESERVE_HARDER = 0                  # 5.0: HARDER, HIGH
    RESERVE_NON_BLOCK = 1               # 6.x: NON_BLOCK, MIN_RESERVE, HIGHATOMIC

ctypedef struct kernel_t:
    uint32_t pcp_orders                 # bit o: order o has per-CPU lists
    int nr_pcp_lists
    int fallback                        # FALLBACK_*
    int pcp_tuning                      # PCP_*
    int reserves                        # RESERVE_*
    bint strict_types                   # a free block is always on the list of its pageblock's type (6.12)
    bint merge_any_pageblock            # order >= 9 merges whatever the types, unless one is ISOLATE (5.0)
    bint boot_to_tail                   # boot-time frees go to the tail of their list
    bint nofragment                     # a request whose preferred zone is Normal avoids mixing pageblocks
    bint has_bulk                       # the bulk interface exists
    bint free_max_order_as_pageblocks   # a direct free of order 10 is done as two pageblocks (6.12)
    bint counts_free_highatomic         # watermarks look at free highatomic pages, not at the whole reserve (6.12)
    bint account_per_block              # the free counter moves at every block, not once per refill (6.12)
    bint below_high                     # zones remember that they fell below the high watermark (6.12)
    bint boost_unblocked                # order-0 MIN test is repeated without boost for some requests (6.x)
    bint kswapd_wake_gated              # BOOSTED wakes kswapd only for requests that may wake it (6.12)
    int boost_min_managed               # zones smaller than this many pages are never boosted
    bint boost_flag_always              # BOOSTED is set even if the boost did not change (5.0)
    bint reserve_round_up               # highatomic limit: 1 % rounded up to blocks, none below a block (6.12)
    int pcp_scale_max                   # largest free_factor / alloc_factor
    long min_free_kbytes_max            # clamp of min_free_kbytes
    bint deferred_by_max_order          # deferred initialisation frees 1024-page chunks, else pageblocks (6.12)
    # gfp bits in this kernel's own numbering
    uint32_t gfp_dma, gfp_highmem, gfp_dma32, gfp_movable, gfp_reclaimable
    uint32_t gfp_high, gfp_atomic, gfp_direct_reclaim, gfp_kswapd_reclaim
    uint32_t gfp_retry_mayfail, gfp_nofail, gfp_noretry, gfp_memalloc, gfp_nomemalloc, gfp_comp, gfp_account

cdef class Kernel:
    cdef kernel_t k
    cdef readonly str name
    cdef readonly object gfp            # dict: name of a gfp bit -> its value in this kernel

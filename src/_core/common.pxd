"""Types and limits that every core shares (x86-64, 4 KiB pages, 2 MiB pageblocks)."""

from libc.stdint cimport uint32_t

ctypedef uint32_t pfn_t                 # guest page frame number

cdef enum:
    NO_PFN = 0xFFFFFFFF                 # no page

    MAX_ORDER = 10                      # largest order of a free block
    NR_ORDERS = MAX_ORDER + 1
    MAX_BLOCK_PAGES = 1 << MAX_ORDER
    PAGEBLOCK_ORDER = 9
    PAGEBLOCK_PAGES = 1 << PAGEBLOCK_ORDER
    COSTLY_ORDER = 3                    # largest order that the allocator tries hard for

    ZONE_DMA = 0
    ZONE_DMA32 = 1
    ZONE_NORMAL = 2
    ZONE_MOVABLE = 3
    ZONE_DEVICE = 4
    NR_ZONES = 4                        # zones that can hold pages here
    NR_RESERVES = 5                     # columns of lowmem_reserve

    MT_UNMOVABLE = 0
    MT_MOVABLE = 1
    MT_RECLAIMABLE = 2
    MT_PCPTYPES = 3                     # the types below have per-CPU lists, may fall back and are mergeable
    MT_HIGHATOMIC = 3
    MT_ISOLATE = 4
    NR_MIGRATETYPES = 5

    MAX_CPUS = 256
    MAX_PCP_LISTS = 14                  # 4 low orders x 3 types + 2 lists of order 9

    PAGE_SHIFT = 12
    PAGE_BYTES = 1 << PAGE_SHIFT

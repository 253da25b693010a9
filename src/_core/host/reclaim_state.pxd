"""What the host keeps beside its frames when it can swap: per block the age of its pages, the slots, the device.

A list unit is a word of 64 pages (256 KiB), or a whole block while that is one huge folio. A page is in one of these
states; only the first two can be touched by the guest:

    present                     has a frame
    present, copied             has a frame, and its copy in swap is still valid
    swapped                     lives in swap
    swapped, cached             and has a frame in the swap cache: it was read ahead
    swapped, cached, writing    and the frame is being written to its slot

`slots` of a guest has an entry a page that is meaningful while the page is swapped or copied.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    UNIT_WORDS = 8                      # words of a block
    INACTIVE = 0
    ACTIVE = 1
    NR_LISTS = 2

    CLUSTER_SLOTS = 512
    MAX_SERVERS = 256
    MAX_WRITES = 512                    # words being written at once
    DEVICE_READ = 0
    DEVICE_WRITE = 1

    KSWAPD_RETRIES = 16                 # rounds without progress before kswapd gives up, or an allocation fails
    DEF_PRIORITY = 12
    SCAN_BATCH = 32                     # SWAP_CLUSTER_MAX

ctypedef struct unit_t:                 # links of a word on one list: number of the word + 1, 0 at the ends
    uint32_t prev                       # towards the newest
    uint32_t next

ctypedef struct aged_t:                 # of one block: 584 bytes, 1.14 a page
    uint64_t swapped[UNIT_WORDS]
    uint64_t cached[UNIT_WORDS]
    uint64_t writing[UNIT_WORDS]
    uint64_t copied[UNIT_WORDS]
    uint64_t accessed[UNIT_WORDS]       # touched since the last look
    uint64_t referenced[UNIT_WORDS]     # a look found it touched
    uint64_t active[UNIT_WORDS]         # on the active list
    unit_t unit[NR_LISTS][UNIT_WORDS]
    uint8_t linked[NR_LISTS]            # bit w: word w is on the list

ctypedef struct list_t:                 # of one guest
    uint32_t head                       # newest; number of the word + 1
    uint32_t tail
    int64_t pages

ctypedef struct device_t:
    bint rotating
    double latency[2]                   # ns, by DEVICE_*
    double page_ns[2]                   # transfer of one page
    double sigma[2]                     # of the logarithm of a latency; 0 without tails
    int servers                         # requests served at once
    int64_t free_at[MAX_SERVERS]        # heap: when each server is free, the earliest first
    double ready[2]                     # when the bandwidth given away so far is used up
    int64_t last_end                    # slot behind the last one that was read or written
    uint64_t seed
    uint64_t requests
    double recent                       # pages written lately, fading
    int64_t recent_at

ctypedef struct slots_t:
    bint rotating
    int64_t total
    int64_t used
    uint64_t *map                       # bit: slot is used
    uint32_t *page                      # guest page of a used slot
    uint32_t *guest                     # launch number of its guest
    uint32_t *shadow                    # evictions of the guest when the page was evicted
    uint16_t *cluster_used
    uint32_t *cluster_next              # free clusters, oldest first: number + 1
    uint32_t cluster_head
    uint32_t cluster_tail
    int64_t at                          # next slot to give, in the current cluster or for the scan
    int64_t end                         # of the current cluster
    size_t mapped_bytes

ctypedef struct write_t:                # pages of one word on their way to the device
    uint32_t guest                      # launch number
    uint32_t word
    uint64_t pages
    int64_t done

ctypedef struct kswapd_t:
    bint awake
    int64_t now
    double carry
    int priority
    int guest                           # index of the guest being scanned
    int turn                            # guests done in this round
    int64_t scan[NR_LISTS]              # pages still to scan of it
    bint begun                          # scan[] is set for this guest
    bint ignore_low                     # memory.low protects nobody any more
    int64_t scanned                     # in this round, from all
    int64_t reclaimed
    int64_t total                       # reclaimed since the priority was last the default
    int failures

ctypedef struct reclaim_t:
    slots_t slots
    device_t device
    write_t writes[MAX_WRITES]          # ring, in the order of completion
    int first_write
    int nr_writes
    int64_t pages_in_flight             # frames that become free when all writes are done
    kswapd_t kswapd
    int next_guest                      # where direct reclaim goes on
    int swappiness
    int page_cluster                    # log2 of the most slots read at once
    uint32_t read_window                # of a rotating device: slots read last time
    uint32_t read_hits
    int64_t read_slot                   # slot of the last major fault
    double anon_cost                    # fading counts of I/O that reclaim caused
    double file_cost
    double waited                       # ns that reclaim waited for the device

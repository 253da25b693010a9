"""What is kept of a guest's memory over time: its pageblocks by what their pages are, and its free blocks by order."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t

from hinting._core.common cimport NR_ORDERS

ctypedef struct pageblock_t:            # pages; holes and what boot reserved are in none of the first five
    uint16_t free                       # on free lists and per-CPU lists, not reported
    uint16_t used                       # allocated, the page cache apart
    uint16_t cache                      # page cache
    uint16_t isolated                   # isolated for a report that is not answered yet
    uint16_t reported                   # free, and given back to the host or marked as reported
    uint16_t backed                     # of all pages: the host has a frame for them
    uint16_t free_backed                # of free, isolated and reported ones: the same

ctypedef struct pageblock_row_t:        # a pageblock that is not as in the sample before
    int32_t sample
    int32_t guest
    uint32_t block
    pageblock_t pages

ctypedef struct free_row_t:             # free blocks of a guest, all zones
    int32_t sample
    int32_t guest
    uint32_t blocks[NR_ORDERS]

ctypedef struct seen_t:                 # a guest as it was in the last sample
    pageblock_t *block
    int64_t nblocks

ctypedef struct survey_t:
    int64_t every_ns                    # time from one sample to the next
    int64_t next_ns
    int most                            # with so many samples every second one is dropped, an odd number; 0: no limit
    int64_t *t_ns                       # [n]
    int n
    int size
    pageblock_row_t *row                # ascending by sample, guest and block
    int64_t nr_rows
    int64_t rows_size
    free_row_t *free_row
    int64_t nr_free_rows
    int64_t free_rows_size
    seen_t *seen                        # by guest
    int nr_seen
    pageblock_t *now                    # of the guest that is looked at
    int64_t now_size
    bint failed                         # no memory

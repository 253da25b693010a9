"""Free page hints of one guest's balloon driver, for migration."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport pfn_t
from hinting._core.strategies.hooks cimport Strategy, block_t, strategy_t

cdef enum:
    RING = 128                          # buffers of the hint queue
    TICKET_START = RING                 # output buffers: the id of a run, and its end
    TICKET_STOP = RING + 1

    CMD_STOP = 0                        # free_page_hint_cmd_id of the device's configuration
    CMD_DONE = 1

ctypedef struct hint_t:
    strategy_t *s
    int order                           # of a hinted block
    uint32_t gfp
    bint shrinker
    int64_t cmd                         # what the host last wrote
    int64_t active                      # id of the run under way, CMD_DONE: none
    bint ended                          # the run has found no more blocks
    block_t slot[RING]
    int64_t slot_cmd[RING]
    int64_t added                       # buffers ever added
    int64_t used                        # of these, done by the device
    pfn_t *held                         # blocks kept until the host is done
    int64_t n
    int64_t room
    int64_t hints
    int64_t honoured                    # pages that a hint took out of a round
    int64_t late                        # hints of a run that was over
    int64_t returned                    # blocks given back
    int64_t shrunk                      # of these, on memory pressure
    int64_t ring_full
    int64_t runs
    int64_t most_held

cdef class FreePageHint(Strategy):
    cdef hint_t t
    cdef object gfp

"""Guest free page hinting v8: the table of one guest."""

from libc.stdint cimport int64_t, uint8_t

from hinting._core.common cimport pfn_t
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.capture cimport capture_t
from hinting._core.strategies.hooks cimport Strategy, block_t, strategy_t

ctypedef struct counters_t:             # KiB, named as in the kernel
    int64_t total_freed
    int64_t captured
    int64_t scanned
    int64_t total_isolated
    int64_t tail_isolated
    int64_t failed_isolation
    int64_t reallocated
    int64_t free_non_buddy
    int64_t guest_returned

ctypedef struct cpu_state_t:
    capture_t kvm_pt                    # captured array
    block_t *hyp                        # isolated array
    int64_t hyp_idx
    int64_t at                          # entry that the thread examines
    pfn_t pfn                           # next page of that entry
    pfn_t end                           # last page of that entry
    bint busy                           # the array is full, or its thread works on it: frees are lost
    bint flush                          # the idle timer asked for a run of a partly filled array
    int64_t seen                        # captures up to the last timer tick

ctypedef struct v8_t:
    strategy_t *s                       # the hook table it belongs to
    counters_t c
    cpu_state_t *cpu
    int ncpus
    int64_t entries
    int min_order
    int drain                           # DRAIN_*
    int dedup                           # DEDUP_*
    bint drop_non_buddy
    bint to_tail
    int64_t isolation_cap
    int64_t scans
    int64_t wakes
    int64_t runs
    int64_t isolated_overflow
    int64_t most_isolated

cdef class V8(Strategy):
    cdef v8_t v
    cdef readonly bint counted          # the build has counters

"""The state of hinting v10 to v12, out and in: the zones' bitmaps, and where the pass stands.

| array | content |
|---|---|
| `bits` | bits that are set, ascending: zone, number |
| `counts` | by zone 0 to 3: the zone's count |
| `blocks` | isolated now: pfn, order |
| `work_item` | queued, runs_on, walked, at (v10_t, bitmaps_t) |
| `statistics` | freed_kib of v10_t, then the counts of bitmaps_t from passes to not_isolated |
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

import numpy as np

from hinting._core.common cimport NR_ZONES
from hinting._core.strategies.bitmaps cimport zone_bits_t
from hinting._core.strategies.states cimport check_counts, check_isolated, refuse
from hinting._core.strategies.v10 cimport V10


def state(V10 strategy not None):
    """See the table above."""
    cdef zone_bits_t *z
    cdef int zone
    cdef int64_t i
    b = &strategy.t.b
    bits = []
    for zone in range(NR_ZONES):
        z = &b.zone[zone]
        for word in range((z.nbits + 63) // 64):
            if z.bits[word]:
                bits += [(zone, i) for i in range(64 * word, 64 * word + 64) if z.bits[word] >> (i & 63) & 1]
    return strategy.common_state() | {
        "bits": np.array(bits, np.int64).reshape(-1, 2),
        "counts": np.array([b.zone[zone].count for zone in range(NR_ZONES)], np.int64),
        "blocks": np.array([(b.block[i].pfn, b.block[i].order) for i in range(b.n)], np.int64).reshape(-1, 2),
        "work_item": np.array([strategy.t.queued, strategy.t.runs_on, b.walked, b.at], np.int64),
        "statistics": np.array([strategy.t.freed_kib, b.passes, b.reports, b.visited, b.stale, b.refused, b.captured_kib,
                                b.isolated_kib, b.reported_kib, b.returned_kib, b.not_isolated], np.int64),
    }


cdef int _check_bits(V10 strategy, arrays) except -1:
    cdef int zone
    b = &strategy.t.b
    bits, counts = arrays["bits"].tolist(), arrays["counts"].tolist()
    for row, (number, bit) in enumerate(bits):
        if not 0 <= number < NR_ZONES or not 0 <= bit < b.zone[<int>number].nbits:
            refuse(strategy, f"bits row {row}: zone {number} has no bit {bit}")
        if row and bits[row - 1] >= bits[row]:
            refuse(strategy, f"bits row {row}: bit {bit} of zone {number} is not behind the one before it")
    for zone in range(NR_ZONES):
        count = counts[zone]
        found = sum(1 for row in bits if row[0] == zone)
        if count > b.zone[zone].nbits or b.count_bits and count != found:
            refuse(strategy, f"zone {zone}: count is {count}, {found} of {b.zone[zone].nbits} bits are set")
    return 0


cdef int _check_work_item(V10 strategy, arrays) except -1:
    b = &strategy.t.b
    queued, runs_on, walked, at = arrays["work_item"].tolist()
    n = len(arrays["blocks"])
    if queued not in (0, 1) or not -1 <= runs_on < strategy.allocator.m.ncpus or not -1 <= walked <= NR_ZONES:
        refuse(strategy, f"work_item: queued {queued}, runs_on {runs_on}, walked {walked} are not possible")
    if (runs_on < 0) != (walked < 0) or n and walked < 0 or n > b.batch:
        refuse(strategy, f"work_item: runs on {runs_on}, is in zone {walked} and has {n} blocks, which no pass leaves behind")
    if walked < 0 or walked == NR_ZONES:
        if at > 0 and walked == NR_ZONES:
            refuse(strategy, f"work_item: bit {at} of no zone")
    elif not -1 <= at <= b.zone[<int>walked].nbits or at >= 0 and b.zone[<int>walked].bits == NULL:
        refuse(strategy, f"work_item: zone {walked} has no bit {at}")
    return 0


def set_state(V10 strategy not None, values):
    """Take over a state that `state` gave."""
    cdef int zone
    cdef int64_t bit
    b = &strategy.t.b
    arrays = strategy.checked_state(values, {"bits": (None, 2), "counts": (NR_ZONES,), "blocks": (None, 2),
                                             "work_item": (4,), "statistics": (11,)})
    strategy.check_common_state(arrays)
    check_counts(strategy, arrays, ("counts", "statistics", "work"))
    if arrays["submitted"].size or arrays["thread_ticket"].any():
        refuse(strategy, "there is one report at a time, with the ticket 0, and nothing is submitted")
    _check_bits(strategy, arrays)
    _check_work_item(strategy, arrays)
    check_isolated(strategy, [(0, *block) for block in arrays["blocks"].tolist()])
    strategy.set_common_state(arrays)
    for zone in range(NR_ZONES):
        b.zone[zone].count = arrays["counts"][zone]
        if b.zone[zone].bits != NULL:
            memset(b.zone[zone].bits, 0, (b.zone[zone].nbits + 63) // 64 * sizeof(uint64_t))
    for zone, bit in arrays["bits"].tolist():
        b.zone[zone].bits[bit >> 6] |= <uint64_t>1 << (bit & 63)
    for i, (pfn, order) in enumerate(arrays["blocks"].tolist()):
        b.block[i].pfn, b.block[i].order = pfn, order
    b.n = len(arrays["blocks"])
    strategy.t.queued, strategy.t.runs_on, b.walked, b.at = arrays["work_item"].tolist()
    (strategy.t.freed_kib, b.passes, b.reports, b.visited, b.stale, b.refused, b.captured_kib, b.isolated_kib,
     b.reported_kib, b.returned_kib, b.not_isolated) = arrays["statistics"].tolist()

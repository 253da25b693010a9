"""Counts of durations by size: exact below 256 ns, else in buckets of 1/128 of their value."""

from libc.stdint cimport int64_t

cdef enum:
    HIST_SUB = 128                      # buckets of each doubling
    HIST_SHIFTS = 40                    # the largest bucket begins at 2^46 ns, 20 hours
    HIST_SIZE = HIST_SUB * (HIST_SHIFTS + 1)

cdef extern from *:
    int hist_leading_zeros "__builtin_clzll"(unsigned long long) noexcept nogil  # of a word that is not 0

ctypedef struct hist_t:
    int64_t bucket[HIST_SIZE]

cdef inline int hist_index(int64_t ns) noexcept nogil:
    cdef int shift
    if ns < HIST_SUB:
        return <int>ns
    shift = 56 - hist_leading_zeros(ns)
    if shift >= HIST_SHIFTS:
        return HIST_SIZE - 1
    return HIST_SUB * shift + <int>(ns >> shift)

cdef inline int64_t hist_value(int index) noexcept nogil:
    """The middle of a bucket, ns."""
    cdef int shift = index // HIST_SUB - 1
    if shift <= 0:
        return index
    return (<int64_t>(HIST_SUB + index % HIST_SUB) << shift) + (<int64_t>1 << (shift - 1))

cdef inline void hist_add(hist_t *h, int64_t ns, int64_t weight) noexcept nogil:
    h.bucket[hist_index(ns if ns > 0 else 0)] += weight

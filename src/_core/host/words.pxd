"""Bits of a 64-page word, and a hash of 64 bits."""

from libc.stdint cimport uint64_t

from hinting._core.host.state cimport BLOCK_WORDS

cdef extern from *:
    int popcount "__builtin_popcountll"(unsigned long long) noexcept nogil
    int first_bit "__builtin_ctzll"(unsigned long long) noexcept nogil      # of a word that is not 0
    int leading_zeros "__builtin_clzll"(unsigned long long) noexcept nogil  # of a word that is not 0

cdef inline uint64_t span(int lo, int hi) noexcept nogil:
    """Bits lo .. hi - 1; 0 <= lo < hi <= 64."""
    return (~<uint64_t>0 >> (64 - (hi - lo))) << lo

cdef inline int popcount_block(const uint64_t *words) noexcept nogil:
    cdef int w, n = 0
    for w in range(BLOCK_WORDS):
        n += popcount(words[w])
    return n

cdef inline void fill_block(uint64_t *words, uint64_t value) noexcept nogil:
    cdef int w
    for w in range(BLOCK_WORDS):
        words[w] = value

cdef inline uint64_t splitmix64(uint64_t x) noexcept nogil:
    x += 0x9E3779B97F4A7C15ULL
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL
    return x ^ (x >> 31)

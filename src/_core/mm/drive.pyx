"""Batches of requests and frees: one call from Python for an array of blocks, and a loop without Python inside.

The allocator does for each block what it does for a single one, in the order of the batch.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

import numpy as np

from hinting.errors import PageError

from hinting._core.common cimport pfn_t
from hinting._core.mm.alloc cimport alloc_several
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.arguments cimport block_of, cpu_of, gfp_of, integer, must_be_used, order_of


cdef object fit_for_free(Allocator allocator, pfns, int order):
    """pfns as an array of uint32. Raises PageError unless all are different allocated blocks of this order."""
    cdef int64_t n, fit
    array = np.asarray(pfns)
    if array.ndim != 1 or array.size and array.dtype.kind not in "iu":
        raise PageError(f"pfns must be a sequence of integers, got {array.dtype} of shape {array.shape}")
    n = array.size
    if n == 0:
        return np.zeros(0, np.uint32)
    outside = (array < 0) | (array >= allocator.m.npfn)
    if outside.any():
        block_of(&allocator.m, array[int(outside.argmax())], order)
    array = np.ascontiguousarray(array, np.uint32)
    cdef const pfn_t[::1] pages = array
    cdef uint8_t[::1] tags = np.empty(n, np.uint8)
    with nogil:
        fit = first_unfit(&allocator.m, &pages[0], n, order, &tags[0])
    if fit < n:
        must_be_used(&allocator.m, block_of(&allocator.m, pages[fit], order), order)
        raise PageError(f"pfn {pages[fit]} of order {order} occurs twice in the batch")
    return array


def alloc_many(Allocator allocator not None, n, order, gfp, cpu=0):
    """First pfns of up to n blocks of 2^order pages, uint32, in the order in which they were chosen.

    The array ends early at the first request for which the kernel would have to reclaim or fails.
    """
    cdef int o = order_of(order)
    cdef int c = cpu_of(&allocator.m, cpu)
    cdef uint32_t bits = gfp_of(&allocator.m, gfp)
    cdef int64_t wanted = min(integer("n", n, 0, 1 << 40), allocator.m.npfn >> o)
    cdef int64_t got
    array = np.empty(wanted, np.uint32)
    cdef pfn_t[::1] out = array
    if wanted == 0:
        return array
    with nogil:
        got = alloc_several(&allocator.m, c, o, bits, NULL, wanted, &out[0])
    allocator.raise_errors()
    return array if got == wanted else array[:got].copy()


def free_many(Allocator allocator not None, pfns, order, cpu=0):
    """Free allocated blocks one after the other; the free hook runs for each.

    Raises PageError, with nothing freed, unless all are different allocated blocks of this order.
    """
    cdef int o = order_of(order)
    cdef int c = cpu_of(&allocator.m, cpu)
    cdef const pfn_t[::1] pages = fit_for_free(allocator, pfns, o)
    if pages.shape[0] == 0:
        return
    with nogil:
        free_batch(&allocator.m, c, &pages[0], pages.shape[0], o)
    allocator.raise_errors()


def alloc_free_cycles(Allocator allocator not None, n, order, gfp, cpu=0, burst=1):
    """Allocate `burst` blocks and free them in the same order, n times; returns the number of cycles that were done.

    Ends early, with nothing left allocated, at the first cycle in which a request fails.
    """
    cdef int o = order_of(order)
    cdef int c = cpu_of(&allocator.m, cpu)
    cdef uint32_t bits = gfp_of(&allocator.m, gfp)
    cdef int64_t wanted = integer("n", n, 0, 1 << 40)
    cdef int64_t size = integer("burst", burst, 1, allocator.m.npfn)
    cdef int64_t done
    cdef pfn_t[::1] held = np.empty(size, np.uint32)
    with nogil:
        done = cycle_batch(&allocator.m, c, o, bits, wanted, size, &held[0])
    allocator.raise_errors()
    return done

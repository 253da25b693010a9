"""The VMM's balloon device: what it does with the PFNs that a guest's driver sends.

Follows virtio_balloon_handle_output, balloon_inflate_page and balloon_deflate_page (QEMU 8.2). Each PFN is looked up and
handled by itself, in units of 4 KiB. Where the backing page is larger, the pieces of one backing page are collected in
a bitmap, and it is discarded when all came in; a piece of another backing page drops the bitmap.
"""

from libc.stdint cimport int64_t, uint64_t

from hinting._core.common cimport pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.discard cimport backing_discard
from hinting._core.host.swapin cimport backing_will_need
from hinting._core.host.state cimport BLOCK_ORDER, BLOCK_PAGES, BLOCK_WORDS, backing_t, host_t
from hinting._core.host.words cimport fill_block, popcount_block

ctypedef struct partial_t:              # a backing page of 2 MiB of which pieces came in
    int64_t block                       # -1: none
    uint64_t pieces[BLOCK_WORDS]

ctypedef struct balloon_device_t:
    bint inhibited                      # nothing may be discarded (VFIO, post-copy)
    bint huge_pages                     # the backing page is 2 MiB, else 4 KiB
    partial_t partial
    int64_t inflated                    # pages named by the driver
    int64_t deflated
    int64_t ignored                     # of the inflated: dropped with a bitmap, or while inhibited

cdef inline void balloon_device_init(balloon_device_t *d) noexcept nogil:
    d.partial.block = -1

cdef inline void drop_partial(balloon_device_t *d) noexcept nogil:
    if d.partial.block >= 0:
        d.ignored += popcount_block(d.partial.pieces)
    d.partial.block = -1

cdef inline bint collect_piece(balloon_device_t *d, pfn_t pfn) noexcept nogil:
    """Note one piece of a backing page; True if that was the last one."""
    cdef int64_t block = pfn >> BLOCK_ORDER
    if d.partial.block != block:
        drop_partial(d)
        d.partial.block = block
        fill_block(d.partial.pieces, 0)
    d.partial.pieces[pfn >> 6 & 7] |= <uint64_t>1 << (pfn & 63)
    if popcount_block(d.partial.pieces) < BLOCK_PAGES:
        return False
    d.partial.block = -1
    return True

cdef inline double pfn_ns(const costs_t *c) noexcept nogil:
    """The VMM's work on one PFN.

    The profile's entry is what a measured inflation leaves without the empty call and the guest's part: with the notifier of
    that call, which a discard is charged.
    """
    return max(c.host_balloon_pfn_overhead - c.host_mmu_notifier_range, 0.0)

cdef inline void balloon_inflate(
    host_t *h, backing_t *b, const costs_t *c, balloon_device_t *d, pfn_t pfn, int order, int running_vcpus,
    double *host_ns, double *stolen_ns,
) noexcept nogil:
    """One PFN of an inflate request, or a block of 2^order pages of a driver that sends blocks: discarded in one call."""
    cdef int64_t pages = <int64_t>1 << order
    d.inflated += pages
    host_ns[0] += pfn_ns(c)
    if d.inhibited or b.locked:
        d.ignored += pages
        return
    if (d.huge_pages or b.pool_blocks) and order < BLOCK_ORDER:
        if collect_piece(d, pfn):
            backing_discard(h, b, c, pfn & ~<pfn_t>(BLOCK_PAGES - 1), BLOCK_PAGES, BLOCK_PAGES, running_vcpus,
                            host_ns, stolen_ns)
        return
    backing_discard(h, b, c, pfn, pages, pages, running_vcpus, host_ns, stolen_ns)

cdef inline void balloon_deflate(
    host_t *h, backing_t *b, const costs_t *c, balloon_device_t *d, pfn_t pfn, int order, double *host_ns,
) noexcept nogil:
    """One PFN or block of a deflate request: MADV_WILLNEED, which backs nothing that was discarded.

    A piece noted of any backing page is forgotten.
    """
    d.deflated += <int64_t>1 << order
    drop_partial(d)
    host_ns[0] += pfn_ns(c)
    if not d.inhibited:
        host_ns[0] += c.host_madvise_call_empty
        backing_will_need(h, b, pfn, <int64_t>1 << order)

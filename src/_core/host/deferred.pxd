"""The deferred-split queue: huge folios that are partly unmapped keep all 512 frames until they are split.

Follows deferred_split_folio and deferred_split_scan (Linux 6.12): one first-in, first-out queue a guest, as libvirt
gives each VMM a memory cgroup. The shrinker here empties the oldest guest's queue first instead of going round by
shares; underused huge pages are not split.
"""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.costs cimport costs_t
from hinting._core.host.frames cimport clear_freed_ns, give
from hinting._core.host.state cimport BLOCK_PAGES, BLOCK_WORDS, FOLIO_SMALL, backing_t, block_t, host_t
from hinting._core.host.words cimport fill_block, popcount

cdef inline int folio_mapped(const block_t *block) noexcept nogil:
    """Pages of a HUGE_PARTIAL block that the huge folio still backs."""
    cdef int w, n = 0
    for w in range(BLOCK_WORDS):
        n += popcount(block.present[w] & ~block.gone[w])
    return n

cdef inline void enqueue_deferred(host_t *h, backing_t *b, uint32_t i) noexcept nogil:
    cdef block_t *block = &b.blocks[i]
    block.next = 0
    block.prev = b.deferred_tail
    if b.deferred_tail:
        b.blocks[b.deferred_tail - 1].next = i + 1
    else:
        b.deferred_head = i + 1
    b.deferred_tail = i + 1
    b.deferred_blocks += 1
    h.vm.thp_deferred_split_page += 1

cdef inline void dequeue_deferred(backing_t *b, block_t *block) noexcept nogil:
    if block.prev:
        b.blocks[block.prev - 1].next = block.next
    else:
        b.deferred_head = block.next
    if block.next:
        b.blocks[block.next - 1].prev = block.prev
    else:
        b.deferred_tail = block.prev
    block.prev = block.next = 0
    b.deferred_blocks -= 1

cdef inline void split_folio(host_t *h, backing_t *b, block_t *block) noexcept nogil:
    """Split a HUGE_PARTIAL folio: its unmapped pages become free.

    The split unmaps the folio and maps it again, and the notifier takes the whole block out of the second level.
    """
    cdef int64_t unmapped = BLOCK_PAGES - folio_mapped(block)
    dequeue_deferred(b, block)
    block.folio = FOLIO_SMALL
    fill_block(block.ept, 0)
    b.deferred_frames -= unmapped
    b.held_frames -= unmapped
    b.n.folio_splits += 1
    h.vm.thp_split_page += 1
    give(h, unmapped)

cdef inline void shrink_deferred(host_t *h, const costs_t *c, int64_t goal, double *ns) noexcept nogil:
    """Split queued folios until the host has `goal` free frames or no folio is left.

    kswapd calls it with goal = wmark_high when wakes_kswapd(), on its own account. Adds its time to ns.
    """
    cdef int i
    cdef int64_t free
    cdef backing_t *b
    for i in range(h.nr_guests):
        b = h.guests[i]
        while b.deferred_head:
            if h.frames_free >= goal:
                return
            free = h.frames_free
            split_folio(h, b, &b.blocks[b.deferred_head - 1])
            ns[0] += c.host_thp_split_folio + clear_freed_ns(h, c, h.frames_free - free)

"""Swap slots: which are used, by whose page, and where the next page goes.

Follows scan_swap_map_slots and the cluster lists (Linux 6.12): on a device that does not rotate, slots are given from a
free cluster of 512 until that is full, then from the cluster that has been free longest, and one by one when none is; a
rotating device is scanned from where the last slot was given. One current cluster serves all CPUs.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from hinting._core.host.reclaim_state cimport CLUSTER_SLOTS, slots_t
from hinting._core.host.words cimport first_bit
from hinting._core.memory cimport munmap, zero_pages

cdef inline int slots_init(slots_t *s, int64_t total, bint rotating) noexcept nogil:
    """Room for `total` slots; 0, or -1 without address space. The last cluster may be short."""
    cdef size_t words = (total + 63) // 64 + 1
    cdef size_t clusters = (total + CLUSTER_SLOTS - 1) // CLUSTER_SLOTS
    cdef int64_t i
    cdef char *at
    s.mapped_bytes = words * 8 + total * 12 + clusters * 6 + 64
    at = <char *>zero_pages(s.mapped_bytes)
    if at == NULL:
        s.mapped_bytes = 0
        return -1
    s.map = <uint64_t *>at
    at += words * 8
    s.page = <uint32_t *>at
    s.guest = s.page + total
    s.shadow = s.guest + total
    s.cluster_next = s.shadow + total
    s.cluster_used = <uint16_t *>(s.cluster_next + clusters)
    s.total = total
    s.rotating = rotating
    s.at = s.end = 0
    if not rotating:
        for i in range(total // CLUSTER_SLOTS):
            free_cluster(s, <uint32_t>i)
    return 0

cdef inline void slots_drop(slots_t *s) noexcept nogil:
    if s.mapped_bytes:
        munmap(s.map, s.mapped_bytes)
    s.mapped_bytes = 0

cdef inline void free_cluster(slots_t *s, uint32_t cluster) noexcept nogil:
    """Put a cluster behind the free ones."""
    s.cluster_next[cluster] = 0
    if s.cluster_tail:
        s.cluster_next[s.cluster_tail - 1] = cluster + 1
    else:
        s.cluster_head = cluster + 1
    s.cluster_tail = cluster + 1

cdef inline int64_t take_cluster(slots_t *s) noexcept nogil:
    """First slot of the cluster that has been free longest, -1 if there is none."""
    cdef uint32_t cluster = s.cluster_head
    if cluster == 0:
        return -1
    s.cluster_head = s.cluster_next[cluster - 1]
    if s.cluster_head == 0:
        s.cluster_tail = 0
    return <int64_t>(cluster - 1) * CLUSTER_SLOTS

cdef inline bint slot_is_used(const slots_t *s, int64_t slot) noexcept nogil:
    return s.map[slot >> 6] >> (slot & 63) & 1

cdef inline int64_t scan_slots(const slots_t *s, int64_t start, int64_t end) noexcept nogil:
    """The first free slot in [start, end), -1 if all are used."""
    cdef int64_t at = start
    cdef uint64_t free_ones
    while at < end:
        free_ones = ~s.map[at >> 6] >> (at & 63)
        if free_ones:
            at += first_bit(free_ones)
            return at if at < end else -1
        at = (at | 63) + 1
    return -1

cdef inline void leave_cluster(slots_t *s) noexcept nogil:
    if s.end and s.cluster_used[(s.end - 1) // CLUSTER_SLOTS] == 0:
        free_cluster(s, <uint32_t>((s.end - 1) // CLUSTER_SLOTS))
    s.end = 0

cdef inline int64_t next_slot(slots_t *s) noexcept nogil:
    """The slot that is given next, -1 if all are used."""
    cdef int64_t at
    if s.used == s.total:
        return -1
    if not s.rotating:
        at = scan_slots(s, s.at, s.end)
        if at >= 0:
            return at
        leave_cluster(s)
        at = take_cluster(s)
        if at >= 0:
            s.end = at + CLUSTER_SLOTS
            return at
    at = scan_slots(s, s.at, s.total)
    return at if at >= 0 else scan_slots(s, 0, s.total)

cdef inline bint is_current_cluster(const slots_t *s, int64_t cluster) noexcept nogil:
    return s.end > 0 and (s.end - 1) // CLUSTER_SLOTS == cluster

cdef inline void use_slot(slots_t *s, int64_t slot) noexcept nogil:
    s.map[slot >> 6] |= <uint64_t>1 << (slot & 63)
    s.cluster_used[slot // CLUSTER_SLOTS] += 1
    s.used += 1

cdef inline int64_t take_slots(slots_t *s, int64_t most, int64_t *start) noexcept nogil:
    """Take up to `most` contiguous slots; returns their number, 0 if all are used."""
    cdef int64_t n = 0, limit
    start[0] = next_slot(s)
    if start[0] < 0:
        return 0
    limit = s.end if s.end else s.total
    while n < most and start[0] + n < limit and not slot_is_used(s, start[0] + n):
        use_slot(s, start[0] + n)
        n += 1
    s.at = start[0] + n
    return n

cdef inline int64_t take_huge(slots_t *s) noexcept nogil:
    """Take a whole cluster; returns its first slot, -1 if none is free."""
    cdef int64_t start = take_cluster(s), i
    if start < 0:
        return -1
    for i in range(CLUSTER_SLOTS // 64):
        s.map[(start >> 6) + i] = ~<uint64_t>0
    s.cluster_used[start // CLUSTER_SLOTS] = CLUSTER_SLOTS
    s.used += CLUSTER_SLOTS
    return start

cdef inline void free_slot(slots_t *s, int64_t slot) noexcept nogil:
    cdef int64_t cluster = slot // CLUSTER_SLOTS
    s.map[slot >> 6] &= ~(<uint64_t>1 << (slot & 63))
    s.used -= 1
    s.cluster_used[cluster] -= 1
    if s.rotating or s.cluster_used[cluster] or is_current_cluster(s, cluster):
        return
    if (cluster + 1) * CLUSTER_SLOTS <= s.total:
        free_cluster(s, <uint32_t>cluster)

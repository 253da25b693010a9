"""Memory cgroups: what a guest or a slice of guests may use, and how much of it is safe from reclaim.

Follows memory.max, high, low, min and swap.max of cgroup v2 (Linux 6.12). A guest is charged for its frames, the swap
cache, its VMM and all its page tables, but not for pages of the host's pool. The usage of a slice is the sum of its guests.
"""

from libc.stdint cimport int64_t

from hinting._core.host.frames cimport can_take
from hinting._core.host.state cimport NO_GROUP, backing_t, group_t, host_t

cdef enum:
    NO_LIMIT = 0x7FFFFFFFFFFFFFFF
    CHARGE_BATCH = 64                   # frames charged between two looks at memory.high
    HIGH_SLEEP_MAX_NS = 2000000000
    HIGH_SLEEP_MIN_NS = 10000000        # shorter sleeps are left out

cdef inline int64_t usage_of(const backing_t *b) noexcept nogil:
    return (0 if b.pool_blocks else b.held_frames) + b.swap_cache + b.vmm_frames + b.host_tables + b.ept_tables

cdef inline int64_t group_usage(const host_t *h, int group) noexcept nogil:
    cdef int i
    cdef int64_t n = 0
    for i in range(h.nr_guests):
        if h.guests[i].group == group or h.guests[i].slice == group:
            n += usage_of(h.guests[i])
    return n

cdef inline int64_t group_swap(const host_t *h, int group) noexcept nogil:
    cdef int i
    cdef int64_t n = 0
    for i in range(h.nr_guests):
        if h.guests[i].group == group or h.guests[i].slice == group:
            n += h.guests[i].swap_slots
    return n

cdef inline bint is_in_group(const backing_t *b, int group) noexcept nogil:
    return group == NO_GROUP or b.group == group or b.slice == group

cdef inline int group_over(const host_t *h, const backing_t *b, int64_t frames) noexcept nogil:
    """The cgroup whose memory.max does not allow a guest so many more frames, NO_GROUP if all do."""
    if b.group != NO_GROUP and usage_of(b) + frames > h.groups[b.group].max:
        return b.group
    if b.slice != NO_GROUP and group_usage(h, b.slice) + frames > h.groups[b.slice].max:
        return b.slice
    return NO_GROUP

cdef inline bint can_have(const host_t *h, const backing_t *b, int64_t frames) noexcept nogil:
    """Whether a guest can take frames without any reclaim."""
    return can_take(h, frames) and (not b.limited or group_over(h, b, frames) == NO_GROUP)

cdef inline int64_t swap_room(const host_t *h, const backing_t *b) noexcept nogil:
    """Slots that memory.swap.max still allows a guest."""
    cdef int64_t room = NO_LIMIT
    if not b.limited:
        return room
    if b.group != NO_GROUP and h.groups[b.group].swap_max != NO_LIMIT:
        room = h.groups[b.group].swap_max - b.swap_slots
    if b.slice != NO_GROUP and h.groups[b.slice].swap_max != NO_LIMIT:
        room = min(room, h.groups[b.slice].swap_max - group_swap(h, b.slice))
    return max(room, 0)

cdef inline int64_t protection_of(const host_t *h, const backing_t *b, bint ignore_low) noexcept nogil:
    """Frames of a guest that reclaim by others leaves alone; NO_LIMIT if all of them."""
    cdef const group_t *g
    cdef int64_t usage = usage_of(b), most = 0
    cdef int each, level
    for level in range(2):
        each = b.slice if level else b.group
        if each == NO_GROUP:
            continue
        g = &h.groups[each]
        if level:
            usage = group_usage(h, each)
        if usage <= g.min or (usage <= g.low and not ignore_low):
            return NO_LIMIT
        most = max(most, g.min if ignore_low else max(g.low, g.min))
    return most

cdef inline double high_sleep(int64_t usage, int64_t high, int64_t charged) noexcept nogil:
    """How long memory.high lets a task sleep that has charged so many frames, ns: the square of the excess."""
    cdef double excess
    if usage <= high:
        return 0
    excess = <double>(usage - high) / <double>max(high, 1)
    return min(excess * excess * 64e9 * <double>charged / CHARGE_BATCH, <double>HIGH_SLEEP_MAX_NS)

"""Who dies when no frame can be had, and which guest may start at all.

A victim's memory is free when the reaper is done with it, oom_reap_ns after the kill; nobody else of the cgroup, or of the
host, is killed before. Follows oom_badness, select_bad_process and the OOM reaper, and __vm_enough_memory for
vm.overcommit_memory (Linux 6.12). On equal scores the oldest guest is chosen.
"""

from libc.stdint cimport int64_t

from hinting._core.host.cgroup cimport is_in_group
from hinting._core.host.guest cimport host_remove_guest
from hinting._core.host.state cimport (
    NO_GROUP,
    OOM_SCORE_ADJ_MIN,
    OVERCOMMIT_ALWAYS,
    OVERCOMMIT_GUESS,
    backing_t,
    host_t,
)

cdef inline int64_t swap_total(const host_t *h) noexcept nogil:
    return h.reclaim.slots.total if h.reclaim != NULL else 0

cdef inline int64_t oom_badness(const host_t *h, const backing_t *b) noexcept nogil:
    """Score of a VMM in pages: resident and swapped pages, page-table pages of the process, oom_score_adj."""
    cdef int64_t total = h.frames_total + swap_total(h)
    cdef int64_t rss = 0 if b.pool_blocks else b.rss_pages
    return rss + b.swapped_pages + b.vmm_frames + b.host_tables + b.oom_score_adj * (total / 1000)

cdef inline int host_oom_victim(const host_t *h) noexcept nogil:
    """Index of the guest to kill, -1 if none may be killed: of the cgroup whose limit was met, or of all."""
    cdef int i, victim = -1
    cdef int64_t score, worst = 0
    for i in range(h.nr_guests):
        if h.guests[i].oom_score_adj == OOM_SCORE_ADJ_MIN or not is_in_group(h.guests[i], h.oom_group):
            continue
        if h.guests[i].reaped_at:
            continue
        score = oom_badness(h, h.guests[i])
        if victim < 0 or score > worst:
            victim = i
            worst = score
    return victim

cdef inline int64_t dying_until(const host_t *h) noexcept nogil:
    """When the first victim that the allocation at hand may hope for has given its memory back; 0 if there is none."""
    cdef int i
    cdef int64_t first = 0
    if h.nr_dying == 0:
        return 0
    for i in range(h.nr_guests):
        if h.guests[i].reaped_at and is_in_group(h.guests[i], h.oom_group) and (first == 0 or h.guests[i].reaped_at < first):
            first = h.guests[i].reaped_at
    return first

cdef inline int64_t next_reaped(const host_t *h) noexcept nogil:
    """When the reaper is done with the next victim; 0 if there is none."""
    cdef int i
    cdef int64_t first = 0
    for i in range(h.nr_guests if h.nr_dying else 0):
        if h.guests[i].reaped_at and (first == 0 or h.guests[i].reaped_at < first):
            first = h.guests[i].reaped_at
    return first

cdef inline void host_end_guest(host_t *h, backing_t *b, int64_t now) noexcept nogil:
    """A VMM was killed at a time (ns, above 0): its memory is free when the reaper is done."""
    if h.oom_reap_ns == 0:
        host_remove_guest(h, b)
    elif b.reaped_at == 0:
        b.reaped_at = now + h.oom_reap_ns
        h.nr_dying += 1

cdef inline backing_t *host_reap(host_t *h, int64_t now) noexcept nogil:
    """A victim that the reaper is done with, its memory given back; NULL if there is none."""
    cdef int i
    cdef backing_t *b
    for i in range(h.nr_guests if h.nr_dying else 0):
        b = h.guests[i]
        if b.reaped_at and b.reaped_at <= now:
            host_remove_guest(h, b)
            return b
    return NULL

cdef inline void host_kill(host_t *h, backing_t *b, int64_t now) noexcept nogil:
    """Kill a guest and count it; its backing is detached once the reaper is done."""
    h.vm.oom_kill += 1
    if h.oom_group != NO_GROUP:
        h.groups[h.oom_group].oom_kill += 1
    h.oom_group = NO_GROUP
    host_end_guest(h, b, now)

cdef inline backing_t *host_oom_kill(host_t *h, int64_t now) noexcept nogil:
    """Kill the victim; returns its backing, or NULL if nobody may be killed."""
    cdef int i = host_oom_victim(h)
    cdef backing_t *b
    if i < 0:
        return NULL
    b = h.guests[i]
    host_kill(h, b, now)
    return b

cdef inline int64_t committed_frames(const host_t *h) noexcept nogil:
    """Memory of all VMMs that counts as committed: configured RAM but that of the host's pool, and the VMMs' own."""
    cdef int i
    cdef int64_t frames = 0
    for i in range(h.nr_guests):
        frames += (0 if h.guests[i].pool_blocks else h.guests[i].ram_frames) + h.guests[i].vmm_frames
    return frames

cdef inline bint host_admits(
    const host_t *h, int64_t ram_frames, int64_t vmm, int mode, double ratio, double reservation
) noexcept nogil:
    """Criterion "admit": whether the RAM mapping of a new guest passes.

    mode: vm.overcommit_memory, OVERCOMMIT_*. ratio: vm.overcommit_ratio / 100. reservation: the sum of configured RAM
    may be at most this many times frames_total; 0 for no such rule. Reserves for administrator and user are left out.
    """
    cdef int i
    cdef int64_t configured = ram_frames
    for i in range(h.nr_guests):
        configured += h.guests[i].ram_frames
    if reservation > 0 and <double>configured > reservation * <double>h.frames_total:
        return False
    if mode == OVERCOMMIT_ALWAYS:
        return True
    if mode == OVERCOMMIT_GUESS:
        return ram_frames <= h.frames_total + swap_total(h)
    return <double>(committed_frames(h) + ram_frames + vmm) <= <double>swap_total(h) + ratio * <double>h.frames_total

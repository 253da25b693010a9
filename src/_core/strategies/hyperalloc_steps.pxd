"""HyperAlloc's host side over one guest's frames: who is installed, evicted or taken, and choosing what to work on.

A frame is 2^order pages, aligned. The VMM lists runs of frames when it begins, and looks at each frame again when it
comes to it: the guest runs meanwhile.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free

from hinting._core.common cimport PAGEBLOCK_ORDER, ZONE_DMA32, pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.discard cimport backing_discard
from hinting._core.host.state cimport backing_t, host_t
from hinting._core.mm.pages cimport zone_of
from hinting._core.mm.state cimport mm_t, zone_t
from hinting._core.strategies.hooks cimport MAX_POPULATE, block_t, strategy_t
from hinting._core.strategies.ranges cimport give_back, is_free_range, take_free

cdef enum:
    TICKET_RESIZE = 0
    TICKET_SCAN = 1

    FRAME_INSTALLED = 0                 # backed, or used without the allocator
    FRAME_EVICTED = 1                   # soft-reclaimed: not backed, the guest may take it and installs it then
    FRAME_HARD = 2                      # hard-reclaimed: not backed, taken away from the guest

    TREE_FRAMES = 8                     # huge frames of a tree of the allocator

ctypedef struct hyperalloc_t:
    strategy_t *s
    mm_t *m
    int order                           # of a frame
    int64_t nframes
    int64_t run_frames                  # most frames of a run, which the VMM works off without looking up
    uint8_t *frame                      # FRAME_*
    block_t *run[2]                     # by ticket: first page, and number of frames
    int64_t nr_runs[2]
    int64_t listed[2]                   # frames whose state was read for the list
    int64_t wanted                      # frames that shall be hard-reclaimed
    int64_t taken                       # frames that are
    int64_t hard_reclaimed
    int64_t soft_reclaimed
    int64_t returned
    int64_t installed
    int64_t scans
    int64_t discards                    # calls
    int64_t short_of                    # rounds of a resize that found too few free frames

cdef inline bint is_eligible(hyperalloc_t *t, int64_t f) noexcept nogil:
    """Whether the frame lies in a zone that is looked at: all but DMA."""
    cdef zone_t *z = zone_of(t.m, <pfn_t>f << t.order)
    return z != NULL and z.index >= ZONE_DMA32

cdef inline bint hyperalloc_init(hyperalloc_t *t, mm_t *m) noexcept nogil:
    """No frame is backed yet: all that the allocator has begins evicted, what it never sees installed."""
    cdef int64_t f
    cdef int i
    t.m = m
    t.nframes = m.npfn >> t.order
    t.frame = <uint8_t *>calloc(t.nframes + 1, 1)
    for i in range(2):
        t.run[i] = <block_t *>calloc(t.nframes + 1, sizeof(block_t))
    if t.frame == NULL or t.run[0] == NULL or t.run[1] == NULL:
        return False
    for f in range(t.nframes):
        if is_eligible(t, f) and is_free_range(m, <pfn_t>f << t.order, t.order):
            t.frame[f] = FRAME_EVICTED
    return True

cdef inline void hyperalloc_free(hyperalloc_t *t) noexcept nogil:
    free(t.frame)
    free(t.run[0])
    free(t.run[1])

cdef inline bint is_free_frame(hyperalloc_t *t, int64_t f) noexcept nogil:
    return is_eligible(t, f) and is_free_range(t.m, <pfn_t>f << t.order, t.order)

cdef inline void request_backing(hyperalloc_t *t, int64_t f) noexcept nogil:
    cdef int64_t i
    for i in range(<int64_t>1 << (t.order - PAGEBLOCK_ORDER)):
        if t.s.nr_populate < MAX_POPULATE:
            t.s.populate[t.s.nr_populate] = (<pfn_t>f << t.order) + (<pfn_t>i << PAGEBLOCK_ORDER)
            t.s.nr_populate += 1

cdef inline void install(hyperalloc_t *t, pfn_t pfn, int order) noexcept nogil:
    """The guest takes pages: frames that are evicted are to be backed first."""
    cdef int64_t f
    for f in range(pfn >> t.order, ((pfn + (<pfn_t>1 << order) - 1) >> t.order) + 1):
        if f >= t.nframes or t.frame[f] != FRAME_EVICTED:
            continue
        t.frame[f] = FRAME_INSTALLED
        t.installed += 1
        request_backing(t, f)

cdef inline bint is_due(hyperalloc_t *t, int ticket, int64_t f) noexcept nogil:
    """Whether a frame is one that the VMM goes for."""
    if ticket == TICKET_SCAN:
        return t.frame[f] == FRAME_INSTALLED and is_free_frame(t, f)
    if t.wanted > t.taken:
        return t.frame[f] != FRAME_HARD and is_free_frame(t, f)
    return t.wanted < t.taken and t.frame[f] == FRAME_HARD

cdef inline void list_runs(hyperalloc_t *t, int ticket) noexcept nogil:
    """List the runs of frames to work on, ascending."""
    cdef int64_t f, n = 0, most = t.nframes
    cdef block_t *run = t.run[ticket]
    t.listed[ticket] = t.nframes
    if ticket == TICKET_RESIZE:
        most = t.wanted - t.taken if t.wanted > t.taken else t.taken - t.wanted
    for f in range(t.nframes):
        if most == 0:
            break
        if not is_due(t, ticket, f):
            continue
        most -= 1
        if n and run[n - 1].order < t.run_frames and f == (run[n - 1].pfn >> t.order) + run[n - 1].order:
            run[n - 1].order += 1
            continue
        run[n].pfn = <pfn_t>f << t.order
        run[n].order = 1
        n += 1
    if n == 0:                          # the look-up itself takes its time
        run[0].pfn = 0
        run[0].order = 0
        n = 1
    t.nr_runs[ticket] = n

cdef inline void drop(
    hyperalloc_t *t, host_t *h, backing_t *b, const costs_t *c, int64_t first, int64_t n, int running_vcpus,
    double *host_ns, double *stolen_ns,
) noexcept nogil:
    """Discard n adjoining frames in one call."""
    if n == 0:
        return
    backing_discard(h, b, c, <pfn_t>first << t.order, n << t.order, n << t.order, running_vcpus, host_ns, stolen_ns)
    t.discards += 1

cdef inline bint work_frame(hyperalloc_t *t, int ticket, int64_t f, const costs_t *c, double *host_ns) noexcept nogil:
    """Evict, take or return one frame if it still is as it was; True if what backs it is to be discarded.

    Taking a frame is an allocation, returning it a free, without the struct pages that this allocator's shared state lacks.
    """
    cdef bint is_backed = t.frame[f] == FRAME_INSTALLED
    if not is_due(t, ticket, f):
        return False
    if ticket == TICKET_SCAN:
        t.frame[f] = FRAME_EVICTED
        t.soft_reclaimed += 1
        host_ns[0] += c.guest_isolate_page
        return True
    if t.frame[f] == FRAME_HARD:
        give_back(t.m, 0, <pfn_t>f << t.order, t.order)
        t.frame[f] = FRAME_EVICTED
        t.taken -= 1
        t.s.gone -= <int64_t>1 << t.order
        t.returned += 1
        host_ns[0] += c.guest_zone_lock_uncontended + c.guest_buddy_free_direct
        return False
    take_free(t.m, 0, <pfn_t>f << t.order, t.order)
    t.frame[f] = FRAME_HARD
    t.taken += 1
    t.s.gone += <int64_t>1 << t.order
    t.hard_reclaimed += 1
    host_ns[0] += c.guest_buddy_alloc_order9
    return is_backed

cdef inline void work_run(
    hyperalloc_t *t, int ticket, host_t *h, backing_t *b, const costs_t *c, const block_t *run, int running_vcpus,
    double *host_ns, double *stolen_ns,
) noexcept nogil:
    """Work off a run; adjoining frames are discarded together. The first one also bears the look-up of all frames."""
    cdef int64_t f, first = run.pfn >> t.order, pending = 0
    if run == t.run[ticket]:
        host_ns[0] += t.listed[ticket] * c.guest_scan_free_list_entry
    for f in range(first, first + run.order):
        if work_frame(t, ticket, f, c, host_ns):
            pending += 1
            continue
        drop(t, h, b, c, f - pending, pending, running_vcpus, host_ns, stolen_ns)
        pending = 0
    drop(t, h, b, c, first + run.order - pending, pending, running_vcpus, host_ns, stolen_ns)

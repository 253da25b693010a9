"""What v1 to v7 do with a full array: look at the pages, gather runs of free ones, compress, send."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport qsort
from libc.string cimport memset

from hinting._core.common cimport MAX_ORDER, NO_PFN, pfn_t
from hinting._core.mm.pages cimport TAG_COMPOUND, TAG_ORDER, covering, tag_is_buddy, tag_is_used
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.hooks cimport strategy_t, submit
from hinting._core.strategies.lists cimport list_append, list_is_back, list_leaves, list_t, lists_t, take_list

cdef extern from *:
    int __builtin_ctz(unsigned int) nogil
    int __builtin_clzll(unsigned long long) nogil

ctypedef struct run_t:                  # an empty slot has pfn 0
    int64_t pfn
    int64_t pages
    int64_t unchecked                   # of these, pages that nobody looked at

ctypedef struct cpu_array_t:
    run_t *kvm_pt
    int64_t kvm_pt_idx

ctypedef struct v1_t:
    strategy_t *s
    cpu_array_t *cpu
    int ncpus
    int64_t entries
    int64_t threshold                   # runs that are worth a hypercall
    bint keep_remainder                 # unsent runs go back to the CPU's array (description), else they are lost
    bint track_run                      # a run that goes on stays the same run (description)
    run_t *hyper                        # hypervisor_pagelist, shared by all CPUs
    int64_t hyp_idx
    lists_t lists
    int64_t slow_paths
    int64_t compressions
    int64_t hypercalls
    int64_t checked_pages               # pages found free
    int64_t non_buddy_pages             # of these, pages on no free list: per-CPU list, or half-way through freeing
    int64_t tail_pages                  # of these, pages of an allocated block behind its first one
    int64_t sent_pages
    int64_t lost_pages                  # found free, and never sent
    int64_t unsafe_hint                 # pages sent that nobody looked at
    int64_t discarded_in_use            # pages that the host dropped while the guest used them

cdef inline int64_t lowest(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b

cdef inline int by_pfn(const void *a, const void *b) noexcept nogil:
    cdef int64_t x = (<const run_t *>a).pfn
    cdef int64_t y = (<const run_t *>b).pfn
    return (x > y) - (x < y)

cdef inline int64_t merge_runs(run_t *run, int64_t n) noexcept nogil:
    """Merge sorted runs that overlap or touch, pack the rest to the front; how many are left. Empty slots vanish."""
    cdef int64_t i, kept = 0, end
    for i in range(n):
        if run[i].pfn == 0:
            continue
        if kept and run[i].pfn <= run[kept - 1].pfn + run[kept - 1].pages:
            end = run[i].pfn + run[i].pages - run[kept - 1].pfn
            if end > run[kept - 1].pages:
                run[kept - 1].pages = end
            run[kept - 1].unchecked += run[i].unchecked
            continue
        run[kept] = run[i]
        kept += 1
    memset(&run[kept], 0, (n - kept) * sizeof(run_t))
    return kept

cdef inline void compress(v1_t *v) noexcept nogil:
    """Sort and merge the shared list; its index becomes that of the last run, or stays if nothing was merged."""
    cdef int64_t n = v.hyp_idx + 1
    cdef int64_t i, filled = 0
    for i in range(n):
        filled += v.hyper[i].pfn != 0
    v.compressions += 1
    v.s.work.compares += n * (64 - __builtin_clzll(n))
    qsort(v.hyper, n, sizeof(run_t), by_pfn)
    n = merge_runs(v.hyper, n)
    if n < filled:
        v.hyp_idx = n - 1

cdef inline bint append_run(list_t *a, int64_t pfn, int64_t pages) noexcept nogil:
    """Append a run as the aligned blocks that it consists of."""
    cdef int order
    while pages > 0:
        order = __builtin_ctz(<unsigned int>pfn) if pfn else MAX_ORDER
        if order > MAX_ORDER:
            order = MAX_ORDER
        while pages < <int64_t>1 << order:
            order -= 1
        if not list_append(a, <pfn_t>pfn, order):
            return False
        pfn += <int64_t>1 << order
        pages -= <int64_t>1 << order
    return True

cdef inline void send(v1_t *v) noexcept nogil:
    """The hypercall: all runs of the shared list, which is empty afterwards."""
    cdef int64_t i, n = v.hyp_idx + 1
    cdef int ticket = take_list(&v.lists)
    cdef bint fits = ticket >= 0
    for i in range(n):
        fits = fits and append_run(&v.lists.list[ticket], v.hyper[i].pfn, v.hyper[i].pages)
    if fits:
        list_leaves(&v.lists, ticket)
        if not submit(v.s, ticket):
            list_is_back(&v.lists, ticket)
            fits = False
    for i in range(n):
        if fits:
            v.sent_pages += v.hyper[i].pages
            v.unsafe_hint += v.hyper[i].unchecked
        else:
            v.lost_pages += v.hyper[i].pages
    if fits:
        v.hypercalls += 1
    elif ticket >= 0:
        v.lists.list[ticket].taken = False
    memset(v.hyper, 0, n * sizeof(run_t))

cdef inline int64_t run_in_progress(v1_t *v, int64_t last) noexcept nogil:
    """Index of the run that ends with page `last`, after a compression (description)."""
    cdef int64_t i
    for i in range(v.hyp_idx + 1):
        if v.hyper[i].pfn <= last < v.hyper[i].pfn + v.hyper[i].pages:
            return i
    return -1

cdef inline int64_t open_run(v1_t *v, int64_t pfn) noexcept nogil:
    """A new run of one page; if it takes the last slot, compress and perhaps send. Where the run goes on.

    Source: it goes on at the index whatever lies there: after a send the empty slot 0, after a compression the run of
    the highest pfn.
    """
    v.hyp_idx += 1
    v.hyper[v.hyp_idx].pfn = pfn
    v.hyper[v.hyp_idx].pages = 1
    v.hyper[v.hyp_idx].unchecked = 0
    if v.hyp_idx < v.entries - 1:
        return v.hyp_idx
    compress(v)
    if v.hyp_idx >= v.threshold:
        send(v)
        v.hyp_idx = -1 if v.track_run else 0
        return v.hyp_idx
    return run_in_progress(v, pfn) if v.track_run else v.hyp_idx

cdef inline void lengthen(v1_t *v, int64_t slot, int64_t pfn, int64_t pages) noexcept nogil:
    """Free pages from pfn on are credited to the run in a slot, whatever it holds."""
    cdef run_t *run = &v.hyper[slot]
    if v.track_run:                     # the run may have been merged with one that goes further
        if pfn + pages > run.pfn + run.pages:
            run.pages = pfn + pages - run.pfn
        return
    if run.pfn == 0:
        v.lost_pages += pages
    elif run.pfn + run.pages != pfn:
        run.unchecked += pages
        v.lost_pages += pages
    run.pages += pages

cdef inline int64_t add_free(v1_t *v, int64_t slot, int64_t pfn, int64_t pages) noexcept nogil:
    """Free pages from pfn on, behind the run in `slot` or (-1) as a new one; the slot where the run goes on."""
    v.checked_pages += pages
    if slot < 0:
        slot = open_run(v, pfn)
        pfn += 1
        pages -= 1
    if pages and slot < 0:              # sent, and the rest is a new run (description)
        slot = open_run(v, pfn)
        pfn += 1
        pages -= 1
    if pages:
        lengthen(v, slot, pfn, pages)
    return slot

cdef inline void check_entry(v1_t *v, mm_t *m, const run_t *entry) noexcept nogil:
    """Look at each page of an entry: free is what has no reference and is no part of a compound page."""
    cdef int64_t at = entry.pfn, end = entry.pfn + entry.pages, n
    cdef int64_t slot = -1
    cdef pfn_t head = NO_PFN
    cdef uint8_t tag
    while at < end:
        tag = covering(m, <pfn_t>at, &head)
        if tag == 0:                    # never handed to the allocator
            at += 1
            slot = -1
            continue
        n = lowest(<int64_t>head + (<int64_t>1 << (tag & TAG_ORDER)), end) - at
        if tag_is_used(tag) and tag & TAG_COMPOUND:
            at = <int64_t>head + (<int64_t>1 << (tag & TAG_ORDER))
            slot = -1
            v.s.work.probes += 1
            continue
        if tag_is_used(tag) and head == at:
            at += 1
            slot = -1
            v.s.work.probes += 1
            continue
        if tag_is_used(tag):
            v.tail_pages += n
        elif not tag_is_buddy(tag):
            v.non_buddy_pages += n
        v.s.work.probes += n
        slot = add_free(v, slot, at, n)
        at += n

cdef inline void keep_remainder(v1_t *v, cpu_array_t *c) noexcept nogil:
    """Compress once more; send if it is worth it, else take the runs back into the CPU's array (description)."""
    cdef int64_t i
    if v.hyp_idx < 0:
        return
    compress(v)
    if v.hyp_idx + 1 >= v.threshold:
        send(v)
        return
    for i in range(v.hyp_idx + 1):
        c.kvm_pt[i] = v.hyper[i]
    c.kvm_pt_idx = v.hyp_idx + 1

cdef inline void drop_remainder(v1_t *v) noexcept nogil:
    """Runs that were not sent are overwritten by the next slow path (source)."""
    cdef int64_t i
    for i in range(v.hyp_idx + 1):
        if v.hyper[i].pfn:
            v.lost_pages += v.hyper[i].pages - v.hyper[i].unchecked

cdef inline void slow_path(v1_t *v, mm_t *m, cpu_array_t *c) noexcept nogil:
    """Work off a CPU's array with the global seqlock held for writing."""
    cdef int64_t i, n = c.kvm_pt_idx
    v.slow_paths += 1
    v.s.work.locks += 1
    memset(v.hyper, 0, v.entries * sizeof(run_t))
    v.hyp_idx = -1
    for i in range(n):
        check_entry(v, m, &c.kvm_pt[i])
    c.kvm_pt_idx = 0
    if v.keep_remainder:
        keep_remainder(v, c)
    else:
        drop_remainder(v)

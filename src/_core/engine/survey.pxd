"""Samples of guests' memory while a simulation runs. Taking one changes nothing that is emulated.

A sample is taken before the first event that is due at its time or later. With a limit of samples, every second one is
dropped when it is reached and time between samples doubles: a run of any length has between half the limit and the limit.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from hinting._core.common cimport MAX_ORDER, NR_ORDERS, NR_ZONES, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, pfn_t
from hinting._core.engine.machine cimport GUEST_FINE, machine_t, simulation_t
from hinting._core.engine.pagecache cimport EVICTED, file_t
from hinting._core.engine.survey_state cimport free_row_t, pageblock_row_t, pageblock_t, seen_t, survey_t
from hinting._core.host.words cimport popcount, span
from hinting._core.mm.pages cimport TAG_ISOLATED, TAG_KIND, TAG_ORDER, TAG_REPORTED, tag_is_used
from hinting._core.mm.state cimport mm_t
from hinting._core.mm.times cimport STAMP_GIVEN

cdef class Survey:
    """Samples, and the memory for them."""

    cdef survey_t s

# -- one guest ---------------------------------------------------------------------------------------------------

cdef inline int64_t given_pages(const machine_t *g, pfn_t pfn, int n) noexcept nogil:
    cdef const uint32_t *stamp = &g.mm.times.stamp[pfn]
    cdef int64_t pages = 0
    cdef int i
    for i in range(n):
        pages += (stamp[i] & STAMP_GIVEN) != 0
    return pages

cdef inline int64_t backed_pages(const machine_t *g, pfn_t pfn, int n) noexcept nogil:
    cdef int64_t at = pfn, end = <int64_t>pfn + n, pages = 0
    cdef int lo, hi
    while at < end:
        lo = at & 63
        hi = <int>(lo + end - at) if lo + end - at < 64 else 64
        pages += popcount(g.backing.blocks[at >> PAGEBLOCK_ORDER].present[at >> 6 & 7] & span(lo, hi))
        at += hi - lo
    return pages

cdef inline void count_pages(const machine_t *g, pageblock_t *b, pfn_t pfn, int n, uint8_t tag) noexcept nogil:
    """n pages of one pageblock that belong to a block with this tag."""
    cdef int64_t given
    if tag_is_used(tag):
        b.used += n
        return
    if (tag & TAG_KIND) == TAG_ISOLATED:
        b.isolated += n
    else:
        given = n if (tag & TAG_KIND) == TAG_REPORTED else given_pages(g, pfn, n)
        b.reported += given
        b.free += n - given
    b.free_backed += backed_pages(g, pfn, n)

cdef inline void count_cache(const machine_t *g, pageblock_t *out) noexcept nogil:
    """Pages of the page cache: used ones that are called by their other name."""
    cdef uint32_t file
    cdef const file_t *f
    cdef pageblock_t *b
    cdef int64_t i
    for file in range(g.cache.nr_files):
        f = &g.cache.file[file]
        for i in range(f.end):
            if f.page[i] and not f.page[i] & EVICTED:
                b = &out[f.page[i] >> PAGEBLOCK_ORDER]
                b.cache += 1
                b.used -= 1

cdef inline void count_pageblocks(const machine_t *g, pageblock_t *out, int64_t nblocks) noexcept nogil:
    """All pageblocks of a living guest."""
    cdef const mm_t *m = g.mm
    cdef int64_t at = 0, end, part
    cdef uint8_t tag
    cdef int order
    memset(out, 0, nblocks * sizeof(pageblock_t))
    while at < m.npfn:
        tag = 0
        if at & ((1 << MAX_ORDER) - 1) == 0:
            tag = m.big_tag[at >> MAX_ORDER]
        if tag == 0:
            tag = m.tag[at]
        if tag == 0:
            at += 1
            continue
        order = tag & TAG_ORDER
        end = at + (<int64_t>1 << order)
        while at < end:
            part = min(end - at, <int64_t>PAGEBLOCK_PAGES)
            count_pages(g, &out[at >> PAGEBLOCK_ORDER], <pfn_t>at, <int>part, tag)
            at += part
    count_cache(g, out)
    for at in range(nblocks):
        for order in range(PAGEBLOCK_PAGES >> 6):
            out[at].backed += popcount(g.backing.blocks[at].present[order])

# -- samples -----------------------------------------------------------------------------------------------------

cdef inline bint room_for_guests(survey_t *s, const simulation_t *sim) noexcept nogil:
    """Guests that were launched since the last sample: as if they had had no memory."""
    cdef int i
    cdef int64_t n
    cdef void *grown
    if s.nr_seen < sim.nr_machines:
        grown = realloc(s.seen, sim.nr_machines * sizeof(seen_t))
        if grown == NULL:
            return False
        s.seen = <seen_t *>grown
        while s.nr_seen < sim.nr_machines:
            i = s.nr_seen
            n = (<int64_t>sim.machine[i].mm.npfn + PAGEBLOCK_PAGES - 1) >> PAGEBLOCK_ORDER
            s.seen[i].block = <pageblock_t *>calloc(n, sizeof(pageblock_t))
            if s.seen[i].block == NULL:
                return False
            s.seen[i].nblocks = n
            s.nr_seen += 1
            if n > s.now_size:
                grown = realloc(s.now, n * sizeof(pageblock_t))
                if grown == NULL:
                    return False
                s.now = <pageblock_t *>grown
                s.now_size = n
    return True

cdef inline bint room_for_rows(survey_t *s, int64_t more) noexcept nogil:
    cdef int64_t size = 2 * s.nr_rows + more
    cdef void *grown
    if s.nr_rows + more > s.rows_size:
        grown = realloc(s.row, size * sizeof(pageblock_row_t))
        if grown == NULL:
            return False
        s.row = <pageblock_row_t *>grown
        s.rows_size = size
    return True

cdef inline bint room_for_sample(survey_t *s, int guests) noexcept nogil:
    cdef void *grown
    if s.n == s.size:
        grown = realloc(s.t_ns, (2 * s.size + 64) * sizeof(int64_t))
        if grown == NULL:
            return False
        s.t_ns = <int64_t *>grown
        s.size = 2 * s.size + 64
    if s.nr_free_rows + guests > s.free_rows_size:
        grown = realloc(s.free_row, (2 * s.nr_free_rows + guests) * sizeof(free_row_t))
        if grown == NULL:
            return False
        s.free_row = <free_row_t *>grown
        s.free_rows_size = 2 * s.nr_free_rows + guests
    return True

cdef inline void note_free_blocks(survey_t *s, const machine_t *g) noexcept nogil:
    cdef free_row_t *r = &s.free_row[s.nr_free_rows]
    cdef int zone, order
    memset(r, 0, sizeof(free_row_t))
    r.sample = s.n
    r.guest = g.number
    for zone in range(NR_ZONES):
        if g.mm.zone[zone].populated:
            for order in range(NR_ORDERS):
                r.blocks[order] += <uint32_t>g.mm.zone[zone].nr_free[order]
    s.nr_free_rows += 1

cdef inline bint note_pageblocks(survey_t *s, const machine_t *g) noexcept nogil:
    """Rows of the pageblocks that have changed; a guest that was killed has no pages any more."""
    cdef seen_t *seen = &s.seen[g.number]
    cdef int64_t i
    if g.state == GUEST_FINE:
        count_pageblocks(g, s.now, seen.nblocks)
    else:
        memset(s.now, 0, seen.nblocks * sizeof(pageblock_t))
    for i in range(seen.nblocks):
        if memcmp(&s.now[i], &seen.block[i], sizeof(pageblock_t)) == 0:
            continue
        if not room_for_rows(s, 1):
            return False
        s.row[s.nr_rows].sample = s.n
        s.row[s.nr_rows].guest = g.number
        s.row[s.nr_rows].block = <uint32_t>i
        s.row[s.nr_rows].pages = s.now[i]
        s.nr_rows += 1
    memcpy(seen.block, s.now, seen.nblocks * sizeof(pageblock_t))
    return True

cdef inline bint before(const pageblock_row_t *a, const pageblock_row_t *b) noexcept nogil:
    return a.guest < b.guest or (a.guest == b.guest and a.block < b.block)

cdef inline bint drop_every_second(survey_t *s) noexcept nogil:
    """Samples 1, 3, 5 ... are dropped; what changed in them counts as changed in the next one."""
    cdef pageblock_row_t *kept = <pageblock_row_t *>calloc(s.nr_rows + 1, sizeof(pageblock_row_t))
    cdef int64_t a = 0, b, a_end, n = 0, i
    cdef int sample
    if kept == NULL:
        return False
    while a < s.nr_rows:
        sample = (s.row[a].sample + 1) // 2
        a_end = a
        while a_end < s.nr_rows and s.row[a_end].sample < 2 * sample:
            a_end += 1
        b = a_end
        while a < a_end or (b < s.nr_rows and s.row[b].sample == 2 * sample):
            if b == s.nr_rows or s.row[b].sample != 2 * sample or (a < a_end and before(&s.row[a], &s.row[b])):
                kept[n] = s.row[a]
                a += 1
            else:
                if a < a_end and not before(&s.row[b], &s.row[a]):
                    a += 1                  # the same block changed in both
                kept[n] = s.row[b]
                b += 1
            kept[n].sample = sample
            n += 1
        a = b
    free(s.row)
    s.row = kept
    s.rows_size = s.nr_rows + 1
    s.nr_rows = n
    n = 0
    for i in range(s.nr_free_rows):
        if s.free_row[i].sample % 2 == 0:
            s.free_row[n] = s.free_row[i]
            s.free_row[n].sample //= 2
            n += 1
    s.nr_free_rows = n
    s.n = (s.n + 1) // 2
    for i in range(s.n):
        s.t_ns[i] = s.t_ns[2 * i]
    s.every_ns *= 2
    return True

cdef inline void take_sample(survey_t *s, const simulation_t *sim, int64_t t) noexcept nogil:
    """Look at every guest at the time t."""
    cdef int i
    if s.failed or (s.n and s.t_ns[s.n - 1] >= t):
        return
    s.failed = not room_for_guests(s, sim) or not room_for_sample(s, sim.nr_machines)
    for i in range(sim.nr_machines):
        if s.failed:
            return
        s.failed = not note_pageblocks(s, sim.machine[i])
        if sim.machine[i].state == GUEST_FINE:
            note_free_blocks(s, sim.machine[i])
    s.t_ns[s.n] = t
    s.n += 1
    if s.most and s.n == s.most:
        s.failed = not drop_every_second(s)
    s.next_ns = (t // s.every_ns + 1) * s.every_ns

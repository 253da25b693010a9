"""Writes to swap that are under way, and slots that are given back: what eviction, faults and discards share."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hinting._core.host.frames cimport give
from hinting._core.host.lru cimport lru_del
from hinting._core.host.reclaim_state cimport MAX_WRITES, UNIT_WORDS, aged_t, reclaim_t, write_t
from hinting._core.host.slots cimport free_slot
from hinting._core.host.state cimport BLOCK_ORDER, WORD_PAGES, backing_t, host_t
from hinting._core.host.words cimport first_bit, popcount

cdef inline int64_t time_of(const host_t *h, const double *ns) noexcept nogil:
    return h.now + <int64_t>ns[0]

cdef inline backing_t *guest_by_id(const host_t *h, uint32_t number) noexcept nogil:
    """The living guest with this launch number, or NULL: guests are kept in the order of launch."""
    cdef int lo = 0, hi = h.nr_guests, mid
    while lo < hi:
        mid = (lo + hi) // 2
        if h.guests[mid].id < number:
            lo = mid + 1
        else:
            hi = mid
    return h.guests[lo] if lo < h.nr_guests and h.guests[lo].id == number else NULL

# Writes in flight

cdef inline void settle_writes(host_t *h, int64_t now) noexcept nogil:
    """Free the frames of all writes that are done."""
    cdef reclaim_t *r = h.reclaim
    cdef write_t *io
    cdef backing_t *b
    cdef aged_t *a
    cdef int64_t n
    while r.nr_writes:
        io = &r.writes[r.first_write]
        if io.done > now:
            return
        b = guest_by_id(h, io.guest) if io.pages else NULL
        if b != NULL:
            a = &b.aged[io.word // UNIT_WORDS]
            a.cached[io.word % UNIT_WORDS] &= ~io.pages
            a.writing[io.word % UNIT_WORDS] &= ~io.pages
            n = popcount(io.pages)
            b.swap_cache -= n
            r.pages_in_flight -= n
            give(h, n)
        r.first_write = (r.first_write + 1) % MAX_WRITES
        r.nr_writes -= 1

cdef inline void wait_write(host_t *h, double *ns) noexcept nogil:
    """Wait for the oldest write."""
    cdef int64_t now = time_of(h, ns)
    cdef int64_t done = h.reclaim.writes[h.reclaim.first_write].done
    if done > now:
        h.reclaim.waited += <double>(done - now)
        ns[0] += <double>(done - now)
        now = done
    settle_writes(h, now)

cdef inline void make_write_room(host_t *h, int words, double *ns) noexcept nogil:
    """The queue of the device is short: whoever writes waits for room in it."""
    while h.reclaim.nr_writes + words > MAX_WRITES:
        wait_write(h, ns)

cdef inline void push_write(host_t *h, const backing_t *b, uint32_t word, uint64_t pages, int64_t done) noexcept nogil:
    cdef reclaim_t *r = h.reclaim
    cdef write_t *io = &r.writes[(r.first_write + r.nr_writes) % MAX_WRITES]
    if r.nr_writes:
        done = max(done, r.writes[(r.first_write + r.nr_writes - 1) % MAX_WRITES].done)
    io.guest = b.id
    io.word = word
    io.pages = pages
    io.done = done
    r.nr_writes += 1
    r.pages_in_flight += popcount(pages)

cdef inline int64_t count_in_flight(const host_t *h) noexcept nogil:
    """Recount of pages_in_flight."""
    cdef int i
    cdef int64_t n = 0
    for i in range(h.reclaim.nr_writes):
        n += popcount(h.reclaim.writes[(h.reclaim.first_write + i) % MAX_WRITES].pages)
    return n

cdef inline void cancel_writes(host_t *h, backing_t *b, uint32_t word, uint64_t pages) noexcept nogil:
    """Pages of a word need their frames after all, or are gone: the end of their writes frees nothing."""
    cdef reclaim_t *r = h.reclaim
    cdef int i
    cdef write_t *io
    for i in range(r.nr_writes):
        io = &r.writes[(r.first_write + i) % MAX_WRITES]
        if io.word == word and io.guest == b.id:
            r.pages_in_flight -= popcount(io.pages & pages)
            io.pages &= ~pages
    b.aged[word // UNIT_WORDS].writing[word % UNIT_WORDS] &= ~pages

# Slots of a guest

cdef inline void free_slots(host_t *h, backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Give the slots of pages of a word back."""
    cdef uint64_t first = (i << BLOCK_ORDER) + w * WORD_PAGES
    b.swap_slots -= popcount(pages)
    while pages:
        free_slot(&h.reclaim.slots, b.slots[first + first_bit(pages)])
        pages &= pages - 1

cdef inline void drop_copies(host_t *h, backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """The guest writes to present pages: their copies in swap are no longer valid."""
    pages &= b.aged[i].copied[w]
    if pages:
        free_slots(h, b, i, w, pages)
        b.aged[i].copied[w] &= ~pages

cdef inline void forget_swapped(host_t *h, backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Swapped pages of a word are not wanted any more: their slots and frames are free at once, without I/O."""
    cdef aged_t *a = &b.aged[i]
    cdef int64_t frames = popcount(pages & a.cached[w])
    if pages & a.cached[w] & ~a.writing[w]:
        lru_del(b, i, w, pages & a.cached[w] & ~a.writing[w])
    if pages & a.writing[w]:
        cancel_writes(h, b, <uint32_t>(i * UNIT_WORDS + w), pages & a.writing[w])
    free_slots(h, b, i, w, pages)
    a.cached[w] &= ~pages
    a.swapped[w] &= ~pages
    b.swap_cache -= frames
    b.swapped_pages -= popcount(pages)
    give(h, frames)

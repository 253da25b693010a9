"""Recount of what the host keeps for swap: states of pages, lists, slots, writes in flight."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hinting._core.host.lru cimport is_linked, on_list, on_lists, unit_of
from hinting._core.host.reclaim_state cimport ACTIVE, INACTIVE, NR_LISTS, UNIT_WORDS, aged_t, slots_t
from hinting._core.host.slots cimport slot_is_used
from hinting._core.host.state cimport (
    BLOCK_ORDER,
    FOLIO_HUGE,
    FOLIO_SMALL,
    PMD_TABLE,
    WORD_PAGES,
    backing_t,
    block_t,
    host_t,
)
from hinting._core.host.swapcache cimport count_in_flight
from hinting._core.host.words cimport first_bit, popcount

cdef enum:
    SWAP_SOUND = 0
    SWAP_STATE = 1
    SWAP_LISTS = 2
    SWAP_SLOTS = 3
    SWAP_COUNTS = 4
    SWAP_WRITES = 5

ctypedef struct swap_recount_t:
    int64_t swapped
    int64_t slots
    int64_t cached
    int64_t writing
    int64_t listed[NR_LISTS]            # pages
    int64_t units[NR_LISTS]

cdef inline bint are_slots_sound(const host_t *h, const backing_t *b, uint64_t first, uint64_t pages) noexcept nogil:
    """Each of these pages owns its slot."""
    cdef const slots_t *s = &h.reclaim.slots
    cdef uint64_t page
    cdef int64_t slot
    while pages:
        page = first + first_bit(pages)
        slot = b.slots[page]
        if slot >= s.total or not slot_is_used(s, slot) or s.page[slot] != page or s.guest[slot] != b.id:
            return False
        pages &= pages - 1
    return True

cdef inline int recount_aged(const host_t *h, const backing_t *b, uint64_t i, swap_recount_t *r) noexcept nogil:
    """Check one block and add it to the sums."""
    cdef const block_t *block = &b.blocks[i]
    cdef const aged_t *a = &b.aged[i]
    cdef bint is_huge = block.folio == FOLIO_HUGE
    cdef int w, which
    cdef uint64_t pages, wrong
    for w in range(UNIT_WORDS):
        wrong = (a.swapped[w] & block.present[w]) | (a.cached[w] & ~a.swapped[w]) | (a.writing[w] & ~a.cached[w])
        wrong |= (a.copied[w] & ~block.present[w]) | (a.active[w] & ~on_lists(block, a, w))
        wrong |= (a.referenced[w] | a.accessed[w]) & ~on_lists(block, a, w)
        if wrong or (a.swapped[w] and (block.pmd != PMD_TABLE or block.folio != FOLIO_SMALL)):
            return SWAP_STATE
        if is_huge and (a.copied[w] or a.active[w] != a.active[0]):
            return SWAP_STATE
        if not are_slots_sound(h, b, (i << BLOCK_ORDER) + w * WORD_PAGES, a.swapped[w] | a.copied[w]):
            return SWAP_SLOTS
        r.swapped += popcount(a.swapped[w])
        r.slots += popcount(a.swapped[w] | a.copied[w])
        r.cached += popcount(a.cached[w])
        r.writing += popcount(a.writing[w])
        for which in range(NR_LISTS):
            pages = on_list(block, a, w, which)
            r.listed[which] += popcount(pages)
            r.units[which] += is_linked(b, <uint32_t>(i * UNIT_WORDS + w), which)
            if is_linked(b, <uint32_t>(i * UNIT_WORDS + w), which) != (pages != 0 and (w == 0 or not is_huge)):
                return SWAP_LISTS
    return SWAP_SOUND

cdef inline bint is_list_sound(const backing_t *b, int which, int64_t units) noexcept nogil:
    cdef uint32_t at = b.list[which].head, prev = 0
    cdef int64_t n = 0
    while at:
        if n == units or at > b.nblocks * UNIT_WORDS or not is_linked(b, at - 1, which):
            return False
        if unit_of(<backing_t *>b, at - 1, which).prev != prev:
            return False
        prev = at
        at = unit_of(<backing_t *>b, at - 1, which).next
        n += 1
    return n == units and prev == b.list[which].tail

cdef inline int guest_swap_check(const host_t *h, const backing_t *b, int64_t *writing) noexcept nogil:
    """SWAP_SOUND, or what does not hold for this guest; adds its pages that are being written."""
    cdef swap_recount_t r
    cdef uint64_t i
    cdef int result
    r.swapped = r.slots = r.cached = r.writing = 0
    r.listed[INACTIVE] = r.listed[ACTIVE] = r.units[INACTIVE] = r.units[ACTIVE] = 0
    for i in range(b.nblocks):
        result = recount_aged(h, b, i, &r)
        if result != SWAP_SOUND:
            return result
    if r.swapped != b.swapped_pages or r.slots != b.swap_slots or r.cached != b.swap_cache:
        return SWAP_COUNTS
    if r.listed[INACTIVE] != b.list[INACTIVE].pages or r.listed[ACTIVE] != b.list[ACTIVE].pages:
        return SWAP_COUNTS
    if not is_list_sound(b, INACTIVE, r.units[INACTIVE]) or not is_list_sound(b, ACTIVE, r.units[ACTIVE]):
        return SWAP_LISTS
    writing[0] += r.writing
    return SWAP_SOUND

cdef inline int swap_check(const host_t *h) noexcept nogil:
    """SWAP_SOUND, or what does not hold for slots and writes of the whole host."""
    cdef const slots_t *s = &h.reclaim.slots
    cdef int64_t used = 0, owned = 0, writing = 0, i
    cdef int g, result
    for g in range(h.nr_guests):
        if h.guests[g].aged == NULL:    # locked, or of huge pages
            continue
        result = guest_swap_check(h, h.guests[g], &writing)
        if result != SWAP_SOUND:
            return result
        owned += h.guests[g].swap_slots
    for i in range((s.total + 63) // 64):
        used += popcount(s.map[i])
    if used != s.used or owned != s.used:
        return SWAP_SLOTS
    if writing != count_in_flight(h) or writing != h.reclaim.pages_in_flight:
        return SWAP_WRITES
    return SWAP_SOUND

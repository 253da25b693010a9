"""The two LRU lists of a guest: which word is older than which.

Follows the lruvec of a memory cgroup (Linux 6.12), as libvirt gives each VMM one. A list orders words of 64 pages, not
pages: pages that join a list on which their word already is take the word's place there. A huge folio is one unit, that
of its first word.
"""

from libc.math cimport floor, sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t

from hinting._core.host.reclaim_state cimport ACTIVE, INACTIVE, UNIT_WORDS, aged_t, list_t, unit_t
from hinting._core.host.state cimport BLOCK_PAGES, backing_t, block_t
from hinting._core.host.words cimport fill_block, popcount

cdef inline uint64_t on_lists(const block_t *block, const aged_t *a, int w) noexcept nogil:
    """Pages of a word that are on one of the lists."""
    return block.present[w] | (a.cached[w] & ~a.writing[w])

cdef inline uint64_t on_list(const block_t *block, const aged_t *a, int w, int which) noexcept nogil:
    cdef uint64_t pages = on_lists(block, a, w)
    return pages & a.active[w] if which == ACTIVE else pages & ~a.active[w]

cdef inline unit_t *unit_of(backing_t *b, uint32_t word, int which) noexcept nogil:
    return &b.aged[word // UNIT_WORDS].unit[which][word % UNIT_WORDS]

cdef inline void link_unit(backing_t *b, uint32_t word, int which, uint32_t newer) noexcept nogil:
    """Put a word behind the word number newer - 1, or at the head if newer is 0."""
    cdef list_t *ends = &b.list[which]
    cdef unit_t *u = unit_of(b, word, which)
    cdef uint32_t older = unit_of(b, newer - 1, which).next if newer else ends.head
    u.prev = newer
    u.next = older
    if newer:
        unit_of(b, newer - 1, which).next = word + 1
    else:
        ends.head = word + 1
    if older:
        unit_of(b, older - 1, which).prev = word + 1
    else:
        ends.tail = word + 1
    b.aged[word // UNIT_WORDS].linked[which] |= 1 << word % UNIT_WORDS

cdef inline void unlink_unit(backing_t *b, uint32_t word, int which) noexcept nogil:
    cdef list_t *ends = &b.list[which]
    cdef unit_t *u = unit_of(b, word, which)
    if u.prev:
        unit_of(b, u.prev - 1, which).next = u.next
    else:
        ends.head = u.next
    if u.next:
        unit_of(b, u.next - 1, which).prev = u.prev
    else:
        ends.tail = u.prev
    u.prev = u.next = 0
    b.aged[word // UNIT_WORDS].linked[which] &= ~(1 << word % UNIT_WORDS)

cdef inline bint is_linked(const backing_t *b, uint32_t word, int which) noexcept nogil:
    return b.aged[word // UNIT_WORDS].linked[which] >> (word % UNIT_WORDS) & 1

cdef inline void rotate_unit(backing_t *b, uint32_t word, int which) noexcept nogil:
    """Make a word of the list its newest."""
    if b.list[which].head != word + 1:
        unlink_unit(b, word, which)
        link_unit(b, word, which, 0)

cdef inline void lru_add(backing_t *b, uint64_t i, int w, uint64_t pages, int which) noexcept nogil:
    """Pages of a small-page word come on a list; their bits in present or cached may be set before or after."""
    cdef aged_t *a = &b.aged[i]
    cdef uint32_t word = <uint32_t>(i * UNIT_WORDS + w)
    if pages == 0:
        return
    if which == ACTIVE:
        a.active[w] |= pages
    else:
        a.active[w] &= ~pages
    b.list[which].pages += popcount(pages)
    if not is_linked(b, word, which):
        link_unit(b, word, which, 0)

cdef inline void lru_del(backing_t *b, uint64_t i, int w, uint64_t pages) noexcept nogil:
    """Pages of a small-page word leave the lists; must be called while their bits in present or cached are set."""
    cdef aged_t *a = &b.aged[i]
    cdef uint32_t word = <uint32_t>(i * UNIT_WORDS + w)
    cdef uint64_t left = on_lists(&b.blocks[i], a, w) & ~pages
    b.list[ACTIVE].pages -= popcount(pages & a.active[w])
    b.list[INACTIVE].pages -= popcount(pages & ~a.active[w])
    a.active[w] &= ~pages
    a.accessed[w] &= ~pages
    a.referenced[w] &= ~pages
    if left & a.active[w] == 0 and is_linked(b, word, ACTIVE):
        unlink_unit(b, word, ACTIVE)
    if left & ~a.active[w] == 0 and is_linked(b, word, INACTIVE):
        unlink_unit(b, word, INACTIVE)

cdef inline void lru_move(backing_t *b, uint64_t i, int w, uint64_t pages, int to) noexcept nogil:
    """Pages of a small-page word go to the other list."""
    cdef aged_t *a = &b.aged[i]
    cdef uint32_t word = <uint32_t>(i * UNIT_WORDS + w)
    cdef int source = INACTIVE if to == ACTIVE else ACTIVE
    if pages == 0:
        return
    b.list[source].pages -= popcount(pages)
    lru_add(b, i, w, pages, to)
    if on_list(&b.blocks[i], a, w, source) == 0:
        unlink_unit(b, word, source)

# A huge folio: its bits are kept for all pages alike, its first word stands for it on the lists.

cdef inline void lru_add_huge(backing_t *b, uint64_t i, int which) noexcept nogil:
    fill_block(b.aged[i].active, ~<uint64_t>0 if which == ACTIVE else 0)
    b.list[which].pages += BLOCK_PAGES
    link_unit(b, <uint32_t>(i * UNIT_WORDS), which, 0)

cdef inline void lru_del_huge(backing_t *b, uint64_t i) noexcept nogil:
    cdef aged_t *a = &b.aged[i]
    cdef int which = ACTIVE if a.active[0] else INACTIVE
    b.list[which].pages -= BLOCK_PAGES
    unlink_unit(b, <uint32_t>(i * UNIT_WORDS), which)
    fill_block(a.active, 0)
    fill_block(a.accessed, 0)
    fill_block(a.referenced, 0)

cdef inline void lru_move_huge(backing_t *b, uint64_t i, int to) noexcept nogil:
    cdef int source = INACTIVE if to == ACTIVE else ACTIVE
    b.list[source].pages -= BLOCK_PAGES
    unlink_unit(b, <uint32_t>(i * UNIT_WORDS), source)
    lru_add_huge(b, i, to)

cdef inline void lru_split_huge(backing_t *b, uint64_t i) noexcept nogil:
    """The folio is no longer one unit: its words take its place, in address order from old to new."""
    cdef int which = ACTIVE if b.aged[i].active[0] else INACTIVE
    cdef uint32_t first = <uint32_t>(i * UNIT_WORDS)
    cdef int w
    for w in range(1, UNIT_WORDS):
        link_unit(b, first + w, which, unit_of(b, first + w - 1, which).prev)

cdef inline bint inactive_is_low(const backing_t *b) noexcept nogil:
    """Whether the active list is to be shrunk: inactive * ratio < active, ratio by the size of both."""
    cdef int64_t gib = (b.list[INACTIVE].pages + b.list[ACTIVE].pages) >> 18
    cdef int64_t ratio = <int64_t>floor(sqrt(10.0 * <double>gib)) if gib else 1
    return b.list[INACTIVE].pages * ratio < b.list[ACTIVE].pages

"""Pre-copy migration of a guest that runs on: which pages are to be sent, which were written meanwhile.

Follows ram_save_iterate, migration_bitmap_sync and qemu_guest_free_page_hint (QEMU 8.2). Every page of RAM is sent in the
first round, untouched ones too; each further round sends what was written since the last synchronisation. A hint of a
free page takes it out of the present round; written once more, it is sent in the next. Pages in swap are read back to be
sent, one after the other, as the migration's thread comes to them. Pages that were never backed are zero: they are
announced, not sent.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free

from hinting._core.common cimport pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.fault cimport vmm_read
from hinting._core.host.state cimport BLOCK_WORDS, HOST_NOMEM, HOST_OK, WORD_PAGES, backing_t, host_t, migration_t
from hinting._core.host.words cimport first_bit, popcount, span

cdef inline void migration_free(migration_t *m) noexcept nogil:
    if m == NULL:
        return
    free(m.todo)
    free(m.dirty)
    free(m.ram)
    free(m)

cdef inline migration_t *migration_new(uint64_t npfn) noexcept nogil:
    """A migration without any RAM yet, NULL without memory."""
    cdef migration_t *m = <migration_t *>calloc(1, sizeof(migration_t))
    if m == NULL:
        return NULL
    m.words = (npfn + WORD_PAGES - 1) // WORD_PAGES
    m.todo = <uint64_t *>calloc(m.words, sizeof(uint64_t))
    m.dirty = <uint64_t *>calloc(m.words, sizeof(uint64_t))
    m.ram = <uint64_t *>calloc(m.words, sizeof(uint64_t))
    if m.todo == NULL or m.dirty == NULL or m.ram == NULL:
        migration_free(m)
        return NULL
    return m

cdef inline void set_range(uint64_t *words, uint64_t pfn, uint64_t n) noexcept nogil:
    cdef uint64_t at = pfn, end = pfn + n
    cdef int lo, hi
    while at < end:
        lo = at & (WORD_PAGES - 1)
        hi = <int>(lo + end - at) if lo + end - at < WORD_PAGES else WORD_PAGES
        words[at >> 6] |= span(lo, hi)
        at += hi - lo

cdef inline void mark_dirty(migration_t *m, pfn_t pfn, int64_t n) noexcept nogil:
    """The guest writes to pages, whether that needs a fault or not."""
    set_range(m.dirty, pfn, n)

cdef inline void begin_round(migration_t *m) noexcept nogil:
    """Synchronise: what was written is to be sent, in the first round all of RAM; what is left of the last round too."""
    cdef int64_t w
    for w in range(m.words):
        m.todo[w] |= m.dirty[w] & m.ram[w] if m.rounds else m.ram[w]
        m.dirty[w] = 0
    m.at = 0
    m.rounds += 1
    m.hints = True

cdef inline int64_t left(const migration_t *m) noexcept nogil:
    """Pages that this round still has to send."""
    cdef int64_t w, n = 0
    for w in range(m.words):
        n += popcount(m.todo[w])
    return n

cdef inline int64_t written(const migration_t *m) noexcept nogil:
    """Pages written since the last synchronisation."""
    cdef int64_t w, n = 0
    for w in range(m.words):
        n += popcount(m.dirty[w] & m.ram[w])
    return n

cdef inline uint64_t holding(const backing_t *b, int64_t w) noexcept nogil:
    """Pages of a word that hold something, in a frame or in swap; the others are zero."""
    cdef uint64_t pages = b.blocks[w // BLOCK_WORDS].present[w % BLOCK_WORDS]
    return pages | b.aged[w // BLOCK_WORDS].swapped[w % BLOCK_WORDS] if b.aged != NULL else pages

cdef inline int send_word(
    migration_t *m, host_t *h, backing_t *b, const costs_t *c, int64_t most, double within, double *ns, int64_t *sent,
) noexcept nogil:
    """Send pages of the word m.at, up to `most` in all or until `ns` is `within`; HOST_NOMEM at a page without a frame."""
    cdef int64_t w = m.at
    cdef uint64_t bit
    while m.todo[w] and sent[0] < most and ns[0] < within:
        bit = m.todo[w] & (~m.todo[w] + 1)
        if b.aged != NULL and b.aged[w // BLOCK_WORDS].swapped[w % BLOCK_WORDS] & bit:
            if vmm_read(h, b, c, <pfn_t>(w * WORD_PAGES + first_bit(bit)), ns) != HOST_OK:
                return HOST_NOMEM
            m.read += 1
        m.todo[w] &= ~bit
        sent[0] += 1
        m.sent += 1
    return HOST_OK

cdef inline int send(
    migration_t *m, host_t *h, backing_t *b, const costs_t *c, int64_t most, double within, double *ns, int64_t *sent,
) noexcept nogil:
    """Send pages of this round in address order, and announce the zero ones between: up to `most`, or until `ns` is `within`.

    ns: time of the thread, to which reads from swap add. sent: how many. HOST_NOMEM: somebody has to be killed first.
    """
    cdef uint64_t zero
    while m.at < m.words and (m.todo[m.at] == 0 or sent[0] < most and ns[0] < within):
        zero = m.todo[m.at] & ~holding(b, m.at)
        m.zero += popcount(zero)
        m.todo[m.at] &= ~zero
        if send_word(m, h, b, c, most, within, ns, sent) != HOST_OK:
            return HOST_NOMEM
        if m.todo[m.at] == 0:
            m.at += 1
    return HOST_OK

cdef inline int64_t skip_hinted(migration_t *m, const backing_t *b, pfn_t pfn, int64_t pages) noexcept nogil:
    """A hint: pages that need not be sent in this round; how many that hold something it spares."""
    cdef int64_t w, spared = 0
    for w in range(pfn // WORD_PAGES, (pfn + pages) // WORD_PAGES):
        spared += popcount(m.todo[w] & holding(b, w))
        m.todo[w] = 0
    m.skipped += spared
    return spared

"""What the rows of a recording with hinting v8 tell of pages that were in use at the start.

A recording lists the free pages of its start; all others are in use there, page by page. Of those that the thread of
hinting v8 meets, the kernel also saw whether they belonged to a compound page, or had no reference of their own because
they were the rest of a larger block or on their way from the free hook to a list. It shows where nobody has allocated or
freed them since the start.
"""

from libc.stdint cimport int64_t, uint8_t

from hinting._core.common cimport MAX_ORDER, pfn_t
from hinting._core.engine.replay cimport (
    ROW_ALLOC,
    ROW_FREE,
    ROW_HINT_COMPOUND,
    ROW_HINT_FREE,
    ROW_HINT_NONBUDDY,
    events_t,
)
from hinting._core.mm.alloc cimport carve_used
from hinting._core.mm.pages cimport TAG_COMPOUND, TAG_PREPARED, tag_get, tag_set
from hinting._core.mm.state cimport mm_t

cdef extern from *:
    int __builtin_ctz(unsigned int) nogil

cdef inline bint touched_since(uint8_t *touched, pfn_t pfn, int order, bint touches) noexcept nogil:
    """Whether the first page of a block was in a row before; touches: this row allocates or frees the block."""
    cdef bint before = touched[pfn]
    cdef pfn_t k
    if touches:
        for k in range(<pfn_t>1 << order):
            touched[pfn + k] = 1
    return before

cdef inline void learn_start(mm_t *m, const events_t *e, uint8_t *touched) noexcept nogil:
    """Make pages in use at the start what they were. touched: room for a zero byte for each page."""
    cdef int64_t i
    cdef int kind, order
    cdef pfn_t pfn
    for i in range(e.n):
        kind = e.kind[i]
        if kind == ROW_HINT_COMPOUND:
            if not 0 < e.order[i] <= MAX_ORDER or not 0 <= e.b[i] < m.npfn:
                continue
            pfn = <pfn_t>e.b[i]
        elif kind == ROW_ALLOC or kind == ROW_FREE or kind == ROW_HINT_FREE or kind == ROW_HINT_NONBUDDY:
            if not 0 <= e.pfn[i] < m.npfn:
                continue
            pfn = <pfn_t>e.pfn[i]
        else:
            continue
        order = e.order[i]
        if kind == ROW_HINT_NONBUDDY:
            order = 0
        if pfn & ((<pfn_t>1 << order) - 1):
            continue
        if touched_since(touched, pfn, order, kind != ROW_HINT_COMPOUND and kind != ROW_HINT_NONBUDDY):
            continue
        if kind == ROW_HINT_COMPOUND and carve_used(m, pfn, order):
            tag_set(m, pfn, order, tag_get(m, pfn, order) & ~<uint8_t>0x0F | TAG_COMPOUND)
        elif kind == ROW_FREE and carve_used(m, pfn, order):
            tag_set(m, pfn, order, TAG_PREPARED)
        elif kind == ROW_HINT_NONBUDDY and pfn:
            carve_used(m, pfn & (pfn - 1), __builtin_ctz(pfn) + 1 if __builtin_ctz(pfn) < MAX_ORDER else MAX_ORDER)

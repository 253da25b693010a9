"""The C functions behind api.pxd, and their addresses for code that is compiled at run time."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport MAX_ORDER, NR_ZONES
from hinting._core.mm.counter cimport free_exact
from hinting._core.mm.pages cimport block_type, zone_of
from hinting._core.strategies cimport border
from hinting._core.strategies.border cimport ASK_STATE, FAULT_ORDER, FAULT_TYPE, FAULT_ZONE, border_t


cdef int64_t block(guest_t *guest, int64_t pfn) noexcept nogil:
    return border.ask_block(<border_t *>guest, pfn)


cdef int64_t page(guest_t *guest, int64_t pfn) noexcept nogil:
    return border.ask_page(<border_t *>guest, pfn)


cdef int isolate(guest_t *guest, int64_t pfn, int64_t order) noexcept nogil:
    return border.ask_isolate(<border_t *>guest, pfn, order)


cdef int report(guest_t *guest) noexcept nogil:
    return border.ask_report(<border_t *>guest)


cdef int64_t reported(guest_t *guest, int ticket, int64_t i) noexcept nogil:
    return border.ask_reported(<border_t *>guest, ticket, i)


cdef int put_back(guest_t *guest, int64_t pfn, int64_t order, bint tail) noexcept nogil:
    return border.ask_put_back(<border_t *>guest, pfn, order, tail)


cdef int put_back_all(guest_t *guest, int ticket, bint tail) noexcept nogil:
    return border.ask_put_back_all(<border_t *>guest, ticket, tail)


cdef int release(guest_t *guest, bint tail) noexcept nogil:
    return border.ask_release(<border_t *>guest, tail)


cdef int64_t drain(guest_t *guest, int cpu) noexcept nogil:
    return border.ask_drain(<border_t *>guest, cpu)


cdef int wake(guest_t *guest) noexcept nogil:
    return border.ask_wake(<border_t *>guest)


cdef int64_t first(guest_t *guest, int zone, int migratetype, int order) noexcept nogil:
    return border.ask_first(<border_t *>guest, zone, migratetype, order)


cdef int64_t next_block(guest_t *guest, int64_t pfn) noexcept nogil:
    return border.ask_next(<border_t *>guest, pfn)


cdef int mark_reported(guest_t *guest, int64_t pfn, int64_t order) noexcept nogil:
    return border.ask_mark_reported(<border_t *>guest, pfn, order)


cdef int is_reported(guest_t *guest, int64_t pfn) noexcept nogil:
    return border.ask_is_reported(<border_t *>guest, pfn)


cdef int work(guest_t *guest, int64_t captured, int64_t compared) noexcept nogil:
    cdef border_t *b = <border_t *>guest
    if not border.take_steps(b, ASK_STATE, 1):
        return STOPPED
    b.s.work.captured += captured
    b.s.work.compares += compared
    return 1


cdef int64_t free_blocks(guest_t *guest, int zone, int order) noexcept nogil:
    cdef border_t *b = <border_t *>guest
    if not border.take_steps(b, ASK_STATE, 1):
        return STOPPED
    if not 0 <= zone < NR_ZONES:
        return border.stop(b, FAULT_ZONE, ASK_STATE, zone, 0)
    if not 0 <= order <= MAX_ORDER:
        return border.stop(b, FAULT_ORDER, ASK_STATE, 0, order)
    return b.m.zone[zone].nr_free[order]


cdef int64_t free_pages(guest_t *guest, int zone) noexcept nogil:
    cdef border_t *b = <border_t *>guest
    if not border.take_steps(b, ASK_STATE, 1):
        return STOPPED
    if not 0 <= zone < NR_ZONES:
        return border.stop(b, FAULT_ZONE, ASK_STATE, zone, 0)
    return free_exact(b.m, &b.m.zone[zone])


cdef int64_t watermark(guest_t *guest, int zone, int which) noexcept nogil:
    cdef border_t *b = <border_t *>guest
    if not border.take_steps(b, ASK_STATE, 1):
        return STOPPED
    if not 0 <= zone < NR_ZONES:
        return border.stop(b, FAULT_ZONE, ASK_STATE, zone, 0)
    if not 0 <= which <= 2:
        return border.stop(b, FAULT_TYPE, ASK_STATE, which, 0)
    return b.m.zone[zone].watermark[which]


cdef int zone(guest_t *guest, int64_t pfn) noexcept nogil:
    cdef border_t *b = <border_t *>guest
    if not border.on_page(b, ASK_STATE, pfn):
        return STOPPED
    return zone_of(b.m, <uint32_t>pfn).index if zone_of(b.m, <uint32_t>pfn) != NULL else NONE


cdef int migratetype(guest_t *guest, int64_t pfn) noexcept nogil:
    cdef border_t *b = <border_t *>guest
    return block_type(b.m, <uint32_t>pfn) if border.on_page(b, ASK_STATE, pfn) else STOPPED


cdef int64_t n_pages(guest_t *guest) noexcept nogil:
    return (<border_t *>guest).m.npfn


cdef int n_cpus(guest_t *guest) noexcept nogil:
    return (<border_t *>guest).m.ncpus


cdef object new_core(str name, const hooks_t *hooks, void *state, object owner):
    from hinting._core.strategies.external import External

    core = External(name)
    core.fill_table(<size_t>hooks, <size_t>state, owner)
    return core


def addresses():
    """Addresses of the functions that a hook may call, by name."""
    return {
        "block": <size_t>&block, "page": <size_t>&page, "isolate": <size_t>&isolate, "report": <size_t>&report,
        "reported": <size_t>&reported, "put_back": <size_t>&put_back, "put_back_all": <size_t>&put_back_all,
        "release": <size_t>&release,
        "drain": <size_t>&drain, "wake": <size_t>&wake, "first": <size_t>&first, "next_block": <size_t>&next_block,
        "mark_reported": <size_t>&mark_reported, "is_reported": <size_t>&is_reported, "work": <size_t>&work,
        "free_blocks": <size_t>&free_blocks, "free_pages": <size_t>&free_pages, "watermark": <size_t>&watermark,
        "zone": <size_t>&zone, "migratetype": <size_t>&migratetype, "n_pages": <size_t>&n_pages,
        "n_cpus": <size_t>&n_cpus,
    }

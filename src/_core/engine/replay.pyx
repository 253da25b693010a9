"""Replay at request level: requests, frees and what came from outside go in, the allocator chooses every page."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

import numpy as np

from hinting._core.common cimport (
    MAX_CPUS,
    MAX_ORDER,
    MT_HIGHATOMIC,
    MT_ISOLATE,
    MT_MOVABLE,
    NO_PFN,
    PAGEBLOCK_ORDER,
    pfn_t,
)
from hinting._core.mm.alloc cimport (
    alloc_slow,
    bulk_one,
    bulk_zone,
    carve_used,
    fast_flags,
    free_direct,
    free_prepared,
    mark_used,
    prepare,
    request,
    request_t,
    scan_zones,
    take_from_zone,
)
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.buddy cimport (
    FPI_NONE,
    FPI_SKIP_REPORT_NOTIFY,
    FPI_TO_TAIL,
    expand,
    free_block,
    isolate,
    list_del,
    mark_reported,
    move_block,
    move_tail,
    put_back,
    rotate_to_front,
)
from hinting._core.mm.counter cimport account, fold, pcp_of
from hinting._core.mm.pages cimport (
    TAG_ISOLATED,
    TAG_ORDER,
    block_type,
    covering,
    tag_get,
    tag_is_buddy,
    tag_is_used,
    tag_set,
    zone_of,
)
from hinting._core.mm.pcp cimport (
    bulk_drain,
    decayed_excess,
    drained,
    mark_pcp,
    pindex,
    ring_at,
    ring_pop_head,
    ring_pop_tail,
    ring_push_head,
    ring_push_tail,
)
from hinting._core.mm.state cimport mm_t, pcp_t, ring_t, zone_t
from hinting._core.mm.watermark cimport ALLOC_WMARK_MASK, wm_fast, wmark

#: Event types that a replay looks at; all others are answers or marks.
_ROWS = {
    "ALLOC": ROW_ALLOC, "FREE": ROW_FREE, "RMQ": ROW_RMQ, "DRAINED": ROW_DRAINED, "REFILL": ROW_REFILL,
    "DRAIN": ROW_DRAIN, "MOVE": ROW_MOVE, "SETPB": ROW_SETPB, "ISOLATE": ROW_ISOLATE, "PUTBACK": ROW_PUTBACK,
    "ROTATE": ROW_ROTATE, "VMFOLD": ROW_VMFOLD, "DECAY": ROW_DECAY, "HINT_RETURN": ROW_RETURN,
    "ALLOC_FAIL": ROW_ALLOC_FAIL, "LEAVE": ROW_LEAVE,
}

ctypedef struct tally_t:
    int64_t rows                        # rows that were inputs
    int64_t allocations
    int64_t identical
    int64_t refused                     # frees and isolations that the emulated state could not follow
    int64_t first_row                   # first row where the choice differs, -1
    int64_t first_expected
    int64_t first_chosen                # -1: no page
    int64_t assisted                    # requests whose zone was taken from the recording: two CPUs raced
    int64_t decaying[MAX_CPUS]          # 6.12: pages that the decay running on a CPU has yet to drain


def _tell_overflows(uint8_t[::1] kind, const uint8_t[::1] cpu, const int16_t[::1] aux):
    """Mark the drains that a free's own overflow caused: answers, where all other drains came from outside.

    A drain belongs to a free if the recording says so and a free is the last row of that CPU: a few drains of a decay
    are recorded as if they followed from a free.
    """
    cdef uint8_t last[MAX_CPUS]
    cdef int64_t i
    memset(last, 0, sizeof(last))
    for i in range(kind.shape[0]):
        if kind[i] == ROW_DRAIN and aux[i] == 0 and last[cpu[i]] == ROW_FREE:
            kind[i] = ROW_OVERFLOW
        last[cpu[i]] = kind[i]


cdef class Events:
    """The columns of a recording as C arrays, in the order in which the rows take effect."""

    def __init__(self, columns, types, order=None):
        """columns: {name: array} of events.parquet. types: names by number. order: row numbers, None for as stored."""
        lut = np.array([_ROWS.get(name, ROW_OTHER) for name in types] + [ROW_OTHER] * (256 - len(types)), np.uint8)
        data = {"kind": lut[columns["type"]]}
        _tell_overflows(data["kind"], columns["cpu"], columns["aux"])
        for name in ("cpu", "zone", "pfn", "order", "mt", "aux", "gfp", "aflags", "a", "b", "c"):
            data[name] = columns[name]
        data["e"] = columns.get("e", np.full(len(columns["type"]), -1, np.int64))
        if order is not None:
            data = {name: np.ascontiguousarray(values[order]) for name, values in data.items()}
        self.keep = data
        cdef const uint8_t[::1] kind = data["kind"]
        cdef const uint8_t[::1] cpu = data["cpu"]
        cdef const int8_t[::1] zone = data["zone"]
        cdef const int64_t[::1] pfn = data["pfn"]
        cdef const int8_t[::1] o = data["order"]
        cdef const int8_t[::1] mt = data["mt"]
        cdef const int16_t[::1] aux = data["aux"]
        cdef const uint32_t[::1] gfp = data["gfp"]
        cdef const int32_t[::1] aflags = data["aflags"]
        cdef const int64_t[::1] a = data["a"]
        cdef const int64_t[::1] b = data["b"]
        cdef const int64_t[::1] c = data["c"]
        cdef const int64_t[::1] counter = data["e"]
        self.e.n = kind.shape[0]
        if self.e.n:
            self.e.kind = &kind[0]
            self.e.cpu = &cpu[0]
            self.e.zone = &zone[0]
            self.e.pfn = &pfn[0]
            self.e.order = &o[0]
            self.e.mt = &mt[0]
            self.e.aux = &aux[0]
            self.e.gfp = &gfp[0]
            self.e.aflags = &aflags[0]
            self.e.a = &a[0]
            self.e.b = &b[0]
            self.e.c = &c[0]
            self.e.e = &counter[0]

    def __len__(self):
        return self.e.n

    @property
    def kinds(self):
        """Kind of every row, uint8."""
        return self.keep["kind"]


def effect_order(Events events not None, int ncpus):
    """Row numbers in the order in which the rows change the lists.

    With several CPUs the order in which the zone lock was taken decides: a request that refills its list takes effect
    at the first block of the refill, a free (or a drain from outside) that drains at the first page drained; everything else where it is recorded.
    """
    cdef events_t *e = &events.e
    cdef int64_t i
    cdef int64_t[::1] at
    cdef int64_t[::1] refill = np.full(ncpus, -1, np.int64)
    cdef int64_t[::1] waiting = np.full(ncpus, -1, np.int64)
    cdef int64_t[::1] freed = np.full(ncpus, -1, np.int64)
    cdef int cpu
    position = np.arange(e.n, dtype=np.int64)
    at = position
    for i in range(e.n):
        cpu = e.cpu[i]
        if e.kind[i] == ROW_RMQ and e.aux[i] == 1:
            if refill[cpu] < 0:
                refill[cpu] = i
        elif e.kind[i] == ROW_ALLOC:
            if refill[cpu] >= 0:
                at[i] = refill[cpu]
            refill[cpu] = -1
        elif e.kind[i] == ROW_FREE:
            freed[cpu] = i
        elif e.kind[i] == ROW_DRAIN:
            waiting[cpu] = i
        elif e.kind[i] == ROW_OVERFLOW:
            waiting[cpu] = freed[cpu]
        elif e.kind[i] == ROW_DRAINED and waiting[cpu] >= 0:
            at[waiting[cpu]] = i
            waiting[cpu] = -1
    return np.argsort(position, kind="stable")


cdef inline pfn_t _mapped(const uint32_t *actual, pfn_t pfn) noexcept nogil:
    """The emulated page that stands for a recorded one since a choice differed."""
    return pfn if actual == NULL or actual[pfn] == 0 else actual[pfn] - 1


cdef void _compare(mm_t *m, events_t *e, tally_t *t, uint32_t *actual, int64_t i, pfn_t chosen) noexcept nogil:
    cdef pfn_t expected = <pfn_t>e.pfn[i]
    cdef int order = e.order[i]
    cdef pfn_t k
    t.allocations += 1
    if chosen == expected:
        t.identical += 1
    elif t.first_row < 0:
        t.first_row = i
        t.first_expected = expected
        t.first_chosen = -1 if chosen == NO_PFN else chosen
    if t.first_row >= 0:
        for k in range(<pfn_t>1 << order):
            actual[expected + k] = 0 if chosen == expected else (
                <uint32_t>NO_PFN if chosen == NO_PFN else chosen + k + 1)


cdef bint _raced(mm_t *m, events_t *e, int64_t i, const request_t *r, uint32_t flags) noexcept nogil:
    """The request saw another free-page counter than the emulated one, and it decides between two zones."""
    cdef zone_t *z = &m.zone[r.preferred_zone]
    cdef int64_t own = z.counter
    cdef bint admitted, recorded
    if m.ncpus == 1 or e.e[i] < 0 or e.e[i] == own:
        return False
    admitted = wm_fast(m, z, r.order, wmark(z, flags & ALLOC_WMARK_MASK), r.highest_zone, flags, r.gfp)
    z.counter = e.e[i]
    recorded = wm_fast(m, z, r.order, wmark(z, flags & ALLOC_WMARK_MASK), r.highest_zone, flags, r.gfp)
    z.counter = own
    return admitted != recorded


cdef pfn_t _allocate(mm_t *m, events_t *e, tally_t *t, int64_t i) noexcept nogil:
    cdef request_t r
    cdef uint32_t flags
    cdef int cpu = e.cpu[i]
    cdef pfn_t pfn
    cdef int64_t n, j
    cdef zone_t *z
    r = request(m, e.order[i], e.gfp[i])
    r.mt = e.mt[i]
    if e.aux[i] != PATH_BULK:                   # a bulk row does not say its zones
        r.highest_zone = <int>(e.a[i] & 15)
        r.preferred_zone = <int>(e.a[i] >> 4)
    if e.aux[i] == PATH_BULK:
        n = 1
        j = i + 1
        while j < e.n and e.kind[j] == ROW_ALLOC and e.aux[j] == PATH_BULK and e.cpu[j] == cpu:
            n += 1
            j += 1
        z = bulk_zone(m, &r, n)
        return bulk_one(m, z if z != NULL else &m.zone[r.preferred_zone], cpu, &r)
    flags = fast_flags(m, &r)
    if _raced(m, e, i, &r, flags):
        t.assisted += 1
        pfn = take_from_zone(m, &m.zone[e.zone[i]], cpu, &r, flags)
    else:
        pfn = scan_zones(m, cpu, &r, flags)
    if pfn == NO_PFN:
        pfn = alloc_slow(m, cpu, &r)
    if pfn != NO_PFN:
        mark_used(m, pfn, &r)
    return pfn


cdef bint _free(mm_t *m, events_t *e, int64_t i, const uint32_t *actual) noexcept nogil:
    cdef pfn_t pfn = _mapped(actual, <pfn_t>e.pfn[i])
    cdef int order = e.order[i]
    cdef int cpu = e.cpu[i]
    cdef zone_t *z
    cdef uint8_t tag
    cdef int fpi
    if pfn >= m.npfn or pfn & ((<pfn_t>1 << order) - 1):
        return False
    z = zone_of(m, pfn)
    if z == NULL:
        return False
    tag = tag_get(m, pfn, order)
    if not (tag_is_used(tag) and (tag & TAG_ORDER) == order) and not carve_used(m, pfn, order):
        return False
    prepare(m, cpu, pfn, order)
    if e.aux[i] == FREE_DIRECT:
        fpi = (FPI_SKIP_REPORT_NOTIFY if e.a[i] & 1 else 0) | (FPI_TO_TAIL if e.a[i] & 2 else 0)
        free_direct(m, z, cpu, pfn, order, fpi)
    else:
        free_prepared(m, z, cpu, pfn, order, block_type(m, pfn))
    return True


cdef bint _isolate(mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    cdef uint8_t tag = tag_get(m, pfn, order)
    if not tag_is_buddy(tag) or (tag & TAG_ORDER) != order:
        return False
    return isolate(m, zone_of(m, pfn), cpu, pfn, order)


cdef bint _return(mm_t *m, events_t *e, int64_t i, int fpi) noexcept nogil:
    cdef pfn_t pfn = <pfn_t>e.pfn[i]
    cdef int order = e.order[i]
    if tag_get(m, pfn, order) != (TAG_ISOLATED | order):
        return False
    put_back(m, zone_of(m, pfn), e.cpu[i], pfn, order, fpi)
    return True


cdef void _outside_drain(mm_t *m, events_t *e, tally_t *t, int64_t i) noexcept nogil:
    """A drain that no free caused. The steps of a decay are ours: the row only says when one is made."""
    cdef zone_t *z = &m.zone[e.zone[i]]
    cdef pcp_t *p = pcp_of(m, z, e.order[i])
    cdef int64_t *left = &t.decaying[e.cpu[i]]
    if left[0] > 0:
        bulk_drain(m, z, p, e.cpu[i], left[0] if left[0] < p.batch else p.batch, 0)
        left[0] -= p.batch
    else:
        bulk_drain(m, z, p, e.cpu[i], e.a[i], <int>e.b[i])


cdef void _request_row(mm_t *m, events_t *e, tally_t *t, uint32_t *actual, int64_t i) noexcept nogil:
    """One row at request level."""
    cdef int kind = e.kind[i]
    cdef int cpu = e.cpu[i]
    cdef zone_t *z
    cdef bint fine = True
    if kind == ROW_ALLOC:
        _compare(m, e, t, actual, i, _allocate(m, e, t, i))
    elif kind == ROW_DRAIN:
        _outside_drain(m, e, t, i)
    elif kind == ROW_FREE:
        fine = _free(m, e, i, actual if t.first_row >= 0 else NULL)
    elif kind == ROW_ISOLATE:
        fine = e.aux[i] == 0 or _isolate(m, cpu, <pfn_t>e.pfn[i], e.order[i])
    elif kind == ROW_PUTBACK:
        fine = _return(m, e, i, FPI_TO_TAIL | FPI_SKIP_REPORT_NOTIFY)
        mark_reported(m, <pfn_t>e.pfn[i], e.order[i])
    elif kind == ROW_RETURN:
        fine = _return(m, e, i, FPI_NONE)
    elif kind == ROW_ROTATE:
        z = zone_of(m, <pfn_t>e.pfn[i])
        fine = tag_is_buddy(tag_get(m, <pfn_t>e.pfn[i], e.order[i]))
        if fine:
            rotate_to_front(m, z, <pfn_t>e.pfn[i], e.order[i])
    elif kind == ROW_VMFOLD:
        fold(m, cpu)
    elif kind == ROW_DECAY:
        t.decaying[cpu] = decayed_excess(pcp_of(m, &m.zone[e.zone[i]], e.aux[i]), &m.k)
    else:
        return
    t.rows += 1
    if not fine:
        t.refused += 1


def request_level(Allocator allocator not None, Events events not None, int64_t stop=-1):
    """Replay at request level; returns the tally as a dict.

    stop: row to stop before (in the order of the events given), -1 for all rows.
    """
    cdef mm_t *m = &allocator.m
    cdef events_t *e = &events.e
    cdef tally_t t
    cdef int64_t i
    cdef int64_t n = e.n if stop < 0 or stop > e.n else stop
    cdef uint32_t[::1] actual = np.zeros(m.span + 1, np.uint32)
    memset(&t, 0, sizeof(t))
    t.first_row = -1
    with nogil:
        for i in range(n):
            if e.kind[i] != ROW_OTHER:
                _request_row(m, e, &t, &actual[0], i)
    return {"rows": t.rows, "allocations": t.allocations, "identical": t.identical, "refused": t.refused,
            "assisted": t.assisted, "first_row": t.first_row, "first_expected": t.first_expected,
            "first_chosen": t.first_chosen}

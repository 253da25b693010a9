"""Replay at request level: requests, frees and what came from outside go in, the allocator chooses every page."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

import numpy as np

from hinting._core.common cimport MAX_CPUS
from hinting._core.engine.replay_pressure cimport pressed_row, pressure_t
from hinting._core.engine.replay_steps cimport request_row, tally_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.state cimport mm_t

#: Event types that a replay looks at; all others are answers or marks.
_ROWS = {
    "ALLOC": ROW_ALLOC, "FREE": ROW_FREE, "RMQ": ROW_RMQ, "DRAINED": ROW_DRAINED, "REFILL": ROW_REFILL,
    "DRAIN": ROW_DRAIN, "MOVE": ROW_MOVE, "SETPB": ROW_SETPB, "ISOLATE": ROW_ISOLATE, "PUTBACK": ROW_PUTBACK,
    "ROTATE": ROW_ROTATE, "VMFOLD": ROW_VMFOLD, "DECAY": ROW_DECAY, "HINT_RETURN": ROW_RETURN,
    "ALLOC_FAIL": ROW_ALLOC_FAIL, "LEAVE": ROW_LEAVE, "REPORT": ROW_REPORT, "REPORT_WORK": ROW_REPORT_WORK,
    "EXTFRAG": ROW_EXTFRAG,
    "COMPACT_BEGIN": ROW_COMPACT, "COMPACT_END": ROW_COMPACT,
    "HINT_FREE": ROW_HINT_FREE, "HINT_DRAIN": ROW_HINT_DRAIN,
    "HINT_DRAIN_END": ROW_HINT_DRAIN_END, "HINT_SCAN": ROW_HINT_SCAN, "HINT_DROP": ROW_HINT_DROP,
    "HINT_REPLACE": ROW_HINT_REPLACE, "HINT_SCAN_END": ROW_HINT_SCAN_END, "HINT_WAKE": ROW_HINT_WAKE,
    "HINT_RUN": ROW_HINT_RUN, "HINT_COMPOUND": ROW_HINT_COMPOUND, "HINT_REF": ROW_HINT_REF,
    "HINT_ISOLATED": ROW_HINT_ISOLATED, "HINT_FAIL": ROW_HINT_FAIL, "HINT_NONBUDDY": ROW_HINT_NONBUDDY,
    "HINT_REPORTED": ROW_HINT_REPORTED, "HINT_RUN_END": ROW_HINT_RUN_END,
}


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
    at the first block of the refill, a free (or a drain from outside) that drains at the first page drained;
    everything else where it is recorded.
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


def request_level(Allocator allocator not None, Events events not None, int64_t stop=-1, bint pressure=False):
    """Replay at request level; returns the tally as a dict.

    stop: row to stop before (in the order of the events given), -1 for all rows. pressure: reclaim or compaction acted,
    take their recorded effects as inputs.
    """
    cdef mm_t *m = &allocator.m
    cdef events_t *e = &events.e
    cdef tally_t t
    cdef pressure_t p
    cdef int64_t i
    cdef int64_t n = e.n if stop < 0 or stop > e.n else stop
    cdef uint32_t[::1] actual = np.zeros(m.span + 1, np.uint32)
    memset(&t, 0, sizeof(t))
    memset(&p, 0, sizeof(p))
    t.first_row = -1
    with nogil:
        for i in range(n):
            if e.kind[i] == ROW_OTHER:
                continue
            if pressure:
                pressed_row(m, e, &t, &p, &actual[0], i)
            else:
                request_row(m, e, &t, &actual[0], i)
    effects = {"zones": p.zones, "drains": p.drains, "claims": p.claims, "blocks": p.blocks, "unreserved": p.unreserved,
               "rotations": p.rotations}
    return {"rows": t.rows, "allocations": t.allocations, "identical": t.identical, "refused": t.refused,
            "assisted": t.assisted + sum(effects.values()), "first_row": t.first_row, "first_expected": t.first_expected,
            "first_chosen": t.first_chosen, "effects": effects if pressure else {}}

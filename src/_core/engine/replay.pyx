"""A recording's rows for the cores, the order in which they take effect, and what all levels of replay have in common."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

import numpy as np

from hinting._core.common cimport MAX_CPUS
from hinting._core.mm.allocator cimport Allocator

#: Event types that a replay looks at; all others are answers or marks.
_ROWS = {
    "ALLOC": ROW_ALLOC, "FREE": ROW_FREE, "RMQ": ROW_RMQ, "DRAINED": ROW_DRAINED, "REFILL": ROW_REFILL,
    "DRAIN": ROW_DRAIN, "MOVE": ROW_MOVE, "SETPB": ROW_SETPB, "ISOLATE": ROW_ISOLATE, "PUTBACK": ROW_PUTBACK,
    "ROTATE": ROW_ROTATE, "VMFOLD": ROW_VMFOLD, "DECAY": ROW_DECAY, "HINT_RETURN": ROW_RETURN,
    "ALLOC_FAIL": ROW_ALLOC_FAIL, "LEAVE": ROW_LEAVE, "REPORT": ROW_REPORT, "REPORT_WORK": ROW_REPORT_WORK,
    "EXTFRAG": ROW_EXTFRAG, "STEAL": ROW_STEAL, "INSERT": ROW_INSERT,
    "COMPACT_BEGIN": ROW_COMPACT, "COMPACT_END": ROW_COMPACT_END,
    "HINT_FREE": ROW_HINT_FREE, "HINT_DRAIN": ROW_HINT_DRAIN,
    "HINT_DRAIN_END": ROW_HINT_DRAIN_END, "HINT_SCAN": ROW_HINT_SCAN, "HINT_DROP": ROW_HINT_DROP,
    "HINT_REPLACE": ROW_HINT_REPLACE, "HINT_SCAN_END": ROW_HINT_SCAN_END, "HINT_WAKE": ROW_HINT_WAKE,
    "HINT_RUN": ROW_HINT_RUN, "HINT_COMPOUND": ROW_HINT_COMPOUND, "HINT_REF": ROW_HINT_REF,
    "HINT_ISOLATED": ROW_HINT_ISOLATED, "HINT_FAIL": ROW_HINT_FAIL, "HINT_NONBUDDY": ROW_HINT_NONBUDDY,
    "HINT_REPORTED": ROW_HINT_REPORTED, "HINT_RUN_END": ROW_HINT_RUN_END,
}


cdef bint passes_by_lists(int kind, int aux) noexcept nogil:
    """What the owner of a CPU's page lists may be interrupted by: requests and frees that leave the lists alone."""
    if kind == ROW_ALLOC or kind == ROW_FREE or kind == ROW_RMQ:
        return aux == (PATH_DIRECT if kind == ROW_ALLOC else FREE_DIRECT if kind == ROW_FREE else 0)
    return (kind == ROW_OTHER or kind == ROW_HINT_FREE or kind == ROW_EXTFRAG or kind == ROW_STEAL or kind == ROW_MOVE
            or kind == ROW_SETPB)


def _tell_overflows(uint8_t[::1] kind, const uint8_t[::1] cpu, const int16_t[::1] aux):
    """Mark the drains that a free's own overflow caused: answers, where all other drains came from outside.

    A drain belongs to a free if the recording says so and nothing but what an interrupt does lies between them: the
    owner holds the lists meanwhile, so an interrupt passes by them. A few drains of a decay are recorded as if they
    followed from a free.
    """
    cdef bint freed[MAX_CPUS]           # a page was put on this CPU's lists, which may overflow now
    cdef int64_t i
    memset(freed, 0, sizeof(freed))
    for i in range(kind.shape[0]):
        if kind[i] == ROW_DRAIN and aux[i] == 0 and freed[cpu[i]]:
            kind[i] = ROW_OVERFLOW
        if kind[i] == ROW_FREE and aux[i] != FREE_DIRECT:
            freed[cpu[i]] = True
        elif not passes_by_lists(kind[i], aux[i]):
            freed[cpu[i]] = False


cdef class Events:
    """The columns of a recording as C arrays, in the order in which the rows take effect."""

    def __init__(self, columns, types, order=None):
        """columns: {name: array} of events.parquet. types: names by number. order: row numbers, None for as stored."""
        lut = np.array([_ROWS.get(name, ROW_OTHER) for name in types] + [ROW_OTHER] * (256 - len(types)), np.uint8)
        data = {"kind": lut[columns["type"]]}
        _tell_overflows(data["kind"], columns["cpu"], columns["aux"])
        for name in ("cpu", "zone", "pfn", "order", "mt", "aux", "gfp", "aflags", "a", "b", "c"):
            data[name] = columns[name]
        for name in ("e", "f"):
            data[name] = columns.get(name, np.broadcast_to(np.int64(-1), len(columns["type"])))
        data = {name: np.ascontiguousarray(values if order is None else values[order]) for name, values in data.items()}
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
        cdef const int64_t[::1] marks = data["f"]
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
            self.e.f = &marks[0]

    def __len__(self):
        return self.e.n

    @property
    def kinds(self):
        """Kind of every row, uint8."""
        return self.keep["kind"]


def effect_order(Events events not None, int ncpus):
    """Row numbers in the order in which the rows change the lists.

    The order in which the zone lock was taken decides: a request that refills its list takes effect at the first block
    of the refill, a free (or a drain from outside) that drains at the first page drained, a pass of page reporting at
    its first block; everything else where it is recorded. What lies between is done by other CPUs, or by an interrupt
    that met the lists locked and passed by them.
    """
    cdef events_t *e = &events.e
    cdef int64_t i
    cdef int64_t[::1] at
    cdef int64_t[::1] refill = np.full(ncpus, -1, np.int64)
    cdef int64_t[::1] waiting = np.full(ncpus, -1, np.int64)
    cdef int64_t[::1] freed = np.full(ncpus, -1, np.int64)
    cdef int64_t work = -1
    cdef int cpu
    position = np.arange(e.n, dtype=np.int64)
    at = position
    for i in range(e.n):
        cpu = e.cpu[i]
        if e.kind[i] == ROW_RMQ and e.aux[i] == 1:
            if refill[cpu] < 0:
                refill[cpu] = i
            at[i] = refill[cpu]
        elif e.kind[i] == ROW_EXTFRAG or e.kind[i] == ROW_STEAL:
            if refill[cpu] >= 0:
                at[i] = refill[cpu]
        elif e.kind[i] == ROW_ALLOC and e.aux[i] != PATH_DIRECT:
            if refill[cpu] >= 0:
                at[i] = refill[cpu]
            refill[cpu] = -1
        elif e.kind[i] == ROW_FREE and e.aux[i] != FREE_DIRECT:
            freed[cpu] = i
        elif e.kind[i] == ROW_DRAIN:
            waiting[cpu] = i
        elif e.kind[i] == ROW_OVERFLOW:
            waiting[cpu] = freed[cpu]
            freed[cpu] = i              # the overflow itself follows its free
        elif e.kind[i] == ROW_DRAINED and waiting[cpu] >= 0:
            at[waiting[cpu]] = i
            if e.kind[waiting[cpu]] == ROW_FREE:
                at[freed[cpu]] = i
            waiting[cpu] = -1
        elif e.kind[i] == ROW_REPORT_WORK:
            work = i
        elif work >= 0 and e.kind[i] == ROW_ISOLATE and e.a[i] == BY_REPORTING:
            at[work] = i
            work = -1
    return np.argsort(position, kind="stable")


cdef class Replay:
    """A replay under way. Its level is the class; `advance` goes on row by row, `result` says what came of it so far."""

    def __init__(self, Allocator allocator not None, Events events not None):
        """allocator: in the recording's state at the start; the replay works on it."""
        self.allocator = allocator
        self.events = events

    cdef void rows(self, int64_t stop) noexcept nogil:
        """Replay rows at..stop-1."""
        return

    def advance(self, int64_t stop=-1):
        """Replay up to the row `stop` (in the order of the events given), -1: to the end."""
        cdef int64_t end = self.events.e.n if stop < 0 or stop > self.events.e.n else stop
        with nogil:
            if end > self.at:
                self.rows(end)
                self.at = end

    def result(self):
        """The tally so far, by name."""
        raise NotImplementedError(f"{type(self).__name__} has no result()")

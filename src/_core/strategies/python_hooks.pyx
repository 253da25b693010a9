"""Hooks written in plain Python: pages are noted in C and handed over in batches, one call for a filled batch.

What was noted on a CPU is delivered before any other hook of that CPU runs. With batches of one page nothing is noted: hooks
get each page as numbers when it comes. A hook that does not return is ended by a watchdog, as far as it runs Python code.
"""

import numpy as np

from cpython.tuple cimport PyTuple_GET_ITEM
from libc.stdint cimport int8_t, int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from hinting.errors import StrategyError

from hinting._core.api cimport NO_ROOM, NONE, STOPPED, guest_t, hooks_t, packed_order, packed_page, packed_pfn
from hinting._core cimport api
from hinting._core.guard cimport Guard
from hinting._core.strategies.border cimport (
    FAULT_NONE,
    FAULT_TIME,
    HOOK_ALLOC,
    HOOK_FREE,
    HOOK_MERGED,
    border_t,
    check_hand,
    stop,
)
from hinting._core.strategies.external cimport External, take_settings, user_raised

from hinting._core.strategies.faults import StrategyStopped

cdef enum:
    NR_BATCHED = 3                      # HOOK_FREE, HOOK_ALLOC, HOOK_MERGED

_BATCHED = ("on_free", "on_alloc", "on_merged")

ctypedef struct batches_t:
    void *hooks                         # the PythonHooks object
    int64_t size                        # pages of a full batch
    int ncpus
    int64_t *n                          # [kind * ncpus + cpu] pages noted
    uint32_t *pfn                       # [(kind * ncpus + cpu) * size]
    int8_t *order


cdef void note(batches_t *q, guest_t *guest, int kind, int cpu, uint32_t pfn, int order) noexcept nogil:
    cdef int64_t which = <int64_t>kind * q.ncpus + cpu
    cdef int64_t n = q.n[which]
    q.pfn[which * q.size + n] = pfn
    q.order[which * q.size + n] = <int8_t>order
    q.n[which] = n + 1
    if n + 1 == q.size:
        deliver(q, guest, kind, cpu)


cdef void on_free(void *state, guest_t *guest, int cpu, uint32_t pfn, int order) noexcept nogil:
    note(<batches_t *>state, guest, HOOK_FREE, cpu, pfn, order)


cdef void on_alloc(void *state, guest_t *guest, int cpu, uint32_t pfn, int order) noexcept nogil:
    note(<batches_t *>state, guest, HOOK_ALLOC, cpu, pfn, order)


cdef void on_merged(void *state, guest_t *guest, int cpu, uint32_t pfn, int order) noexcept nogil:
    note(<batches_t *>state, guest, HOOK_MERGED, cpu, pfn, order)


cdef void deliver(batches_t *q, guest_t *guest, int kind, int cpu) noexcept with gil:
    """A batch is full: it goes out, and with it what else was noted on this CPU, except in the middle of a free."""
    cdef PythonHooks h = <PythonHooks>q.hooks
    if kind == HOOK_MERGED:
        h.call_pages(kind, cpu)
    else:
        h.flush(cpu)


cdef void on_one_free(void *state, guest_t *guest, int cpu, uint32_t pfn, int order) noexcept with gil:
    (<PythonHooks>(<batches_t *>state).hooks).call_page(HOOK_FREE, cpu, pfn, order)


cdef void on_one_alloc(void *state, guest_t *guest, int cpu, uint32_t pfn, int order) noexcept with gil:
    (<PythonHooks>(<batches_t *>state).hooks).call_page(HOOK_ALLOC, cpu, pfn, order)


cdef void on_one_merged(void *state, guest_t *guest, int cpu, uint32_t pfn, int order) noexcept with gil:
    (<PythonHooks>(<batches_t *>state).hooks).call_page(HOOK_MERGED, cpu, pfn, order)


cdef void on_thread(void *state, guest_t *guest, int cpu) noexcept with gil:
    cdef PythonHooks h = <PythonHooks>(<batches_t *>state).hooks
    h.flush(cpu)
    h.call(h.policy.on_thread, (h.guest, cpu))


cdef void on_timer(void *state, guest_t *guest, int cpu) noexcept with gil:
    cdef PythonHooks h = <PythonHooks>(<batches_t *>state).hooks
    h.flush(cpu)
    h.call(h.policy.on_timer, (h.guest, cpu))


cdef void on_host_done(void *state, guest_t *guest, int cpu, int ticket) noexcept with gil:
    cdef PythonHooks h = <PythonHooks>(<batches_t *>state).hooks
    h.flush(cpu)
    h.call(h.policy.on_host_done, (h.guest, cpu, ticket))


cdef class PythonHooks(Guard):
    """The hooks of one guest's policy object. batch: pages a call; time_limit_s: wall-clock time of one call."""

    cdef batches_t q
    cdef readonly object policy
    cdef readonly HookGuest guest
    cdef border_t *b                    # of the core, which owns this object and calls it
    cdef int64_t batch
    cdef tuple page_hooks               # methods by HOOK_FREE, HOOK_ALLOC, HOOK_MERGED
    cdef object settings
    cdef object locate

    def __init__(self, policy, int64_t batch, double time_limit_s, settings, locate):
        self.policy = policy
        self.batch = batch
        self.page_hooks = tuple(getattr(policy, name, None) for name in _BATCHED)
        self.time_limit_s = time_limit_s
        self.settings = settings
        self.locate = locate

    def __dealloc__(self):
        free(self.q.n)
        free(self.q.pfn)
        free(self.q.order)

    def prepare(self, External core not None, int ncpus, npfn):
        """Make room for a guest's CPUs and fill the core's table."""
        cdef hooks_t t
        cdef int64_t batches = NR_BATCHED * ncpus
        self.b = &core.e.border
        self.guest = HookGuest.__new__(HookGuest)
        self.q.hooks = <void *>self
        self.q.size = self.batch
        self.q.ncpus = ncpus
        self.q.n = <int64_t *>calloc(batches, sizeof(int64_t))
        self.q.pfn = <uint32_t *>calloc(batches * self.batch, sizeof(uint32_t))
        self.q.order = <int8_t *>calloc(batches * self.batch, sizeof(int8_t))
        if not (self.q.n and self.q.pfn and self.q.order):
            raise MemoryError()
        memset(&t, 0, sizeof(t))
        t.size = sizeof(t)
        if hasattr(self.policy, "on_free"):
            t.on_free = on_free if self.batch > 1 else on_one_free
        if hasattr(self.policy, "on_alloc"):
            t.on_alloc = on_alloc if self.batch > 1 else on_one_alloc
        if hasattr(self.policy, "on_merged"):
            t.on_merged = on_merged if self.batch > 1 else on_one_merged
        if hasattr(self.policy, "on_thread"):
            t.on_thread = on_thread
        if hasattr(self.policy, "on_timer"):
            t.on_timer = on_timer
        if hasattr(self.policy, "on_host_done"):
            t.on_host_done = on_host_done
        take_settings(&t, self.settings)
        core.fill(&t, &self.q, self)
        setup = getattr(self.policy, "setup", None)
        if setup is not None:
            setup(ncpus)

    cdef flush(self, int cpu):
        """Deliver what was noted on a CPU."""
        cdef int kind
        for kind in range(NR_BATCHED):
            self.call_pages(kind, cpu)

    cdef call_pages(self, int kind, int cpu):
        cdef int64_t which = <int64_t>kind * self.q.ncpus + cpu
        cdef int64_t n = self.q.n[which]
        cdef border_t *b = self.b
        cdef int own = b.frame[b.depth].hook
        cdef int64_t i
        cdef int64_t[::1] to_pfns, to_orders
        if n == 0 or b.fault != FAULT_NONE:
            return
        self.q.n[which] = 0
        pfns = np.empty(n, np.int64)
        orders = np.empty(n, np.int64)
        to_pfns = pfns
        to_orders = orders
        for i in range(n):
            to_pfns[i] = self.q.pfn[which * self.q.size + i]
            to_orders[i] = self.q.order[which * self.q.size + i]
        b.frame[b.depth].hook = kind
        self.call(self.page_hooks[kind], (self.guest, cpu, pfns, orders))
        check_hand(b)
        b.frame[b.depth].hook = own

    cdef call(self, hook, arguments):
        """Call a hook; whatever comes out of it stops the strategy."""
        if self.b.fault != FAULT_NONE:
            return
        self.begin()
        try:
            hook(*arguments)
        except BaseException as error:
            self.raised(error)
        self.end()

    cdef call_page(self, int kind, int cpu, int64_t pfn, int order):
        """Call the hook of one page with numbers."""
        self.begin()
        try:
            (<object>PyTuple_GET_ITEM(self.page_hooks, kind))(self.guest, cpu, pfn, order)
        except BaseException as error:
            self.raised(error)
        self.end()

    cdef inline void begin(self) noexcept:
        if self.depth == 0:
            self.guest.b = self.b
        self.enter_call()

    cdef raised(self, error):
        if self.interrupted:
            stop(self.b, FAULT_TIME, 0, 0, 0)
        user_raised(<guest_t *>self.b, error)

    cdef inline void end(self) noexcept:
        if self.leave_call():           # it caught what was to end it
            stop(self.b, FAULT_TIME, 0, 0, 0)
        if self.depth == 0:
            self.guest.b = NULL

    def where(self, fault):
        """The line of the policy that a fault comes from."""
        return self.locate(fault)

    def counters(self):
        """The policy's counters."""
        counters = getattr(self.policy, "counters", None)
        return dict(counters()) if callable(counters) else {}

    def statistics(self):
        """What else the policy gives."""
        statistics = getattr(self.policy, "statistics", None)
        return dict(statistics()) if callable(statistics) else {}


cdef class HookGuest:
    """The guest, as a hook may use it; only while the hook runs.

    Every request is counted and checked. One that no strategy may make ends the hook and switches the strategy off;
    whoever ran the guest gets a StrategyError.
    """

    cdef border_t *b

    def __init__(self):
        raise TypeError("hooks are given their guest")

    cdef guest_t *_guest(self) except NULL:
        if self.b == NULL:
            raise StrategyError("the guest of a hook can be used only while the hook runs")
        return <guest_t *>self.b

    def block(self, int64_t pfn):
        """(first page, order) of the free block that holds pfn, without the zone lock; (-1, 0) if none does."""
        cdef int64_t answer = api.block(self._guest(), pfn)
        _go_on(answer)
        if answer == NONE:
            return -1, 0
        return packed_pfn(answer), packed_order(answer)

    def blocks(self, pfns):
        """The same for an array of pages: (first pages int64, orders int64)."""
        cdef guest_t *guest = self._guest()
        cdef int64_t i, answer = 0
        cdef const int64_t[::1] of = np.ascontiguousarray(pfns, np.int64)
        heads = np.full(of.shape[0], -1, np.int64)
        orders = np.zeros(of.shape[0], np.int64)
        cdef int64_t[::1] to_heads = heads
        cdef int64_t[::1] to_orders = orders
        with nogil:
            for i in range(of.shape[0]):
                answer = api.block(guest, of[i])
                if answer == STOPPED:
                    break
                if answer != NONE:
                    to_heads[i] = packed_pfn(answer)
                    to_orders[i] = packed_order(answer)
        _go_on(answer)
        return heads, orders

    def page(self, int64_t pfn):
        """(PAGE_*, first page, order) of the block that pfn belongs to, under one hold of the zone lock."""
        cdef int64_t answer = api.page(self._guest(), pfn)
        _go_on(answer)
        return packed_page(answer), packed_pfn(answer), packed_order(answer)

    def isolate(self, int64_t pfn, int64_t order):
        """Take a free block of exactly this order off its list; False if the min watermark forbids it."""
        return _go_on(api.isolate(self._guest(), pfn, order)) == 1

    def isolate_all(self, pfns, orders):
        """Isolate many blocks; a bool array, False where the min watermark forbids it."""
        cdef guest_t *guest = self._guest()
        cdef int64_t i
        cdef int answer = 0
        cdef const int64_t[::1] of = np.ascontiguousarray(pfns, np.int64)
        cdef const int64_t[::1] by = np.ascontiguousarray(np.broadcast_to(orders, of.shape[0]), np.int64)
        taken = np.zeros(of.shape[0], np.bool_)
        cdef int8_t[::1] to = taken.view(np.int8)
        with nogil:
            for i in range(of.shape[0]):
                answer = api.isolate(guest, of[i], by[i])
                if answer == STOPPED:
                    break
                to[i] = <int8_t>answer
        _go_on(answer)
        return taken

    def report(self):
        """Report all blocks that this call has isolated. The ticket; -1 without any block or if the queue is full."""
        cdef int answer = api.report(self._guest())
        _go_on(answer)
        return -1 if answer == NONE or answer == NO_ROOM else answer

    def reported(self, int ticket):
        """The blocks of a report under way that were not put back: (pfns int64, orders int64)."""
        cdef guest_t *guest = self._guest()
        cdef int64_t i
        pfns, orders = [], []
        _go_on(api.reported(guest, ticket, 0))
        for i in range(self.b.slot[ticket].n):
            if self.b.slot[ticket].block[i].order >= 0:
                pfns.append(self.b.slot[ticket].block[i].pfn)
                orders.append(self.b.slot[ticket].block[i].order)
        return np.array(pfns, np.int64), np.array(orders, np.int64)

    def put_back(self, int64_t pfn, int64_t order, bint tail=False):
        """Return a block that this call isolated, or in on_host_done one of its report, to the free lists."""
        _go_on(api.put_back(self._guest(), pfn, order, tail))

    def put_back_all(self, int ticket, bint tail=False):
        """on_host_done: return all that is left of the report, in its order."""
        _go_on(api.put_back_all(self._guest(), ticket, tail))

    def release(self, bint tail=False):
        """Return all blocks that this call has isolated and not reported."""
        _go_on(api.release(self._guest(), tail))

    def drain(self, int cpu):
        """Empty the page lists of a CPU; returns pages."""
        return _go_on(api.drain(self._guest(), cpu))

    def wake(self):
        """Wake the thread of the CPU that runs this hook."""
        _go_on(api.wake(self._guest()))

    def first(self, int zone, int migratetype, int order):
        """First block of a free list, -1 if it is empty."""
        return max(-1, _go_on(api.first(self._guest(), zone, migratetype, order)))

    def next(self, int64_t pfn):
        """The block behind a free block on its list, -1 at the end."""
        return max(-1, _go_on(api.next_block(self._guest(), pfn)))

    def mark_reported(self, int64_t pfn, int64_t order):
        """Set the mark of free page reporting; False if this is no free block of this order any more."""
        return _go_on(api.mark_reported(self._guest(), pfn, order)) == 1

    def is_reported(self, int64_t pfn):
        """Whether pfn is in a free block with the mark of free page reporting."""
        return _go_on(api.is_reported(self._guest(), pfn)) == 1

    def work(self, int64_t captured, int64_t compared=0):
        """Count the strategy's own work, for which the guest is charged time: pages noted, entries compared."""
        _go_on(api.work(self._guest(), captured, compared))

    def free_blocks(self, int zone, int order):
        """Free blocks of an order in a zone."""
        return _go_on(api.free_blocks(self._guest(), zone, order))

    def free_pages(self, int zone):
        """Free pages of a zone."""
        return _go_on(api.free_pages(self._guest(), zone))

    def watermark(self, int zone, int which):
        """A zone's watermark, pages: 0 min, 1 low, 2 high."""
        return _go_on(api.watermark(self._guest(), zone, which))

    def zone(self, int64_t pfn):
        """Zone of a page: 0 DMA, 1 DMA32, 2 Normal, 3 Movable; -1 between zones."""
        return max(-1, _go_on(api.zone(self._guest(), pfn)))

    def migratetype(self, int64_t pfn):
        """Migratetype of the page's pageblock: 0 unmovable, 1 movable, 2 reclaimable, 3 highatomic, 4 isolate."""
        return _go_on(api.migratetype(self._guest(), pfn))

    def n_pages(self):
        """Page frames of the guest, holes included."""
        return api.n_pages(self._guest())

    def n_cpus(self):
        """CPUs of the guest."""
        return api.n_cpus(self._guest())


cdef int64_t _go_on(int64_t answer) except? STOPPED:
    """Let an answer pass; end the hook if the strategy was stopped."""
    if answer == STOPPED:
        raise StrategyStopped("the strategy was stopped")
    return answer

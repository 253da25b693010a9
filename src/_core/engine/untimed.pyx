"""A guest on its host without virtual time: for studies of what is chosen, touched and returned, not of when.

A page is written to as soon as it is allocated. A strategy's thread runs as soon as it is woken, and the host answers
its report at once, so that no free is lost to a full array. Costs are summed up and move no clock.
"""

from libc.stdint cimport int64_t, uint32_t

import numpy as np

from hinting.errors import PageError, StrategyError

from hinting._core.common cimport pfn_t
from hinting._core.host.backing cimport HOST_OK, TOUCH_WRITES, backing_discard, backing_touch, lazy_init
from hinting._core.costs cimport costs_t
from hinting._core.host.ram cimport Backing
from hinting._core.host.lazy cimport backing_free_lazily
from hinting._core.host.state cimport backing_t, host_t
from hinting._core.mm.alloc cimport alloc_several, free_pages
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.arguments cimport cpu_of, gfp_of, integer, order_of
from hinting._core.mm.drive cimport AHEAD, __builtin_prefetch, fit_for_free
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.hooks cimport HOST_DONTNEED, HOST_FREE, THREAD_REPORTS, Strategy, block_t, strategy_t

cdef enum:
    CHUNK = 512                         # blocks allocated before they are touched


cdef class Untimed:
    """A guest's allocator, the strategy attached to it (None: none), and what backs its memory on the host.

    Raises StrategyError if the strategy is not attached to this allocator, PageError if the backing is too small.
    """

    def __cinit__(self, Allocator allocator not None, Strategy strategy, Backing backing not None):
        if strategy is not None and strategy.allocator is not allocator:
            raise StrategyError("the strategy must be attached to the guest's allocator")
        if backing.b.npfn < allocator.m.npfn:
            raise PageError(f"the backing must have at least the guest's {allocator.m.npfn} pages, "
                            f"it has {backing.b.npfn}")
        self.allocator, self.strategy, self.backing = allocator, strategy, backing
        if strategy is not None and strategy.s.host_action == HOST_FREE and not lazy_init(&backing.b):
            raise MemoryError()

    cdef void _answer(self, int cpu, int ticket) noexcept nogil:
        """The host drops the blocks of a report, and the strategy hears of it."""
        cdef strategy_t *s = &self.strategy.s
        cdef int64_t i, n = 0, pages
        cdef int64_t held = self.backing.b.held_frames
        cdef const block_t *blocks = s.report(s.self, ticket, &n)
        for i in range(n):
            pages = <int64_t>1 << blocks[i].order
            self.o.reported_pages += pages
            if s.on_discard != NULL:
                s.on_discard(s.self, &self.allocator.m, blocks[i].pfn, blocks[i].order)
            if s.device != NULL:
                s.device(s.self, ticket, self.backing.h, &self.backing.b, &self.backing.costs.c, &blocks[i], 1,
                         &self.o.host_ns, &self.o.stolen_ns)
            elif s.host_action == HOST_DONTNEED:
                backing_discard(
                    self.backing.h, &self.backing.b, &self.backing.costs.c, blocks[i].pfn, pages,
                    s.call_pages if s.call_pages else pages, 1, &self.o.host_ns, &self.o.stolen_ns)
            elif s.host_action == HOST_FREE:
                backing_free_lazily(
                    self.backing.h, &self.backing.b, &self.backing.costs.c, blocks[i].pfn, pages,
                    s.call_pages if s.call_pages else pages, 1, &self.o.host_ns, &self.o.stolen_ns)
        self.o.reports += 1
        self.o.reported_blocks += n
        self.o.returned_frames += held - self.backing.b.held_frames
        s.on_host_done(s.self, &self.allocator.m, cpu, ticket)

    cdef void _settle(self, int cpu) noexcept nogil:
        """Answer what hooks on this CPU have reported, and run its thread, if it was woken, until it sleeps."""
        cdef strategy_t *s = &self.strategy.s
        while s.nr_submitted:
            s.nr_submitted -= 1
            self._answer(cpu, s.submitted[s.nr_submitted])
        while s.wake[cpu]:
            s.wake[cpu] = 0
            while s.on_thread(s.self, &self.allocator.m, cpu) == THREAD_REPORTS:
                self._answer(cpu, s.thread_ticket[cpu])

    cdef void _settle_all(self) noexcept nogil:
        cdef int cpu
        if self.strategy is None:
            return
        for cpu in range(self.allocator.m.ncpus):
            self._settle(cpu)

    cdef int64_t _alloc(self, int cpu, int order, uint32_t gfp, int64_t n, pfn_t *out) noexcept nogil:
        """Allocate and touch up to n blocks; returns how many. Blocks for which the host has no frame are freed again."""
        cdef mm_t *m = &self.allocator.m
        cdef backing_t *b = &self.backing.b
        cdef host_t *h = self.backing.h
        cdef const costs_t *c = &self.backing.costs.c
        cdef double ns = 0
        cdef int64_t size = <int64_t>1 << order
        cdef int64_t done = 0, end = 0, next
        cdef int result = HOST_OK
        while done < n and done == end and result == HOST_OK:
            end += alloc_several(m, cpu, order, gfp, NULL, CHUNK if n - done > CHUNK else n - done, out + done)
            if end == done:
                break
            while done < end and result == HOST_OK:
                next = done + 1
                while next < end and out[next] == out[next - 1] + size:
                    next += 1
                result = backing_touch(h, b, c, out[done], (next - done) * size, TOUCH_WRITES, &ns)
                if result == HOST_OK:
                    done = next
            while result != HOST_OK and done < end and backing_touch(h, b, c, out[done], size, TOUCH_WRITES, &ns) == HOST_OK:
                done += 1
        while end > done:
            end -= 1
            free_pages(m, cpu, out[end], order)
        self.o.stall_ns += ns
        return done

    cdef void _free(self, int cpu, const pfn_t *pfns, int64_t n, int order) noexcept nogil:
        cdef mm_t *m = &self.allocator.m
        cdef strategy_t *s = &self.strategy.s if self.strategy is not None else NULL
        cdef int64_t i
        for i in range(n):
            if i + AHEAD < n:
                __builtin_prefetch(&m.tag[pfns[i + AHEAD]])
            free_pages(m, cpu, pfns[i], order)
            if s != NULL and (s.wake[cpu] or s.nr_submitted):
                self._settle(cpu)

    def alloc(self, n, order, gfp, cpu=0):
        """Allocate up to n blocks and write to their pages; pfns as uint32 in the order in which they were chosen.

        The array ends early where the guest's kernel would have to reclaim or fails, and where the host has no frame.
        """
        cdef int o = order_of(order)
        cdef int c = cpu_of(&self.allocator.m, cpu)
        cdef uint32_t bits = gfp_of(&self.allocator.m, gfp)
        cdef int64_t wanted = min(integer("n", n, 0, 1 << 40), self.allocator.m.npfn >> o)
        cdef int64_t got
        self._attached()
        array = np.empty(wanted, np.uint32)
        cdef pfn_t[::1] out = array
        if wanted == 0:
            return array
        with nogil:
            got = self._alloc(c, o, bits, wanted, &out[0])
            self._settle_all()
        self.allocator.raise_errors()
        return array if got == wanted else array[:got].copy()

    def free(self, pfns, order, cpu=0):
        """Free allocated blocks one after the other; this CPU's thread runs whenever a free wakes it.

        Threads of other CPUs run at the end of the batch. Raises PageError, with nothing freed, unless all are different
        allocated blocks of this order.
        """
        cdef int o = order_of(order)
        cdef int c = cpu_of(&self.allocator.m, cpu)
        cdef const pfn_t[::1] pages = fit_for_free(self.allocator, pfns, o)
        self._attached()
        if pages.shape[0] == 0:
            return
        with nogil:
            self._free(c, &pages[0], pages.shape[0], o)
            self._settle_all()
        self.allocator.raise_errors()

    def cycles(self, n, order, gfp, cpu=0, burst=1):
        """Allocate `burst` blocks, write to them, free them in the same order, n times; returns the cycles done.

        Ends early, with nothing left allocated, at the first cycle in which the guest or the host has no memory.
        """
        cdef int o = order_of(order)
        cdef int c = cpu_of(&self.allocator.m, cpu)
        cdef uint32_t bits = gfp_of(&self.allocator.m, gfp)
        cdef int64_t wanted = integer("n", n, 0, 1 << 40)
        cdef int64_t size = integer("burst", burst, 1, self.allocator.m.npfn)
        cdef int64_t done = 0, got
        cdef pfn_t[::1] held = np.empty(size, np.uint32)
        self._attached()
        with nogil:
            while done < wanted:
                got = self._alloc(c, o, bits, size, &held[0])
                self._free(c, &held[0], got, o)
                if got < size:
                    break
                done += 1
            self._settle_all()
        self.allocator.raise_errors()
        return done

    def run_thread(self, cpu=0):
        """Run a CPU's thread until it sleeps, whether it was woken or not."""
        cdef int c = cpu_of(&self.allocator.m, cpu)
        self._attached()
        if self.strategy is None or self.strategy.s.on_thread == NULL:
            return
        self.strategy.s.wake[c] = 1
        with nogil:
            self._settle(c)
        self.allocator.raise_errors()

    def tick(self, cpu=0):
        """Run the strategy's timer on a CPU, and its thread if the timer wakes it; False if there is no timer."""
        cdef int c = cpu_of(&self.allocator.m, cpu)
        cdef strategy_t *s
        self._attached()
        if self.strategy is None or self.strategy.s.on_timer == NULL:
            return False
        s = &self.strategy.s
        with nogil:
            s.on_timer(s.self, &self.allocator.m, c)
            self._settle_all()
        self.allocator.raise_errors()
        return True

    def _attached(self):
        self.backing.is_present(0)      # HostError once the host has killed the guest

    @property
    def outcome(self):
        """What it cost and returned so far, as a dict: times in ns, memory in pages."""
        return dict(self.o)

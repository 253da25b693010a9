"""The base of all compiled strategies: filling a guest's hooks, and running its threads by hand."""

from libc.stdint cimport int64_t
from libc.string cimport memset

from hinting.errors import StrategyError

from hinting._core.mm.allocator cimport Allocator


cdef class Strategy:
    """A strategy attached to at most one guest."""

    def __cinit__(self, *args, **kwargs):
        memset(&self.s, 0, sizeof(self.s))
        self.s.self = <void *>self

    cdef int prepare(self, Allocator allocator) except -1:
        """Size what depends on the guest. Called once, before the hooks are set."""
        return 0

    def attach(self, Allocator allocator not None):
        """Fill the guest's hook table.

        Raises StrategyError if this object or the guest is taken already.
        """
        if self.allocator is not None:
            raise StrategyError(f"{type(self).__name__} is attached to a guest already: make a new one for each guest")
        if allocator.m.hook_self != NULL:
            raise StrategyError("the guest has a strategy already")
        self.prepare(allocator)
        self.allocator = allocator
        allocator.hook_owner = self
        allocator.m.hook_self = self.s.self
        allocator.m.on_free = self.s.on_free
        allocator.m.on_alloc = self.s.on_alloc
        allocator.m.on_merged = self.s.on_merged
        allocator.m.on_unlock = self.s.on_unlock

    def _attached(self, cpu):
        if self.allocator is None:
            raise StrategyError("the strategy is attached to no guest")
        if not 0 <= cpu < self.allocator.m.ncpus:
            raise StrategyError(f"cpu must be between 0 and {self.allocator.m.ncpus - 1}, got {cpu}")

    def is_woken(self, int cpu=0):
        """Whether this CPU's thread was woken and has not run yet."""
        self._attached(cpu)
        return bool(self.s.wake[cpu])

    def run_thread(self, int cpu=0):
        """Run this CPU's thread now until it sleeps, pauses or reports; the blocks to report as [(pfn, order), ...]."""
        cdef int64_t n = 0, i
        cdef int state
        self._attached(cpu)
        if self.s.on_thread == NULL:
            return []
        self.s.wake[cpu] = 0
        with nogil:
            state = self.s.on_thread(self.s.self, &self.allocator.m, cpu)
        if state != THREAD_REPORTS:
            return []
        blocks = self.s.report(self.s.self, self.s.thread_ticket[cpu], &n)
        return [(blocks[i].pfn, blocks[i].order) for i in range(n)]

    cdef int _discard(self, int ticket) except -1:
        """Let the strategy see each block of a report at the moment of its discard."""
        cdef int64_t n = 0, i
        cdef const block_t *blocks
        if self.s.on_discard == NULL:
            return 0
        blocks = self.s.report(self.s.self, ticket, &n)
        for i in range(n):
            self.s.on_discard(self.s.self, &self.allocator.m, blocks[i].pfn, blocks[i].order)
        return 0

    def host_done(self, int cpu=0):
        """Tell the strategy that the host has dropped what this CPU's thread reported."""
        self._attached(cpu)
        self._discard(self.s.thread_ticket[cpu])
        with nogil:
            self.s.on_host_done(self.s.self, &self.allocator.m, cpu, self.s.thread_ticket[cpu])

    def submitted(self):
        """Reports that hooks handed in and nobody has taken yet: [(ticket, [(pfn, order), ...]), ...]."""
        cdef int64_t n = 0, i
        cdef int k
        reports = []
        for k in range(self.s.nr_submitted):
            blocks = self.s.report(self.s.self, self.s.submitted[k], &n)
            reports.append((self.s.submitted[k], [(blocks[i].pfn, blocks[i].order) for i in range(n)]))
        return reports

    def complete_submitted(self, int cpu=0):
        """Take all submitted reports and tell the strategy that the host is done with them; returns how many."""
        cdef int k, taken = self.s.nr_submitted
        self._attached(cpu)
        for k in range(taken):
            self._discard(self.s.submitted[k])
            self.s.on_host_done(self.s.self, &self.allocator.m, cpu, self.s.submitted[k])
        for k in range(taken, self.s.nr_submitted):
            self.s.submitted[k - taken] = self.s.submitted[k]
        self.s.nr_submitted -= taken
        return taken

    def counters(self):
        """The counters that the strategy's kernel code keeps, by the kernel's labels."""
        return {}

    def statistics(self):
        """What the kernel code does not count."""
        return {}

    @property
    def work(self):
        """What the strategy's own code did: counts by kind."""
        return dict(self.s.work)

"""The base of all compiled strategies: filling a guest's hooks, running its threads by hand, state in and out.

A strategy that can be part of a snapshot overrides `state`, `set_state` and `in_flight`. Its state is a dict of plain
NumPy arrays, without the parameters; `common_state` and `set_common_state` take care of what every strategy has.
`set_state` checks all of it against the guest and raises StrategyError with nothing changed.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import numpy as np

from hinting.errors import StrategyError

from hinting._core.mm.allocator cimport Allocator


#: What the VMM may do with a reported block.
ACTIONS = {"dontneed": HOST_DONTNEED, "free": HOST_FREE, "none": HOST_IGNORE}
#: Tracepoints of the series, by number. Those of v9 and of the builds after v8 are taken to be the ones of v8 (inferred).
TRACEPOINTS = ("guest_free_page", "guest_isolated_pfn")


cdef class Strategy:
    """A strategy attached to at most one guest."""

    def __cinit__(self, *args, **kwargs):
        memset(&self.s, 0, sizeof(self.s))
        self.s.self = <void *>self

    def __dealloc__(self):
        free(self.s.trace)

    cdef int wire(
        self, void *state, str host_action, int64_t call_pages, done_hook_t on_host_done, report_hook_t report,
        discard_hook_t on_discard,
    ) except -1:
        """What every strategy has: what its hooks work on, how blocks are reported and dropped, how a report ends.

        on_discard: NULL for a strategy that does not look. The hooks that make it a strategy of its kind are its own affair.
        """
        self.s.self = state
        self.s.host_action = ACTIONS[host_action]
        self.s.call_pages = call_pages
        self.s.on_host_done = on_host_done
        self.s.report = report
        self.s.on_discard = on_discard
        return 0

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
        self.enabled = True

    @property
    def enabled(self):
        """The static key: whether the guest's frees and allocations reach the hooks. Work under way goes on without it."""
        return self.key

    @enabled.setter
    def enabled(self, bint on):
        self._attached(0)
        self.key = on
        self.allocator.m.on_free = self.s.on_free if on else NULL
        self.allocator.m.on_alloc = self.s.on_alloc if on else NULL
        self.allocator.m.on_merged = self.s.on_merged if on else NULL
        self.allocator.m.on_unlock = self.s.on_unlock if on else NULL

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
        self._answer(self.s.thread_ticket[cpu], cpu)

    cdef int _answer(self, int ticket, int cpu) except -1:
        """The host has dropped the blocks of a report; the strategy hears of it on this CPU."""
        self._discard(ticket)
        with nogil:
            self.s.on_host_done(self.s.self, &self.allocator.m, cpu, ticket)
        return 0

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
            self._answer(self.s.submitted[k], cpu)
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

    def kernel_files(self):
        """Files of the guest's kernel that the strategy adds, by path: {path: text}."""
        return {}

    def kernel_bytes(self):
        """Bytes that its arrays and bitmaps take in the guest's kernel."""
        return 0

    def start_trace(self, int64_t size=1 << 16):
        """Note tracepoints from now on, up to `size` of them; what was noted before is forgotten."""
        if not 1 <= size <= 1 << 28:
            raise StrategyError(f"trace size must be between 1 and {1 << 28}, got {size}")
        self.stop_trace()
        self.s.trace = <trace_event_t *>calloc(size, sizeof(trace_event_t))
        if self.s.trace == NULL:
            raise MemoryError()
        self.s.trace_size = size

    def trace(self):
        """Tracepoints since start_trace: [(name, pfn, value), ...]; value: an order, or for guest_isolated_pfn pages."""
        cdef int64_t i
        return [(TRACEPOINTS[self.s.trace[i].point], self.s.trace[i].pfn, self.s.trace[i].value)
                for i in range(min(self.s.traced, self.s.trace_size))]

    def stop_trace(self):
        """Note no more tracepoints; returns how many found no room."""
        lost = max(0, self.s.traced - self.s.trace_size)
        free(self.s.trace)
        self.s.trace = NULL
        self.s.trace_size = self.s.traced = 0
        return lost

    @property
    def work(self):
        """What the strategy's own code did: counts by kind."""
        return dict(self.s.work)

    # -- state in and out --------------------------------------------------------------------------------------

    def state(self):
        """What the strategy knows, as {name: NumPy array}, for `set_state` of another one with the same parameters."""
        raise StrategyError(f"the guest cannot be copied or saved: {self.why_no_state()}")

    def why_no_state(self):
        """Why a guest with this strategy cannot be part of a snapshot."""
        return f"{type(self).__name__} has no state()"

    def set_state(self, state):
        """Take over a state; StrategyError, with nothing changed, if it contradicts itself or the guest's memory."""
        raise StrategyError(f"strategy {type(self).__name__} cannot take over a state: it has no set_state()")

    def in_flight(self):
        """Reports that the host has, and threads that stand in the middle of their work: [(ticket, cpu), ...].

        cpu: the CPU whose thread it is, or None for a report that an interrupt answers. What `submitted` gives is not
        among them.
        """
        return []

    def reported(self, int ticket):
        """Blocks of a report that is submitted or in flight: [(pfn, order), ...]."""
        cdef int64_t n = 0, i
        cdef const block_t *blocks = self.s.report(self.s.self, ticket, &n)
        return [(blocks[i].pfn, blocks[i].order) for i in range(n)]

    def settle(self):
        """The host answers all reports and the threads go on, until nothing is under way."""
        while self.s.nr_submitted or self.in_flight():
            self.complete_submitted()
            for ticket, cpu in self.in_flight():
                if self.reported(ticket):
                    self._answer(ticket, 0 if cpu is None else cpu)
                if cpu is not None:
                    self.run_thread(cpu)

    def common_state(self):
        """The static key, wake-ups, submitted tickets, work counts and holds of the zone lock: {name: array}."""
        cdef int i
        self._attached(0)
        before = dict(self.s.before_hold)
        return {
            "wake": np.array([self.s.wake[i] for i in range(self.allocator.m.ncpus)], np.int64),
            "thread_ticket": np.array([self.s.thread_ticket[i] for i in range(self.allocator.m.ncpus)], np.int64),
            "submitted": np.array([self.s.submitted[i] for i in range(self.s.nr_submitted)], np.int64),
            "work": np.array([self.work[name] for name in sorted(self.work)], np.int64),
            "key": np.array([self.key, self.s.holds], np.int64),
            "before_hold": np.array([before[name] for name in sorted(before)], np.int64),
            "hold_ns": np.array([self.s.hold_sum_ns, self.s.hold_most_ns]),
        }

    def checked_state(self, state, shapes):
        """state as int64 arrays (hold_ns: float64) of these shapes, with those of common_state; None: any length.

        Raises StrategyError naming what is missing, unknown or misshapen.
        """
        self._attached(0)
        ncpus = self.allocator.m.ncpus
        wanted = {"wake": (ncpus,), "thread_ticket": (ncpus,), "submitted": (None,), "work": (len(self.work),), "key": (2,),
                  "before_hold": (len(self.work),), "hold_ns": (2,)} | shapes
        name = type(self).__name__
        for key in (*wanted, *state):
            if key not in state or key not in wanted:
                what = "is missing" if key not in state else "is unknown"
                raise StrategyError(f"state of strategy {name}: {key!r} {what}, expected {', '.join(wanted)}")
        arrays = {}
        for key, shape in wanted.items():
            array = np.asarray(state[key])
            if array.dtype.kind not in "iub" + "f" * (key == "hold_ns") or (
                    array.dtype.kind == "u" and array.size and array.max() >= 1 << 63):
                raise StrategyError(f"state of strategy {name}: {key} must be integers, got {array.dtype}")
            if len(shape) != array.ndim or any(n not in (None, got) for n, got in zip(shape, array.shape)):
                raise StrategyError(f"state of strategy {name}: {key} must have shape "
                                    f"{str(shape).replace('None', 'any')}, got {array.shape}")
            arrays[key] = array.astype(np.float64 if key == "hold_ns" else np.int64)
        return arrays

    def check_common_state(self, arrays):
        """Raise StrategyError unless wake-ups and tickets are possible ones. arrays: from `checked_state`."""
        for key, high in (("wake", 1), ("thread_ticket", MAX_TICKETS - 1), ("submitted", MAX_TICKETS - 1)):
            values = arrays[key]
            if values.size and (values.min() < 0 or values.max() > high):
                raise StrategyError(f"state of strategy {type(self).__name__}: {key} must be between 0 and {high}, "
                                    f"got {values.tolist()}")
        if arrays["key"][0] not in (0, 1) or not 0 <= arrays["key"][1] <= 2:
            raise StrategyError(f"state of strategy {type(self).__name__}: key must be 0 or 1 and holds of the zone lock at "
                                f"most 2, got {arrays['key'].tolist()}")
        if not np.isfinite(arrays["hold_ns"]).all() or arrays["hold_ns"].min() < 0 or arrays["before_hold"].min() < 0:
            raise StrategyError(f"state of strategy {type(self).__name__}: hold_ns and before_hold must not be negative")
        if arrays["submitted"].size > MAX_TICKETS:
            raise StrategyError(f"state of strategy {type(self).__name__}: more than {MAX_TICKETS} submitted tickets")

    def set_common_state(self, arrays):
        """Take over what every strategy has. arrays: passed `check_common_state`."""
        cdef int i
        for i in range(self.allocator.m.ncpus):
            self.s.wake[i] = arrays["wake"][i]
            self.s.thread_ticket[i] = arrays["thread_ticket"][i]
        self.s.nr_submitted = arrays["submitted"].size
        for i in range(self.s.nr_submitted):
            self.s.submitted[i] = arrays["submitted"][i]
        self.s.work = dict(zip(sorted(self.work), arrays["work"].tolist()))
        self.s.before_hold = dict(zip(sorted(self.work), arrays["before_hold"].tolist()))
        self.enabled, self.s.holds = bool(arrays["key"][0]), arrays["key"][1]
        self.s.hold_sum_ns, self.s.hold_most_ns = arrays["hold_ns"].tolist()

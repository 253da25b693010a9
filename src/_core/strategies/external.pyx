"""Strategies from outside: hooks of a plug-in, of Numba or of Python in the table of the engine, behind the border.

The trampolines below are what the allocator and the engine call. They keep the books of isolated blocks, so that
whatever a user's hook does, the guest's invariants hold afterwards.
"""

from cpython.exc cimport PyErr_Fetch, PyErr_NormalizeException
from cpython.ref cimport Py_DECREF, PyObject
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from hinting.errors import StrategyError

from hinting._core cimport api
from hinting._core.api cimport ACTION_DONTNEED, ACTION_IGNORE, guest_t, hooks_t
from hinting._core.common cimport MAX_ORDER, pfn_t
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.arguments cimport describe
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies cimport border
from hinting._core.strategies.border cimport (
    FAULT_KEPT,
    FAULT_NONE,
    FAULT_RAISED,
    HOOK_ALLOC,
    HOOK_DONE,
    HOOK_FREE,
    HOOK_MERGED,
    HOOK_THREAD,
    HOOK_TIMER,
    MAX_DEPTH,
    NR_SLOTS,
    border_t,
    enter,
    give_back,
    held_t,
    leave,
    stop,
)
from hinting._core.strategies.hooks cimport (
    HOST_DONTNEED,
    HOST_IGNORE,
    THREAD_REPORTS,
    THREAD_SLEEPS,
    Strategy,
    block_t,
)

from hinting._core.strategies import faults

_HOOKS = {
    HOOK_FREE: "on_free", HOOK_ALLOC: "on_alloc", HOOK_MERGED: "on_merged", HOOK_THREAD: "on_thread",
    HOOK_TIMER: "on_timer", HOOK_DONE: "on_host_done",
}
_KINDS = {
    border.FAULT_RAISED: "raised", border.FAULT_STEPS: "steps", border.FAULT_PFN: "pfn", border.FAULT_ORDER: "order",
    border.FAULT_CPU: "cpu", border.FAULT_ZONE: "zone", border.FAULT_TYPE: "type", border.FAULT_NOT_FREE: "not_free",
    border.FAULT_NOT_HELD: "not_held", border.FAULT_NOT_DONE: "not_done", border.FAULT_LEAK: "leak",
    border.FAULT_KEPT: "kept", border.FAULT_NO_THREAD: "no_thread", border.FAULT_NOT_NOW: "not_now",
    border.FAULT_NO_MEMORY: "no_memory", border.FAULT_TIME: "time",
}
_ASKS = {
    border.ASK_NOTHING: "", border.ASK_BLOCK: "block", border.ASK_PAGE: "page", border.ASK_ISOLATE: "isolate",
    border.ASK_PUT_BACK: "put_back", border.ASK_PUT_BACK_ALL: "put_back_all", border.ASK_RELEASE: "release",
    border.ASK_REPORT: "report",
    border.ASK_DRAIN: "drain", border.ASK_WAKE: "wake", border.ASK_FIRST: "first", border.ASK_NEXT: "next",
    border.ASK_MARK: "mark_reported", border.ASK_STATE: "",
}

#: Requests that one call of a hook may make: a pass over the blocks of a big guest fits, a loop without end does not.
STEP_BUDGET = 1 << 24

#: Words of api.pxd for Python.
STOPPED = api.STOPPED
PAGE_OTHER, PAGE_FREE, PAGE_USED, PAGE_COMPOUND = api.PAGE_OTHER, api.PAGE_FREE, api.PAGE_USED, api.PAGE_COMPOUND
ACTIONS = {"dontneed": ACTION_DONTNEED, "ignore": ACTION_IGNORE}


cdef void on_free(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    cdef external_t *e = <external_t *>self
    cdef border_t *b = &e.border
    if b.fault == FAULT_NONE:
        enter(b, HOOK_FREE, cpu)
        e.hooks.on_free(e.state, <guest_t *>b, cpu, pfn, order)
        leave(b)


cdef void on_alloc(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    cdef external_t *e = <external_t *>self
    cdef border_t *b = &e.border
    if b.fault == FAULT_NONE:
        enter(b, HOOK_ALLOC, cpu)
        e.hooks.on_alloc(e.state, <guest_t *>b, cpu, pfn, order)
        leave(b)


cdef void on_merged(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    cdef external_t *e = <external_t *>self
    cdef border_t *b = &e.border
    if b.fault == FAULT_NONE:
        enter(b, HOOK_MERGED, cpu)
        e.hooks.on_merged(e.state, <guest_t *>b, cpu, pfn, order)
        leave(b)


cdef int on_thread(void *self, mm_t *m, int cpu) noexcept nogil:
    cdef external_t *e = <external_t *>self
    cdef border_t *b = &e.border
    if b.fault != FAULT_NONE:
        return THREAD_SLEEPS
    b.thread_reports = False
    enter(b, HOOK_THREAD, cpu)
    e.hooks.on_thread(e.state, <guest_t *>b, cpu)
    leave(b)
    return THREAD_REPORTS if b.thread_reports and b.fault == FAULT_NONE else THREAD_SLEEPS


cdef bint on_timer(void *self, mm_t *m, int cpu) noexcept nogil:
    cdef external_t *e = <external_t *>self
    cdef border_t *b = &e.border
    if b.fault == FAULT_NONE:
        enter(b, HOOK_TIMER, cpu)
        e.hooks.on_timer(e.state, <guest_t *>b, cpu)
        leave(b)
    return b.s.wake[cpu]


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    """The report ends here: what the hook has not put back is a fault; without a hook all is put back."""
    cdef external_t *e = <external_t *>self
    cdef border_t *b = &e.border
    cdef held_t *h = &b.slot[ticket]
    cdef int64_t i
    if b.fault != FAULT_NONE:
        return
    enter(b, HOOK_DONE, cpu)
    b.done = ticket
    h.at = 0
    if e.hooks.on_host_done != NULL:
        e.hooks.on_host_done(e.state, <guest_t *>b, cpu, ticket)
        if h.left:
            for i in range(h.n):
                if h.block[i].order >= 0:
                    if b.fault == FAULT_NONE:
                        b.fault_blocks = h.left
                    stop(b, FAULT_KEPT, 0, h.block[i].pfn, h.block[i].order)
                    break
    else:
        give_back(b, h, cpu, False)
    b.done = -1
    leave(b)
    h.taken = False
    h.n = 0


cdef const block_t *report(void *self, int ticket, int64_t *n) noexcept nogil:
    cdef border_t *b = <border_t *>self
    n[0] = b.slot[ticket].n if b.fault == FAULT_NONE else 0
    return b.slot[ticket].block


cdef void user_raised(guest_t *guest, object error) noexcept:
    """An exception came out of a hook: it is the guest's fault from now on."""
    cdef border_t *b = <border_t *>guest
    cdef External core = <External>b.owner
    if core.raised is None:
        core.raised = error
    stop(b, FAULT_RAISED, 0, 0, 0)


cdef void numba_raised(void *guest) noexcept with gil:
    """The same for a hook that Numba compiled, which leaves the exception with the interpreter."""
    cdef PyObject *kind
    cdef PyObject *value
    cdef PyObject *trace
    PyErr_Fetch(&kind, &value, &trace)
    PyErr_NormalizeException(&kind, &value, &trace)
    if value != NULL:
        error = <object>value
        if trace != NULL:
            error.__traceback__ = <object>trace
            Py_DECREF(<object>trace)
        Py_DECREF(<object>value)
        Py_DECREF(<object>kind)
        user_raised(<guest_t *>guest, error)


def raised_address():
    """Address of the function that a compiled hook calls with its guest after an exception."""
    return <size_t>&numba_raised


cdef int take_settings(hooks_t *t, settings) except -1:
    """Settings of a hook table from a mapping."""
    t.timer_ns = settings["timer_ns"]
    t.wake_latency_ns = settings["wake_latency_ns"]
    t.call_pages = settings["call_pages"]
    t.step_budget = settings["step_budget"]
    t.descriptors = settings["descriptors"]
    t.host_action = settings["host_action"]
    t.synchronous = settings["synchronous"]
    return 0


cdef class External(Strategy):
    """A strategy whose hooks come from outside. name: for messages."""

    def __cinit__(self, *args, **kwargs):
        self.e.border.slot = <held_t *>calloc(NR_SLOTS, sizeof(held_t))
        if self.e.border.slot == NULL:
            raise MemoryError()

    def __init__(self, str name):
        self.name = name
        self.e.border.s = &self.s
        self.e.border.owner = <void *>self
        self.e.border.done = -1
        self.s.self = &self.e
        self.s.report = report
        self.s.on_host_done = on_host_done

    def __dealloc__(self):
        cdef int i
        if self.e.border.slot != NULL:
            for i in range(NR_SLOTS):
                free(self.e.border.slot[i].block)
            free(self.e.border.slot)
        for i in range(MAX_DEPTH + 1):
            free(self.e.border.frame[i].hand.block)

    cdef int fill(self, const hooks_t *hooks, void *state, object owner) except -1:
        """Take over hooks and settings. Raises StrategyError for a table of another version or an illegal setting."""
        if self.allocator is not None:
            raise StrategyError(f"strategy {self.name}: attached to a guest already")
        if not 0 < hooks.size <= sizeof(hooks_t):
            raise StrategyError(f"strategy {self.name}: the hook table was compiled for another version of hinting "
                                f"(size {hooks.size}, expected {sizeof(hooks_t)}): compile the plug-in again")
        memset(&self.e.hooks, 0, sizeof(hooks_t))
        memcpy(&self.e.hooks, hooks, hooks.size)
        if not (hooks.on_free or hooks.on_alloc or hooks.on_merged or hooks.on_timer):
            raise StrategyError(f"strategy {self.name}: none of the hooks on_free, on_alloc, on_merged, on_timer is "
                                f"there, so nothing ever calls it")
        if (self.e.hooks.on_timer != NULL) != (self.e.hooks.timer_ns > 0):
            raise StrategyError(f"strategy {self.name}: on_timer and timer_ns belong together: timer_ns must be above "
                                f"0 with an on_timer and 0 without, got {self.e.hooks.timer_ns}")
        if self.e.hooks.host_action not in (ACTION_DONTNEED, ACTION_IGNORE):
            raise StrategyError(f"strategy {self.name}: host_action must be {ACTION_DONTNEED} or {ACTION_IGNORE}, "
                                f"got {self.e.hooks.host_action}")
        if min(self.e.hooks.wake_latency_ns, self.e.hooks.call_pages, self.e.hooks.descriptors,
               self.e.hooks.step_budget) < 0:
            raise StrategyError(f"strategy {self.name}: wake_latency_ns, call_pages, descriptors and step_budget must "
                                f"not be negative")
        self.owner = owner
        self.e.state = state
        self.e.border.has_thread = hooks.on_thread != NULL
        self.e.border.budget = self.e.hooks.step_budget or STEP_BUDGET
        if self.e.hooks.on_free != NULL:
            self.s.on_free = on_free
        if self.e.hooks.on_alloc != NULL:
            self.s.on_alloc = on_alloc
        if self.e.hooks.on_merged != NULL:
            self.s.on_merged = on_merged
        if self.e.hooks.on_thread != NULL:
            self.s.on_thread = on_thread
        if self.e.hooks.on_timer != NULL:
            self.s.on_timer = on_timer
        self.s.timer_ns = self.e.hooks.timer_ns
        self.s.wake_latency_ns = self.e.hooks.wake_latency_ns
        self.s.call_pages = self.e.hooks.call_pages
        self.s.descriptors = self.e.hooks.descriptors
        self.s.host_action = HOST_IGNORE if self.e.hooks.host_action == ACTION_IGNORE else HOST_DONTNEED
        self.s.synchronous = self.e.hooks.synchronous
        return 0

    def hold(self, owner):
        """Take over an object whose prepare(core, n_cpus, n_pages) fills the table once there is a guest."""
        self.owner = owner

    def fill_table(self, size_t hooks, size_t state, owner):
        """Take over a hooks_t at an address."""
        self.fill(<const hooks_t *>hooks, <void *>state, owner)

    def fill_addresses(self, hooks, settings, size_t state, owner):
        """Take over hooks by address: {name: address}, settings as in hooks_t, the state's address and its owner."""
        cdef hooks_t table
        memset(&table, 0, sizeof(table))
        table.size = sizeof(table)
        table.on_free = <void (*)(void *, guest_t *, int, pfn_t, int) noexcept nogil><size_t>hooks.get("on_free", 0)
        table.on_alloc = <void (*)(void *, guest_t *, int, pfn_t, int) noexcept nogil><size_t>hooks.get("on_alloc", 0)
        table.on_merged = <void (*)(void *, guest_t *, int, pfn_t, int) noexcept nogil><size_t>hooks.get("on_merged", 0)
        table.on_thread = <void (*)(void *, guest_t *, int) noexcept nogil><size_t>hooks.get("on_thread", 0)
        table.on_timer = <void (*)(void *, guest_t *, int) noexcept nogil><size_t>hooks.get("on_timer", 0)
        table.on_host_done = <void (*)(void *, guest_t *, int, int) noexcept nogil><size_t>hooks.get("on_host_done", 0)
        take_settings(&table, settings)
        self.fill(&table, <void *>state, owner)

    cdef int prepare(self, Allocator allocator) except -1:
        cdef int cpu
        self.e.border.m = &allocator.m
        for cpu in range(allocator.m.ncpus):
            self.s.thread_ticket[cpu] = cpu
        prepare = getattr(self.owner, "prepare", None)
        if prepare is not None:
            prepare(self, allocator.m.ncpus, allocator.m.npfn)
        return 0

    # -- by hand -------------------------------------------------------------------------------------------------

    def run_thread(self, int cpu=0):
        """Run this CPU's thread now until it sleeps or reports; the blocks to report as [(pfn, order), ...]."""
        blocks = Strategy.run_thread(self, cpu)
        self.raise_fault()
        return blocks

    def host_done(self, int cpu=0):
        """Tell the strategy that the host has dropped what this CPU's thread reported."""
        Strategy.host_done(self, cpu)
        self.raise_fault()

    def complete_submitted(self, int cpu=0):
        """Take all submitted reports and tell the strategy that the host is done with them; returns how many."""
        taken = Strategy.complete_submitted(self, cpu)
        self.raise_fault()
        return taken

    def run_timer(self, int cpu=0):
        """Let the timer of a CPU fire now."""
        self._attached(cpu)
        if self.s.on_timer != NULL:
            with nogil:
                self.s.on_timer(self.s.self, &self.allocator.m, cpu)
        self.raise_fault()

    def feed(self, const uint32_t[::1] pfns, int order=0, int cpu=0):
        """Call on_free for each of these pages without freeing them: to try a hook, or to time it."""
        cdef int64_t i
        self._attached(cpu)
        if not 0 <= order <= MAX_ORDER:
            raise StrategyError(f"order must be between 0 and {MAX_ORDER}, got {order}")
        if self.s.on_free != NULL:
            with nogil:
                for i in range(pfns.shape[0]):
                    self.s.on_free(self.s.self, &self.allocator.m, cpu, pfns[i], order)
        self.raise_fault()

    # -- faults --------------------------------------------------------------------------------------------------

    @property
    def is_stopped(self):
        """Whether a fault has switched the strategy off."""
        return self.e.border.fault != FAULT_NONE

    def raise_fault(self):
        """Raise the StrategyError of a fault that was not raised yet; the strategy stays switched off."""
        if self.allocator is not None:
            self.allocator.raise_errors()

    def fault_error(self):
        """The exception that a fault is for the caller."""
        cdef border_t *b = &self.e.border
        stopped = isinstance(self.raised, (faults.StrategyStopped, faults.CompiledHookStopped))
        if self.raised is not None and not stopped and not isinstance(self.raised, Exception):
            return self.raised          # KeyboardInterrupt, SystemExit
        fault = faults.Fault(
            strategy=self.name, owner=self.owner, kind=_KINDS[b.fault], hook=_HOOKS[b.fault_hook], cpu=b.fault_cpu,
            ask=_ASKS[b.fault_ask], pfn=b.fault_pfn, order=b.fault_order, blocks=b.fault_blocks, budget=b.budget,
            npfn=b.m.npfn, ncpus=b.m.ncpus, page=describe(b.fault_tag), raised=self.raised,
        )
        error = StrategyError(faults.message(fault))
        error.__cause__ = None if stopped else self.raised
        return error

    def counters(self):
        """The strategy's counters by name."""
        counters = getattr(self.owner, "counters", None)
        return {} if counters is None else counters()

    def statistics(self):
        """What the strategy gives besides its counters."""
        statistics = getattr(self.owner, "statistics", None)
        return {} if statistics is None else statistics()

"""A policy of the host that is written in Python, or whose decisions on reports Numba has compiled.

The first thing that a policy does wrong stops it: the run ends with one line that names hook, place and what is legal.
"""

import numpy as np

from libc.math cimport exp
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy

from hinting.errors import PolicyError

from hinting._core.engine.machine cimport GUEST_FINE, SIM_POLICY, machine_t, simulation_t
from hinting._core.engine.meter cimport VMM_CLOCK, last_change, note
from hinting._core.engine.policy cimport see_guest, see_host
from hinting._core.engine.policy_state cimport (
    DECIDE_DISCARD,
    KERNELS_CHOICE,
    NR_DECISIONS,
    guest_view_t,
    host_view_t,
    report_decision_t,
)
from hinting._core.guard cimport Guard
from hinting._core.host.postponed cimport drop_postponed
from hinting._core.host.reclaim cimport reclaim_guest
from hinting._core.strategies.hooks cimport block_t, strategy_t

#: What a policy sees, in pages; see hinting.policies.
HOST_DTYPE = np.dtype([(name, "i8") for name in (
    "now_ns", "pages", "free", "wmark_min", "wmark_low", "wmark_high", "swap", "swap_used",
)] + [("psi_some", "f8"), ("psi_full", "f8")])
GUEST_DTYPE = np.dtype([(name, "i8") for name in (
    "number", "memory", "held", "rss", "swapped", "deferred", "discarded", "refaulted",
)] + [("refault_rate", "f8"), ("psi_some", "f8")])
RANGE_DTYPE = np.dtype([("pfn", "u4"), ("order", "i4")])
assert HOST_DTYPE.itemsize == sizeof(host_view_t) and GUEST_DTYPE.itemsize == sizeof(guest_view_t)
assert RANGE_DTYPE.itemsize == sizeof(block_t)

#: Answers of on_report, by DECIDE_*.
DECISIONS = ("discard", "defer", "ignore", "free")

cdef enum:
    ANSWER_RAISED = -0x7FFFFFFF - 1

#: What a compiled on_report answers when it has raised.
RAISED = ANSWER_RAISED

cdef double AVERAGED_S = 10.0


cdef int on_report(
    void *state, const host_view_t *host, const guest_view_t *guest, const block_t *blocks, int64_t n
) noexcept with gil:
    """on_report in plain Python."""
    cdef HostPolicy p = <HostPolicy>state
    return p.decided(p.ask("on_report", *p.arguments_of(guest.number, blocks, n)))


cdef int on_compiled_report(
    void *state, const host_view_t *host, const guest_view_t *guest, const block_t *blocks, int64_t n
) noexcept nogil:
    """A compiled on_report, whose answers are checked."""
    cdef compiled_t *c = <compiled_t *>state
    cdef int answer
    if c.stopped:
        return DECIDE_DISCARD
    answer = c.on_report(c.state, host, guest, blocks, n)
    return answer if 0 <= answer < NR_DECISIONS else strange_answer(c, answer, guest.number, blocks, n)


cdef int strange_answer(compiled_t *c, int answer, int64_t number, const block_t *blocks, int64_t n) noexcept with gil:
    """A compiled on_report has raised, or returned what it may not."""
    cdef HostPolicy p = <HostPolicy>c.owner
    if answer == ANSWER_RAISED:
        p.ask_again(p.arguments_of(number, blocks, n))
    else:
        p.decided(answer)
    return DECIDE_DISCARD


cdef int on_oom(void *self) noexcept with gil:
    """Whom to kill."""
    cdef HostPolicy p = <HostPolicy>self
    return p.victim(p.ask("choose_victim", p.sees_host(), p.sees_guests(), "oom"))


cdef class HostPolicy(Guard):
    """The hooks of a policy, as the engine calls them; one simulation each."""

    def __init__(self, policy, name, double time_limit_s, *, bint merges, bint lazily, locate, uintptr_t address=0,
                 uintptr_t state=0, owner=None, again=None):
        self.policy, self.name, self.locate, self.owner, self.again = policy, name, locate, owner, again
        self.time_limit_s = time_limit_s
        self.p.self = self.p.state = <void *>self
        self.p.merges, self.p.lazily = merges, lazily
        if address:
            self.compiled.on_report = <report_decision_t>address
            self.compiled.state = <void *>state
            self.compiled.owner = <void *>self
            self.p.state = &self.compiled
            self.p.on_report = on_compiled_report
        elif hasattr(policy, "on_report"):
            self.p.on_report = on_report
        if hasattr(policy, "choose_victim"):
            self.p.on_oom = on_oom
        self.waited = []

    cdef int attach(self, simulation_t *s) except -1:
        cdef char[::1] at
        if self.s != NULL:
            raise PolicyError(f"policy {self.name} serves a simulation already: make a new one for each")
        host = np.zeros(1, HOST_DTYPE)
        at = host.view(np.int8)
        self.p.host = <host_view_t *>&at[0]
        self.host = host.view(np.recarray)
        self.s = s
        s.policy = &self.p
        return self.room(0)

    cdef int room(self, int machines) except -1:
        """Make room for so many guests."""
        cdef char[::1] at
        new = np.zeros(max(1, machines), GUEST_DTYPE)
        if self.guests is not None:
            new[: len(self.guests)] = self.guests
        at = new.view(np.int8)
        self.p.guest = <guest_view_t *>&at[0]
        self.guests = new.view(np.recarray)
        self.waited += [(0.0, 0)] * (len(new) - len(self.waited))
        return 0

    # -- what it sees ----------------------------------------------------------------------------------------------

    def sees_host(self):
        """The record of the host as it is now."""
        see_host(&self.p, self.s.host, self.s.now)
        return self.host[0]

    def sees_guests(self):
        """Records of the guests that run, as they are now."""
        cdef int i
        alive = np.zeros(len(self.guests), bool)
        for i in range(self.s.nr_machines):
            if self.s.machine[i].state == GUEST_FINE:
                see_guest(&self.p, self.s.machine[i])
                alive[i] = True
        return self.guests[alive]

    def sees_guest(self, int number):
        """The record of one guest as it is now."""
        see_guest(&self.p, self.s.machine[number])
        return self.guests[number]

    cdef tuple arguments_of(self, int64_t number, const block_t *blocks, int64_t n):
        """The arguments of on_report."""
        cdef char[::1] at
        out = np.empty(n, RANGE_DTYPE)
        at = out.view(np.int8)
        memcpy(&at[0], blocks, n * sizeof(block_t))
        return self.host[0], self.guests[number], out.view(np.recarray)

    # -- calls -----------------------------------------------------------------------------------------------------

    def ask(self, hook, *arguments):
        """What a hook returns; None once the policy was stopped."""
        return self.guarded(hook, getattr(self.policy, hook), arguments)

    cdef guarded(self, hook, function, arguments):
        if self.fault is not None:
            return None
        answer, raised = None, None
        self.enter_call()
        try:
            answer = function(*arguments)
        except BaseException as error:
            raised = error
        if self.leave_call():
            self.fail(hook, "did not return in time: it seems to loop for ever (time_limit_s)", None)
        elif raised is not None:
            self.fail(hook, f"raised {type(raised).__name__}: {raised}", raised)
        return answer

    cdef fail(self, hook, text, error):
        """Stop the policy."""
        if self.fault is not None:
            return
        place = self.locate(hook, error)
        self.fault = PolicyError(f"policy {self.name}: {hook}{f' ({place})' if place else ''} {text}")
        self.fault.__cause__ = error
        self.s.error = SIM_POLICY
        self.compiled.stopped = True

    def asked_victim(self, why):
        """The number of the guest that choose_victim names, None for nobody."""
        number = self.victim(self.ask("choose_victim", self.sees_host(), self.sees_guests(), why))
        return None if number == KERNELS_CHOICE else number

    def check(self):
        """Raise what the policy was stopped for, once."""
        if self.fault is not None and self.s.error == SIM_POLICY:
            self.s.error = 0
            raise self.fault

    def refuse(self, hook, value, expected):
        """Stop the policy: a hook has returned what it may not."""
        self.fail(hook, f"returned {value!r}: expected {expected}", None)

    cdef int decided(self, answer) noexcept:
        """An answer of on_report as DECIDE_*."""
        if self.fault is not None:
            return DECIDE_DISCARD
        if isinstance(answer, str) and answer in DECISIONS:
            return DECISIONS.index(answer)
        self.refuse("on_report", answer, "0 (discard), 1 (defer), 2 (ignore) or 3 (free)" if self.compiled.on_report != NULL
                    else "'discard', 'defer', 'ignore' or 'free'")
        return DECIDE_DISCARD

    cdef ask_again(self, arguments):
        """A compiled on_report has raised: the same call in Python shows what and where."""
        self.guarded("on_report", self.again, arguments)
        if self.fault is None:
            self.fail("on_report", "raised an exception", None)

    cdef int victim(self, answer) noexcept:
        """An answer of choose_victim as a guest's number."""
        if self.fault is not None or answer is None:
            return KERNELS_CHOICE
        number = getattr(answer, "number", answer)
        whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if whole and 0 <= number < self.s.nr_machines and self.s.machine[<int>number].state == GUEST_FINE:
            return <int>number
        self.refuse("choose_victim", answer, "a guest that runs, its number, or None")
        return KERNELS_CHOICE

    # -- what the host does on its behalf ---------------------------------------------------------------------------

    def tick(self):
        """Bring averages up to date."""
        cdef int i
        cdef double seconds = (self.s.now - self.ticked_at) / 1e9
        cdef double fade = exp(-seconds / AVERAGED_S) if seconds > 0 else 1.0
        cdef machine_t *g
        if seconds <= 0:
            return
        self.ticked_at = self.s.now
        host = self.sees_host()
        host.psi_some = averaged(host.psi_some, self.s.psi.some - self.some, seconds, fade)
        host.psi_full = averaged(host.psi_full, self.s.psi.full - self.full, seconds, fade)
        self.some, self.full = self.s.psi.some, self.s.psi.full
        for i in range(self.s.nr_machines):
            g = self.s.machine[i]
            v = &self.p.guest[i]
            waited, refaulted = self.waited[i]
            v.refault_rate = v.refault_rate * fade + (g.backing.n.refaulted_pages - refaulted) / seconds * (1 - fade)
            v.psi_some = averaged(v.psi_some, g.meter.psi.some - waited, seconds, fade)
            self.waited[i] = g.meter.psi.some, g.backing.n.refaulted_pages

    def drop_postponed(self, int number, int64_t max_age_ns, int64_t goal):
        """Take what was deferred that long ago from a guest, and more, oldest first, until the host has `goal` free pages."""
        cdef machine_t *g = self.s.machine[number]
        cdef double ns = 0
        if g.state != GUEST_FINE or g.backing.lazy == NULL:
            return
        with nogil:
            drop_postponed(self.s.host, g.backing, g.costs, self.s.now - max_age_ns, goal, &ns)
        self.charge(g, ns)

    def reclaim(self, int number, int64_t pages):
        """Evict so many pages of a guest; returns how many went."""
        cdef machine_t *g = self.s.machine[number]
        cdef double ns = 0
        self.s.host.now = self.s.now
        with nogil:
            pages = reclaim_guest(self.s.host, g.backing, g.costs, pages, &ns)
        self.charge(g, ns)
        return pages

    cdef charge(self, machine_t *g, double ns):
        """The VMM's time for something beside its reports."""
        g.account.vmm += ns
        if g.vmm.queued:
            g.vmm.now += <int64_t>ns
        note(g, last_change(self.s, g, self.s.now), VMM_CLOCK)

    def has_period(self, int number):
        """Whether the guest's strategy works by a period or delay."""
        cdef strategy_t *strategy = self.s.machine[number].strategy
        return strategy != NULL and (strategy.timer_ns > 0 or strategy.delayed)

    def set_period(self, int number, int64_t ns):
        """Change it, from the next time on."""
        cdef strategy_t *strategy = self.s.machine[number].strategy
        if strategy.delayed:
            strategy.wake_latency_ns = ns
        else:
            strategy.timer_ns = ns

    def can_resize(self, int number):
        """Whether the guest's strategy can change its memory."""
        cdef strategy_t *strategy = self.s.machine[number].strategy
        return strategy != NULL and strategy.on_resize != NULL


cdef double averaged(double old, double waited_ns, double seconds, double fade):
    """An average in percent, with what was waited in the last seconds."""
    return old * fade + min(100.0, waited_ns / 1e7 / seconds) * (1 - fade)

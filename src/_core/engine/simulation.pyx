"""Many guests on one host in virtual time.

Guests are launched, run and measured here; who runs when is `stepping`'s, what a guest can be asked is `guest`'s.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

import numpy as np

from hinting.errors import GuestError, HintingError, StrategyError

from hinting._core.common cimport NR_ORDERS
from hinting._core.costs cimport Costs
from hinting._core.engine.charge cimport price_holds
from hinting._core.engine.guest cimport Machine
from hinting._core.engine.machine cimport (
    GUEST_FINE,
    NEVER,
    PROGRAM_ENDED,
    SECOND,
    SIM_GUEST,
    SIM_NO_MEMORY,
    SIM_POLICY,
    machine_t,
    row_t,
    simulation_t,
    span_t,
    vcpu_t,
)
from hinting._core.engine.host_policy cimport HostPolicy
from hinting._core.engine.meter cimport VMM_CLOCK, note, used_by_host
from hinting._core.engine.ops cimport KIND_ATOMIC, KIND_KERNEL, KIND_RECLAIMABLE, KIND_USER
from hinting._core.engine.pagecache cimport cache_init
from hinting._core.engine.schedule cimport note_wake
from hinting._core.engine.sharing cimport split_queue_init
from hinting._core.engine.stepping cimport is_idle, step, ticks_only, vcpu_due
from hinting._core.engine.survey cimport Survey, take_sample
from hinting._core.engine.transport cimport VIA_HYPERCALL, VIA_IOTHREAD, VIA_MAIN, VIA_VHOST
from hinting._core.engine.virtual_disk cimport disk_copies
from hinting._core.host.backing cimport lazy_init, next_reaped
from hinting._core.host.host cimport HostMemory
from hinting._core.host.ram cimport Backing
from hinting._core.host.state cimport RAM_ANONYMOUS
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.state cimport mm_t
from hinting._core.mm.times cimport note_used, times_new
from hinting._core.strategies.hooks cimport HOST_FREE, Strategy

from hinting._core.engine.dtypes import ROW_DTYPE, SPAN_DTYPE
from hinting._core.engine.ops import OP_DTYPE


#: How reports reach the host, by name.
TRANSPORTS = {"virtio-main": VIA_MAIN, "virtio-iothread": VIA_IOTHREAD, "vhost": VIA_VHOST, "hypercall": VIA_HYPERCALL}


cdef int64_t free_in_guest(mm_t *m) noexcept nogil:
    """Pages on free lists and per-CPU lists."""
    cdef int64_t pages = 0
    cdef int i, order, cpu
    for i in range(4):
        if m.zone[i].populated:
            for order in range(NR_ORDERS):
                pages += m.zone[i].nr_free[order] << order
            for cpu in range(m.ncpus):
                pages += pcp_of(m, &m.zone[i], cpu).count
    return pages


cdef void begin_times(machine_t *g, int64_t ram) noexcept nogil:
    g.mm.times.now = g.sim.now
    note_used(g.mm.times, ram - free_in_guest(g.mm))


cdef class Engine:
    """Virtual time over one host and its guests.

    host: the host's memory. slice_ns: the longest stretch that one vCPU runs before others are looked at.
    kswapd_ns: from a wake-up of a guest's kswapd to the end of its watermark boost. resolution_ns: changes of one clock
    that are closer share a row of the time line, 0: each has its own. logs: keep spans of what ran when. survey: takes
    samples of the guests' memory. cards: costs of
    the host's kernel threads that vary, see hinting.costs.cards. policy: of the host.
    """

    cdef simulation_t s
    cdef readonly HostMemory host
    cdef readonly list machines
    cdef readonly Survey survey
    cdef readonly HostPolicy policy
    cdef object cards

    def __init__(self, HostMemory host not None, *, int64_t slice_ns, int64_t kswapd_ns, int64_t resolution_ns,
                 bint logs=False, cards=None, Survey survey=None, HostPolicy policy=None):
        if slice_ns < 1 or kswapd_ns < 0 or resolution_ns < 0:
            raise HintingError("slice_ns must be positive, kswapd_ns and resolution_ns must not be negative, "
                               f"got {slice_ns}, {kswapd_ns} and {resolution_ns}")
        self.host = host
        self.machines = []
        self.s.host = &host.h
        self.s.costs = &host.costs.c
        self.s.deck = host.costs.deck(cards, 0)
        self.cards = cards
        self.s.slice_ns = slice_ns
        self.s.kswapd_ns = kswapd_ns
        self.s.resolution_ns = resolution_ns
        self.s.logs = logs
        self.s.used_noted = used_by_host(&self.s)
        self.survey = survey
        self.s.survey = &survey.s if survey is not None else NULL
        self.policy = policy
        if policy is not None:
            policy.attach(&self.s)

    def __dealloc__(self):
        free(self.s.machine)
        free(self.s.row)
        free(self.s.span)

    def add(self, Allocator allocator not None, Strategy strategy, Backing backing not None, Costs costs not None,
            gfp, bint thp, bint thp_cow_copies, bint async_pf=True, cards=None,
            str transport="virtio-main", int64_t poll_ns=0, double vmm_ns=0, bint contends=False):
        """Put a guest on the host at the present time; returns its Machine.

        gfp: values of the guest's kernel for user, huge, table, read, write, kernel, reclaimable and atomic requests.
        thp: guest THP is `always`, else `never`. thp_cow_copies: as the guest's kernel profile says. async_pf: a read from
        swap stalls the guest's task, else its vCPU. cards: costs that vary. transport: of
        TRANSPORTS. poll_ns: how long the back-end polls an empty queue before it sleeps. vmm_ns: what the VMM does before the
        guest starts. contends: vCPUs wait for each other's holds of the zone lock.
        """
        cdef Machine machine = Machine.__new__(Machine)
        cdef machine_t *g = &machine.g
        cdef machine_t **grown
        cdef int cpu
        if strategy is not None and strategy.allocator is not allocator:
            raise StrategyError("the strategy must be attached to the guest's allocator")
        if self.policy is not None:
            self.policy.room(self.s.nr_machines + 1)
        grown = <machine_t **>realloc(self.s.machine, (self.s.nr_machines + 1) * sizeof(machine_t *))
        if grown == NULL:
            raise MemoryError()
        self.s.machine = grown
        machine.allocator, machine.strategy, machine.backing, machine.costs = allocator, strategy, backing, costs
        g.number = self.s.nr_machines
        g.mm = &allocator.m
        g.refilled_charged = allocator.m.refilled
        g.drained_charged = allocator.m.drained
        g.backing = &backing.b
        backing.b.mm, backing.guest = g.mm, machine
        backing.b.disk_copies, backing.b.guest = disk_copies, g
        g.costs = &costs.c
        g.deck = costs.deck(cards, g.number)
        machine.cards = cards
        g.sim = &self.s
        g.ncpus = allocator.m.ncpus
        g.thp = thp
        g.thp_cow_copies = thp_cow_copies
        g.async_pf = async_pf
        g.kswapd_at = NEVER
        g.kswapd.now = NEVER
        cache_init(&g.cache)
        split_queue_init(&g.split_queue)
        g.vmm.at = g.vmm.polls_from = -1
        if transport not in TRANSPORTS or poll_ns < 0:
            raise GuestError(f"transport must be one of {', '.join(TRANSPORTS)} and poll not negative, "
                             f"got {transport!r} and {poll_ns}")
        g.transport, g.poll_ns = TRANSPORTS[transport], poll_ns
        g.meter.launched_at = self.s.now
        g.meter.row = g.meter.first_discard = g.meter.last_discard = -1
        g.gfp_user = gfp["user"]
        g.gfp_huge = gfp["huge"]
        g.gfp_table = gfp["table"]
        g.gfp_read = gfp["read"]
        g.gfp_write = gfp["write"]
        g.gfp_kind[KIND_KERNEL] = gfp["kernel"]
        g.gfp_kind[KIND_USER] = gfp["user"]
        g.gfp_kind[KIND_RECLAIMABLE] = gfp["reclaimable"]
        g.gfp_kind[KIND_ATOMIC] = gfp["atomic"]
        if strategy is not None:
            g.strategy = &strategy.s
            price_holds(g.strategy, &costs.c)
            if strategy.s.host_action == HOST_FREE and backing.b.made_of != RAM_ANONYMOUS:
                raise StrategyError("host_action free is MADV_FREE, for anonymous memory: this guest's is shared or huge pages")
            if strategy.s.by_host and (backing.b.locked or backing.b.made_of != RAM_ANONYMOUS):
                raise StrategyError("a strategy that lives in the VMM is modelled for anonymous memory that is not locked only")
            if strategy.s.host_action == HOST_FREE and not lazy_init(&backing.b):
                raise MemoryError()
            g.charged = strategy.s.work
            if g.transport == VIA_HYPERCALL and (strategy.s.device != NULL or strategy.s.by_host):
                raise StrategyError("transport hypercall is for strategies that report free pages, this one has a device")
            if g.transport == VIA_HYPERCALL:    # the host works on the vCPU that asks
                strategy.s.synchronous = strategy.s.submit_waits = True
        if allocator.m.times == NULL:
            allocator.m.times = times_new(allocator.m.npfn)
        g.vcpu = <vcpu_t *>calloc(g.ncpus, sizeof(vcpu_t))
        if g.vcpu == NULL or allocator.m.times == NULL:
            raise MemoryError()
        begin_times(g, backing.b.ram_frames)
        g.account.vmm = vmm_ns
        g.contends = contends
        machine.programs = []
        machine.slab_caches = {}
        for cpu in range(g.ncpus):
            g.vcpu[cpu].now = self.s.now + <int64_t>vmm_ns
            g.vcpu[cpu].program = PROGRAM_ENDED
            g.vcpu[cpu].next_second = g.vcpu[cpu].now + SECOND
            g.vcpu[cpu].next_timer = NEVER
            g.vcpu[cpu].exit = g.vcpu[cpu].asked_at = g.vcpu[cpu].row_at = -1
            g.vcpu[cpu].interrupt_at = NEVER
            if g.strategy != NULL and g.strategy.timer_ns:
                g.vcpu[cpu].next_timer = g.vcpu[cpu].now + g.strategy.timer_ns
            note_wake(g, &g.vcpu[cpu], cpu)     # attaching may have woken a thread
            machine.programs.append(np.zeros(0, OP_DTYPE))
        self.s.machine[self.s.nr_machines] = g
        self.s.nr_machines += 1
        self.machines.append(machine)
        note(g, self.s.now, VMM_CLOCK)
        return machine

    def run(self, int64_t until):
        """Run to the time `until` (ns), or until nobody has anything left to do before it.

        NEVER as `until`: timers that have found nothing to do since the last thing happened count for nothing.
        """
        cdef simulation_t *s = &self.s
        with nogil:
            while step(s, until) and s.error == 0:
                pass
        self._no_error()
        if until != NEVER and until > s.now:
            s.now = until

    def run_until_idle(self, Machine machine not None, int64_t until):
        """Run until a guest has no row left and no report under way, it is lost, or the time is `until`."""
        cdef simulation_t *s = &self.s
        cdef machine_t *g = &machine.g
        cdef bint idle = False
        with nogil:
            while not idle and step(s, until) and s.error == 0:
                idle = is_idle(g) or g.state != GUEST_FINE
        self._no_error()

    def step(self):
        """Let whoever is furthest behind run one slice; False if nobody has anything to do."""
        cdef bint more
        with nogil:
            more = step(&self.s, NEVER)
        self._no_error()
        return more

    @property
    def is_idle(self):
        """Whether every guest is idle or lost."""
        return all(machine.is_idle for machine in self.machines)

    def peek(self):
        """When somebody has something to do next, ns; None if nobody has."""
        cdef int i, cpu
        cdef int64_t t, first = NEVER
        if self.s.host.reclaim != NULL and self.s.host.reclaim.kswapd.awake:
            first = self.s.host.reclaim.kswapd.now
        t = next_reaped(self.s.host)
        if t and t < first:
            first = t
        for i in range(self.s.nr_machines):
            if self.s.machine[i].state != GUEST_FINE or ticks_only(self.s.machine[i]):
                continue
            if self.s.machine[i].vmm.queued:
                first = min(first, self.s.machine[i].vmm.now)
            first = min(first, self.s.machine[i].kswapd.now)
            for cpu in range(self.s.machine[i].ncpus):
                t = vcpu_due(self.s.machine[i], &self.s.machine[i].vcpu[cpu])
                first = min(first, t)
        return None if first == NEVER else first

    def _no_error(self):
        cdef int error = self.s.error
        self.s.error = 0
        if error == SIM_GUEST:
            for machine in self.machines:
                machine.allocator.raise_errors()
        if error == SIM_POLICY:
            raise self.policy.fault
        if error == SIM_NO_MEMORY:
            raise MemoryError("the emulation ran out of memory")

    @property
    def now(self):
        """Emulated time, ns."""
        return self.s.now

    @property
    def oom_kills(self):
        """Guests that the host's OOM killer ended."""
        return self.s.oom_kills

    @property
    def host_kernel_ns(self):
        """CPU time of the host's kernel threads, ns."""
        return self.s.host_kernel_async

    @property
    def pressure_ns(self):
        """ns in which a vCPU of any guest waited for the host's memory, and in which all vCPUs that were not idle did."""
        return self.s.psi.some, self.s.psi.full

    @property
    def steps(self):
        """Slices that were run: of vCPUs, VMMs and kernel threads."""
        return self.s.steps

    @property
    def reached(self):
        """The latest time that anybody has come to, ns: the present, or a little later at the end of a slice."""
        cdef int64_t t = self.s.now
        cdef int i, cpu
        for i in range(self.s.nr_machines):
            t = max(t, self.s.machine[i].vmm.now)
            for cpu in range(self.s.machine[i].ncpus):
                t = max(t, self.s.machine[i].vcpu[cpu].now)
        return t

    def spans(self):
        """What ran when, as a structured array in the order in which it ended; empty unless made with logs."""
        array = np.empty(self.s.nr_spans, SPAN_DTYPE)
        cdef span_t[::1] out = array
        if self.s.nr_spans:
            memcpy(&out[0], self.s.span, self.s.nr_spans * sizeof(span_t))
        return array

    def sample(self):
        """Take a sample of the guests' memory now, if there is a survey and it has none of this time."""
        if self.s.survey != NULL:
            take_sample(self.s.survey, &self.s, self.reached)

    @property
    def logs(self):
        """Whether spans are kept."""
        return self.s.logs

    def rows(self):
        """The time line as a structured array in the order of emulation: t_ns, guest (-1: the host's own), and the changes.

        held: frames that the guest costs the host. rss: pages of its VMM's resident set. discarded, refaulted: pages.
        isolated: pages reported and not yet answered. Values over time are running sums over the rows sorted by time.
        """
        array = np.empty(self.s.nr_rows, ROW_DTYPE)
        cdef row_t[::1] out = array
        if self.s.nr_rows:
            memcpy(&out[0], self.s.row, self.s.nr_rows * sizeof(row_t))
        return array

"""Many guests on one host in virtual time.

Guests are launched, given work, run and measured here; who runs when is `stepping`'s.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

import numpy as np

from hinting.errors import GuestError, HintingError, OpError, StrategyError

from hinting._core.costs cimport Costs
from hinting._core.engine.charge cimport price_holds
from hinting._core.engine.machine cimport (
    GUEST_FINE,
    GUEST_LOST,
    GUEST_SHUT_DOWN,
    NEVER,
    PROGRAM_ENDED,
    PROGRAM_RUNS,
    SECOND,
    SIM_GUEST,
    SIM_NO_MEMORY,
    exit_t,
    machine_t,
    meter_t,
    row_t,
    simulation_t,
    span_t,
    vcpu_t,
)
from hinting._core.engine.free_memory cimport backed_blocks, count_free_memory, free_memory_t
from hinting._core.engine.meter cimport VMM_CLOCK, last_change, note, used_by_host
from hinting._core.engine.ops cimport KIND_ATOMIC, KIND_KERNEL, KIND_RECLAIMABLE, KIND_USER, OP_RESIZE, op_t
from hinting._core.engine.pagecache cimport cache_init, cached_pages
from hinting._core.engine.recount cimport check_counts
from hinting._core.engine.rooms cimport drop_machine, room_for_file, room_for_numbers, room_for_slab_cache
from hinting._core.engine.precopy cimport send_pages
from hinting._core.engine.schedule cimport note_wake
from hinting._core.engine.sharing cimport split_queue_init
from hinting._core.engine.stepping cimport is_idle, step, ticks_only, vcpu_due
from hinting._core.engine.survey cimport Survey, take_sample
from hinting._core.engine.views cimport counts_of, kills_of, list_cache, marks_of, processes_of
from hinting._core.engine.transport cimport VIA_HYPERCALL, VIA_IOTHREAD, VIA_MAIN, VIA_VHOST
from hinting._core.engine.virtual_disk cimport disk_copies
from hinting._core.engine.vmm cimport config_interrupt, host_work, poll, resize
from hinting._core.histogram cimport HIST_SIZE, hist_t, hist_value
from hinting._core.host.backing cimport host_remove_guest, lazy_init
from hinting._core.host.host cimport Backing, HostMemory
from hinting._core.mm.allocator cimport Allocator
from hinting._core.common cimport NR_ORDERS
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.state cimport mm_t
from hinting._core.mm.times cimport note_used, times_new
from hinting._core.strategies.hooks cimport HOST_FREE, Strategy

from hinting._core.engine.dtypes import CACHE_DTYPE, EXIT_DTYPE, ROW_DTYPE, SPAN_DTYPE
from hinting._core.engine.ops import OP_DTYPE, begun, file_ends, numbers_used, op_rows, slab_caches, validate


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


cdef class Machine:
    """A guest on a host: an allocator, a strategy, a backing and one program a vCPU. Made by Engine.add."""

    cdef machine_t g
    cdef readonly Allocator allocator
    cdef readonly Strategy strategy
    cdef readonly Backing backing
    cdef Costs costs
    cdef object cards
    cdef list programs
    cdef dict slab_caches

    def __dealloc__(self):
        drop_machine(&self.g)

    def append(self, ops, int cpu=0):
        """Append rows to a vCPU's program; returns the number of rows that the program now has.

        Rows are checked against the whole program. Raises OpError.
        """
        cdef op_t[::1] rows
        cdef vcpu_t *v
        if not 0 <= cpu < self.g.ncpus:
            raise GuestError(f"cpu must be between 0 and {self.g.ncpus - 1}, got {cpu}")
        whole = np.concatenate([self.programs[cpu], op_rows(ops)])
        self._own_processes(whole, cpu)
        elsewhere = [begun(self.programs[other]) for other in range(self.g.ncpus) if other != cpu]
        whole = validate(whole, self.allocator.npfn, np.concatenate([np.empty(0, np.int64), *elsewhere]))
        if (whole["op"] == OP_RESIZE).any():
            self._resizable()
        caches = slab_caches(whole, self.slab_caches)
        room_for_numbers(&self.g, numbers_used(whole))
        for number, (order, kind, places) in caches.items():
            room_for_slab_cache(&self.g, number, order, kind, places)
        for number, end in file_ends(whole).items():
            room_for_file(&self.g, number, end)
        self.slab_caches = caches
        self.programs[cpu] = whole
        v = &self.g.vcpu[cpu]
        rows = whole
        v.ops = &rows[0] if whole.size else NULL
        v.nr_ops = whole.size
        self.g.quiet_ticks = 0
        if v.program == PROGRAM_ENDED and v.pc < v.nr_ops:
            v.program = PROGRAM_RUNS
            if self.g.sim.now > v.now:
                v.now = self.g.sim.now
        return whole.size

    def _own_processes(self, rows, int cpu):
        """Refuse processes that another vCPU's program spawns."""
        for other in range(self.g.ncpus):
            theirs = self.programs[other]
            shared = np.intersect1d(begun(rows), begun(theirs))
            if other != cpu and shared.size:
                raise OpError(f"op array: process {shared[0]} belongs to vCPU {other}: "
                              f"give the processes of vCPU {cpu} other numbers")

    def _resizable(self):
        if self.g.strategy == NULL or self.g.strategy.on_resize == NULL:
            raise StrategyError("the guest's memory cannot be resized: its strategy must be one that can, as balloon is")
        if self.g.state != GUEST_FINE:
            raise GuestError(f"guest {self.g.number} is {'lost' if self.g.state == GUEST_LOST else 'shut down'}")

    def resize(self, int64_t pages):
        """The host wants the guest to do without so many pages from now on. StrategyError without a strategy that can."""
        self._resizable()
        if not 0 <= pages <= self.allocator.npfn:
            raise GuestError(f"resize: pages must be between 0 and {self.allocator.npfn}, got {pages}")
        resize(&self.g, self.g.sim.now, pages)

    def poll(self, int ticket):
        """The device gives a buffer back to its driver, which fills it and sends it again."""
        if self.g.strategy == NULL or self.g.strategy.on_poll == NULL:
            raise StrategyError("the guest's strategy has no buffers to be polled")
        if self.g.state == GUEST_FINE:
            poll(&self.g, self.g.sim.now, ticket)

    def config_interrupt(self):
        """The device has changed its configuration: the strategy's work item is queued on CPU 0."""
        if self.g.strategy == NULL or self.g.strategy.on_thread == NULL:
            raise StrategyError("the guest's strategy has no thread to be woken")
        if self.g.state == GUEST_FINE:
            config_interrupt(&self.g, self.g.sim.now)

    def host_work(self, int ticket):
        """The VMM goes to work by itself for a strategy that lives there."""
        if self.g.strategy == NULL or not self.g.strategy.by_host:
            raise StrategyError("the VMM has nothing to do by itself for the guest's strategy")
        if self.g.state == GUEST_FINE:
            host_work(&self.g, self.g.sim.now, ticket)

    def send_pages(self, int64_t most, double within_ns):
        """The thread of the guest's migration goes on: up to so many pages, or until it has worked for so long.

        Returns its time, ns: pages in swap are read first. A host without a frame for one kills a guest.
        """
        cdef machine_t *g = &self.g
        cdef double ns = 0
        if g.state != GUEST_FINE or g.backing.migration == NULL:
            raise HintingError(f"guest {g.number} is not being migrated")
        with nogil:
            send_pages(g, g.sim.now, most, within_ns, &ns)
        return ns

    @property
    def number(self):
        """Number of the guest on its host, from 0 in the order of launch."""
        return self.g.number

    @property
    def clock_ns(self):
        """The time that this guest has come to: the furthest clock of its vCPUs and its VMM."""
        cdef int cpu
        t = self.g.vmm.now
        for cpu in range(self.g.ncpus):
            t = max(t, self.g.vcpu[cpu].now)
        return t

    @property
    def is_lost(self):
        """Whether the host's OOM killer ended this guest."""
        return self.g.state == GUEST_LOST

    @property
    def lost_at_ns(self):
        """When it was killed, None if it was not."""
        return self.g.ended_at if self.g.state == GUEST_LOST else None

    @property
    def shut_down_at_ns(self):
        """When it was shut down, None if it was not."""
        return self.g.ended_at if self.g.state == GUEST_SHUT_DOWN else None

    def shut_down(self):
        """The guest ends now, with all its programs: the host has its memory back. Nothing for a guest that is gone."""
        if self.g.state != GUEST_FINE:
            return
        self.g.ended_at = last_change(self.g.sim, &self.g, self.g.sim.now)
        host_remove_guest(self.g.sim.host, self.g.backing)
        self.g.state = GUEST_SHUT_DOWN
        note(&self.g, self.g.ended_at, VMM_CLOCK)

    @property
    def is_idle(self):
        """No vCPU has a row left to run and no report is under way."""
        return self.g.state != GUEST_FINE or is_idle(&self.g)

    def accounts(self):
        """CPU time by account, ns."""
        return dict(self.g.account)

    def marks(self):
        """[(number, t_ns, host_used_frames, held_frames), ...] in the order in which they were set."""
        return marks_of(&self.g)

    def processes(self):
        """{process: (rss_pages, table_pages)} of the processes that live; shared pages count for each of them."""
        return processes_of(&self.g)

    def page_cache(self):
        """Cached pages as a structured array: file, index, pfn, flags; the inactive list, then the active one, oldest first."""
        array = np.zeros(cached_pages(&self.g.cache), CACHE_DTYPE)
        list_cache(&self.g, array.view(np.uint32).reshape(-1, 4))
        return array

    def check(self):
        """Verify page cache, processes and kernel caches by a full recount; raises CheckError."""
        check_counts(&self.g)

    def oom_kills(self):
        """[(t_ns, process, rss_pages), ...]: whom the guest's OOM killer ended, in order."""
        return kills_of(&self.g)

    def measured(self, int64_t until):
        """What the meter of this guest has counted: pages, frames and ns; -1 for times that have not come.

        until: where sums over time end, if the guest lives; Engine.reached.
        """
        cdef machine_t *g = &self.g
        cdef meter_t *m = &g.meter
        cdef free_memory_t f
        cdef int64_t end = g.ended_at if g.state != GUEST_FINE else until
        memset(&f, 0, sizeof(f))
        with nogil:
            if g.state == GUEST_FINE:
                count_free_memory(g, &f)
        return {
            "launched_at": m.launched_at, "ended_at": end,
            "held": m.held, "held_time": m.held * <double>end - m.held_time,
            "rss": m.rss, "rss_time": m.rss * <double>end - m.rss_time,
            "used": g.mm.times.used, "used_time": g.mm.times.used * <double>end - g.mm.times.used_time,
            "discarded": m.discarded, "refaulted": m.refaulted,
            "first_discard": m.first_discard, "last_discard": m.last_discard, "refaults": list(m.refaults),
            "psi_some_ns": m.psi.some, "psi_full_ns": m.psi.full,
            "fault_ns": m.fault_ns, "refault_ns": m.refault_ns, "cleared_again_ns": m.cleared_again_ns,
            "failed_while_isolated": m.failed_while_isolated, "freed": g.mm.times.freed,
            "free_backed": list(f.backed), "free_given": f.given,
            "backed_blocks": backed_blocks(g) if g.state == GUEST_FINE else 0, "huge_blocks": g.backing.huge_blocks,
            "ram": g.backing.ram_frames, "vcpus": g.ncpus,
            "lock_hold_ns": g.strategy.hold_sum_ns if g.strategy != NULL else 0.0,
            "longest_lock_hold_ns": g.strategy.hold_most_ns if g.strategy != NULL else 0.0,
        }

    def exits(self):
        """Processes that ended, in order, as a structured array: times in ns (-1: not yet), pages that the host backed."""
        cdef int64_t n = self.g.meter.nr_exits
        array = np.empty(n, EXIT_DTYPE)
        cdef exit_t[::1] out = array
        if n:
            memcpy(&out[0], self.g.meter.exit, n * sizeof(exit_t))
        return array

    def durations(self, name):
        """A histogram as (value in ns, count), int64 of shape (n, 2), ascending.

        name: "lag" (free to discard, pages), "after_exit" (end of the exit that freed it to discard, pages) or "latency"
        (of an allocation with its first touch). Values are exact below 256 ns, else to 0.4 %.
        """
        cdef hist_t *h
        cdef int i
        if name == "lag":
            h = &self.g.meter.lag
        elif name == "after_exit":
            h = &self.g.meter.after_exit
        elif name == "latency":
            h = &self.g.meter.latency
        else:
            raise HintingError(f"durations: expected lag, after_exit or latency, got {name!r}")
        return np.array([(hist_value(i), h.bucket[i]) for i in range(HIST_SIZE) if h.bucket[i]], np.int64).reshape(-1, 2)

    def counts(self):
        """Counts of the guest since its launch; memory in pages."""
        return counts_of(&self.g)


cdef class Engine:
    """Virtual time over one host and its guests.

    host: the host's memory. slice_ns: the longest stretch that one vCPU runs before others are looked at.
    kswapd_ns: from a wake-up of a guest's kswapd to the end of its watermark boost. resolution_ns: changes of one clock
    that are closer share a row of the time line, 0: each has its own. logs: keep spans of what ran when. survey: takes
    samples of the guests' memory. cards: costs of
    the host's kernel threads that vary, see hinting.costs.cards.
    """

    cdef simulation_t s
    cdef readonly HostMemory host
    cdef readonly list machines
    cdef readonly Survey survey
    cdef object cards

    def __init__(self, HostMemory host not None, *, int64_t slice_ns, int64_t kswapd_ns, int64_t resolution_ns,
                 bint logs=False, cards=None, Survey survey=None):
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

    def __dealloc__(self):
        free(self.s.machine)
        free(self.s.row)
        free(self.s.span)

    def add(self, Allocator allocator not None, Strategy strategy, Backing backing not None, Costs costs not None,
            gfp, bint thp, bint thp_cow_copies, bint async_pf=True, cards=None,
            str transport="virtio-main", int64_t poll_ns=0):
        """Put a guest on the host at the present time; returns its Machine.

        gfp: values of the guest's kernel for user, huge, table, read, write, kernel, reclaimable and atomic requests.
        thp: guest THP is `always`, else `never`. thp_cow_copies: as the guest's kernel profile says. async_pf: a read from
        swap stalls the guest's task, else its vCPU. cards: costs that vary. transport: of
        TRANSPORTS. poll_ns: how long the back-end polls an empty queue before it sleeps.
        """
        cdef Machine machine = Machine.__new__(Machine)
        cdef machine_t *g = &machine.g
        cdef machine_t **grown
        cdef int cpu
        if strategy is not None and strategy.allocator is not allocator:
            raise StrategyError("the strategy must be attached to the guest's allocator")
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
        machine.programs = []
        machine.slab_caches = {}
        for cpu in range(g.ncpus):
            g.vcpu[cpu].now = self.s.now
            g.vcpu[cpu].program = PROGRAM_ENDED
            g.vcpu[cpu].next_second = self.s.now + SECOND
            g.vcpu[cpu].next_timer = NEVER
            g.vcpu[cpu].exit = g.vcpu[cpu].asked_at = g.vcpu[cpu].row_at = -1
            g.vcpu[cpu].interrupt_at = NEVER
            if g.strategy != NULL and g.strategy.timer_ns:
                g.vcpu[cpu].next_timer = self.s.now + g.strategy.timer_ns
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

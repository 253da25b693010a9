"""Many guests on one host in virtual time.

The simulation always lets the vCPU or VMM whose clock is furthest behind run next, for at most one slice, so that
guests interleave on the host in time order. Nothing here draws random numbers: the same input gives the same run.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

import numpy as np

from hinting.errors import CheckError, GuestError, HintingError, StrategyError

from hinting._core.common cimport NO_PFN
from hinting._core.costs cimport Costs
from hinting._core.engine.machine cimport (
    GUEST_FINE,
    GUEST_LOST,
    NEVER,
    PROGRAM_ENDED,
    PROGRAM_RUNS,
    PROGRAM_SLEEPS,
    SECOND,
    SIM_GUEST,
    SIM_NO_MEMORY,
    THREAD_IDLE,
    THREAD_WAITS,
    machine_t,
    sample_t,
    simulation_t,
    slot_t,
    vcpu_t,
)
from hinting._core.engine.ops cimport KIND_ATOMIC, KIND_KERNEL, KIND_RECLAIMABLE, KIND_USER, op_t
from hinting._core.engine.pagecache cimport (
    CACHE_FILE,
    CACHE_FLAGS_SHIFT,
    LRU_ACTIVE,
    LRU_INACTIVE,
    cache_init,
    cache_t,
    cached_pages,
    file_t,
    owner_t,
)
from hinting._core.engine.process cimport drop_process, process_t
from hinting._core.engine.program cimport held_by_guest, run_program, used_by_host
from hinting._core.engine.reclaim cimport kswapd_slice
from hinting._core.engine.recount cimport COUNT_FINE, census_t, recount_cache, recount_processes
from hinting._core.engine.schedule cimport note_wake, thread_due
from hinting._core.engine.sharing cimport split_queue_init
from hinting._core.engine.vmm cimport host_answered, interrupt, run_thread, vmm_slice
from hinting._core.host.backing cimport backing_t, host_oom_kill, host_remove_guest, lazy_init
from hinting._core.host.host cimport Backing, HostMemory
from hinting._core.mm.allocator cimport Allocator
from hinting._core.mm.counter cimport fold
from hinting._core.memory cimport munmap, zero_pages
from hinting._core.mm.pcp cimport decay_pcp_high
from hinting._core.kernel cimport PCP_AUTO_TUNED
from hinting._core.strategies.hooks cimport HOST_FREE, Strategy

from hinting._core.engine.ops import OP_DTYPE, file_ends, numbers_used, validate


#: Rows of Machine.page_cache; flags: 1 active, 2 referenced, 4 dirty.
CACHE_DTYPE = np.dtype([("file", "u4"), ("index", "u4"), ("pfn", "u4"), ("flags", "u4")])

#: What a recount found, by COUNT_*.
COUNTS = ("", "in use, but not an allocated page", "its LRU list is broken", "its file has another page there",
          "the number of cached pages differs", "the number of dirty pages differs", "it is mapped otherwise than counted",
          "the queue of huge pages to split is wrong", "(a process): its pages or tables are miscounted")


cdef enum:                              # who runs next, if it is no vCPU
    VMM = -1
    KSWAPD = -2


cdef int64_t vcpu_due(const machine_t *g, const vcpu_t *v) noexcept nogil:
    """When this vCPU has something to do next."""
    cdef int64_t t = NEVER
    if v.waits or v.stalled:
        return NEVER
    if v.thread == THREAD_WAITS and g.strategy.synchronous:
        return v.thread_at if v.thread_at == NEVER or v.thread_at > v.now else v.now
    if v.program == PROGRAM_RUNS:
        return v.now
    if v.program == PROGRAM_SLEEPS:
        t = v.until
    if v.thread != THREAD_IDLE and v.thread_at < t:
        t = v.thread_at
    if v.next_timer < t:
        t = v.next_timer
    if v.interrupt_at < t:
        t = v.interrupt_at
    return t if t > v.now else v.now


cdef void once_a_second(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """Fold the CPU's counters; 6.12 also lets its page lists decay."""
    cdef int i
    fold(g.mm, cpu)
    if g.mm.k.pcp_tuning == PCP_AUTO_TUNED:
        for i in range(4):
            if g.mm.zone[i].populated:
                decay_pcp_high(g.mm, &g.mm.zone[i], cpu)
    v.next_second = v.now + SECOND


cdef void end_boost(machine_t *g, int64_t now) noexcept nogil:
    """Some time after kswapd was woken, and not while it runs, watermark boosts are over."""
    cdef int i
    if g.mm.kswapd_wanted:
        g.mm.kswapd_wanted = False
        if g.kswapd_at == NEVER:
            g.kswapd_at = now + g.sim.kswapd_ns
    if now >= g.kswapd_at and g.kswapd.now == NEVER:
        g.kswapd_at = NEVER
        for i in range(4):
            g.mm.zone[i].boost = 0


cdef void vcpu_slice(machine_t *g, vcpu_t *v, int cpu, int64_t until) noexcept nogil:
    """One stretch of a vCPU: the host's answer, its thread, a timer, or its program up to `until`."""
    cdef int64_t due = vcpu_due(g, v)
    if due > v.now and not (v.thread == THREAD_WAITS and g.strategy.synchronous):
        v.now = due
    if v.thread == THREAD_WAITS and (g.strategy.synchronous or v.thread_at <= v.now):
        host_answered(g, v, cpu)
    elif v.interrupt_at <= v.now:
        interrupt(g, v, cpu)
    elif thread_due(v):
        run_thread(g, v, cpu)
    elif v.next_timer <= v.now:
        v.next_timer = v.now + g.strategy.timer_ns
        g.strategy.on_timer(g.strategy.self, g.mm, cpu)
    else:
        if v.program == PROGRAM_SLEEPS and v.until <= v.now:
            v.program = PROGRAM_RUNS
        run_program(g, v, cpu, until if until < v.interrupt_at else v.interrupt_at)
        if v.program != PROGRAM_RUNS:
            fold(g.mm, cpu)
    note_wake(g, v, cpu)
    if v.now >= v.next_second:
        once_a_second(g, v, cpu)
    end_boost(g, v.now)


cdef void take_sample(simulation_t *s, machine_t *g, int64_t t) noexcept nogil:
    """Note what the host and this guest use, if it changed since the guest's last sample."""
    cdef sample_t *grown
    cdef sample_t *last
    cdef int64_t used = used_by_host(g)
    if s.nr_samples:
        last = &s.sample[s.nr_samples - 1]
        if last.host_used == used and last.guest == g.number:
            return
    if s.nr_samples == s.samples_size:
        grown = <sample_t *>realloc(s.sample, (s.samples_size * 2 + 1024) * sizeof(sample_t))
        if grown == NULL:
            s.error = SIM_NO_MEMORY
            return
        s.sample = grown
        s.samples_size = s.samples_size * 2 + 1024
    s.sample[s.nr_samples].t_ns = t
    s.sample[s.nr_samples].guest = g.number
    s.sample[s.nr_samples].held = held_by_guest(g) if g.state == GUEST_FINE else 0
    s.sample[s.nr_samples].host_used = used
    s.nr_samples += 1


cdef void settle_oom(simulation_t *s, machine_t *g, int64_t t) noexcept nogil:
    """Somebody has to die: the VMM with the highest score, often not the one that asked."""
    cdef backing_t *victim = host_oom_kill(s.host)
    cdef int i
    g.host_oom = False
    if victim == NULL:
        victim = g.backing
        host_remove_guest(s.host, victim)
    for i in range(s.nr_machines):
        if s.machine[i].backing == victim:
            s.machine[i].state = GUEST_LOST
            s.machine[i].lost_at = t
            s.oom_kills += 1
            take_sample(s, s.machine[i], t)
            return


cdef bint step(simulation_t *s, int64_t until) noexcept nogil:
    """Let whoever is furthest behind run one slice; False if nobody has anything to do before `until`."""
    cdef machine_t *g
    cdef machine_t *chosen = NULL
    cdef int i, cpu, who = VMM
    cdef int64_t t, first = NEVER, limit
    for i in range(s.nr_machines):
        g = s.machine[i]
        if g.state != GUEST_FINE:
            continue
        if g.vmm.queued and g.vmm.now < first:
            first = g.vmm.now
            chosen = g
            who = VMM
        if g.kswapd.now < first:
            first = g.kswapd.now
            chosen = g
            who = KSWAPD
        for cpu in range(g.ncpus):
            t = vcpu_due(g, &g.vcpu[cpu])
            if t < first:
                first = t
                chosen = g
                who = cpu
    if chosen == NULL or first >= until:
        return False
    if first > s.now:
        s.now = first
    limit = first + s.slice_ns
    if limit > until:
        limit = until
    if who == VMM:
        vmm_slice(chosen, limit)
        take_sample(s, chosen, chosen.vmm.now)
    elif who == KSWAPD:
        kswapd_slice(chosen, limit)
        note_wake(chosen, &chosen.vcpu[chosen.kswapd.cpu], chosen.kswapd.cpu)
    else:
        vcpu_slice(chosen, &chosen.vcpu[who], who, limit)
        if chosen.host_oom:
            settle_oom(s, chosen, chosen.vcpu[who].now)
        if chosen.state == GUEST_FINE:
            take_sample(s, chosen, chosen.vcpu[who].now)
    if chosen.mm.error:
        s.error = SIM_GUEST
    return True


cdef class Machine:
    """A guest on a host: an allocator, a strategy, a backing and one program a vCPU. Made by Engine.add."""

    cdef machine_t g
    cdef readonly Allocator allocator
    cdef readonly Strategy strategy
    cdef readonly Backing backing
    cdef Costs costs
    cdef list programs

    def __dealloc__(self):
        cdef unsigned int i
        if self.g.process != NULL:
            for i in range(self.g.nr_processes):
                drop_process(&self.g.process[i])
            free(self.g.process)
        if self.g.slot != NULL:
            for i in range(self.g.nr_slots):
                free(self.g.slot[i].pfn)
                free(self.g.slot[i].order)
            free(self.g.slot)
        for i in range(self.g.cache.nr_files):
            free(self.g.cache.file[i].page)
        free(self.g.cache.file)
        free(self.g.cache.written)
        if self.g.cache.owner != NULL:
            munmap(self.g.cache.owner, self.g.cache.owner_bytes)
        free(self.g.vcpu)
        free(self.g.mark)
        free(self.g.kill)

    def append(self, ops, int cpu=0):
        """Append rows to a vCPU's program; returns the number of rows that the program now has.

        Rows are checked against the whole program. Raises OpError.
        """
        cdef op_t[::1] rows
        cdef vcpu_t *v
        if not 0 <= cpu < self.g.ncpus:
            raise GuestError(f"cpu must be between 0 and {self.g.ncpus - 1}, got {cpu}")
        whole = validate(np.concatenate([self.programs[cpu], np.atleast_1d(ops)]), self.allocator.npfn)
        self._room(numbers_used(whole))
        for number, end in sorted(file_ends(whole).items()):
            self._file(number, end)
        self.programs[cpu] = whole
        v = &self.g.vcpu[cpu]
        rows = whole
        v.ops = &rows[0] if whole.size else NULL
        v.nr_ops = whole.size
        if v.program == PROGRAM_ENDED and v.pc < v.nr_ops:
            v.program = PROGRAM_RUNS
            if self.g.sim.now > v.now:
                v.now = self.g.sim.now
        return whole.size

    def _room(self, unsigned int n):
        """Make room for n process and slot numbers."""
        cdef void *grown
        if n <= self.g.nr_processes:
            return
        grown = realloc(self.g.process, n * sizeof(process_t))
        if grown == NULL:
            raise MemoryError()
        self.g.process = <process_t *>grown
        memset(&self.g.process[self.g.nr_processes], 0, (n - self.g.nr_processes) * sizeof(process_t))
        self.g.nr_processes = n
        grown = realloc(self.g.slot, n * sizeof(self.g.slot[0]))
        if grown == NULL:
            raise MemoryError()
        self.g.slot = <slot_t *>grown
        memset(&self.g.slot[self.g.nr_slots], 0, (n - self.g.nr_slots) * sizeof(self.g.slot[0]))
        self.g.nr_slots = n

    def _file(self, unsigned int number, int64_t pages):
        """Make room for a file of so many pages."""
        cdef cache_t *c = &self.g.cache
        cdef void *grown
        cdef unsigned int n = number + 1
        if c.owner == NULL:
            c.owner_bytes = self.g.mm.npfn * sizeof(owner_t)
            c.owner = <owner_t *>zero_pages(c.owner_bytes)
            if c.owner == NULL:
                raise MemoryError()
        if n > c.nr_files:
            grown = realloc(c.file, n * sizeof(file_t))
            if grown == NULL:
                raise MemoryError()
            c.file = <file_t *>grown
            memset(&c.file[c.nr_files], 0, (n - c.nr_files) * sizeof(file_t))
            c.nr_files = n
        if pages > c.file[number].pages:
            pages = max(pages, 2 * c.file[number].pages)
            grown = calloc(pages, sizeof(uint32_t))
            if grown == NULL:
                raise MemoryError()
            memcpy(grown, c.file[number].page, c.file[number].end * sizeof(uint32_t))
            free(c.file[number].page)
            c.file[number].page = <uint32_t *>grown
            c.file[number].pages = pages

    @property
    def number(self):
        """Number of the guest on its host, from 0 in the order of launch."""
        return self.g.number

    @property
    def is_lost(self):
        """Whether the host's OOM killer ended this guest."""
        return self.g.state == GUEST_LOST

    @property
    def lost_at_ns(self):
        """When it was killed, None if it was not."""
        return self.g.lost_at if self.g.state == GUEST_LOST else None

    @property
    def is_idle(self):
        """No vCPU has a row left to run and no report is under way."""
        return self.g.state == GUEST_LOST or self.g.vmm.queued == 0 and all(
            self.g.vcpu[cpu].program == PROGRAM_ENDED and self.g.vcpu[cpu].thread == THREAD_IDLE
            and self.g.vcpu[cpu].interrupt_at == NEVER
            for cpu in range(self.g.ncpus))

    def accounts(self):
        """CPU time by account, ns."""
        return dict(self.g.account)

    def marks(self):
        """[(number, t_ns, host_used_frames, held_frames), ...] in the order in which they were set."""
        return [(self.g.mark[i].number, self.g.mark[i].t_ns, self.g.mark[i].host_used, self.g.mark[i].held)
                for i in range(self.g.nr_marks)]

    def processes(self):
        """{process: (rss_pages, table_pages)} of the processes that live; shared pages count for each of them."""
        return {i: (self.g.process[i].rss_pages, self.g.process[i].tables)
                for i in range(self.g.nr_processes) if self.g.process[i].alive}

    def page_cache(self):
        """Cached pages as a structured array: file, index, pfn, flags; the inactive list, then the active one, oldest first."""
        cdef cache_t *c = &self.g.cache
        cdef int64_t n = 0
        cdef int i
        array = np.zeros(cached_pages(c), CACHE_DTYPE)
        cdef uint32_t[:, ::1] out = array.view(np.uint32).reshape(-1, 4)
        for i in range(2):
            pfn = c.lru[i].oldest
            while pfn != NO_PFN:
                out[n, 0] = c.owner[pfn].file & CACHE_FILE
                out[n, 1] = c.owner[pfn].index
                out[n, 2] = pfn
                out[n, 3] = c.owner[pfn].file >> CACHE_FLAGS_SHIFT
                pfn = self.g.mm.link[pfn].prev
                n += 1
        return array

    def check(self):
        """Verify page cache and processes by a full recount; raises CheckError."""
        cdef uint32_t bad = NO_PFN
        cdef int result
        cdef census_t s
        cdef unsigned char[::1] arrays = np.zeros(self.g.mm.npfn * 5 + 64, np.uint8)
        s.parts = <uint16_t *>&arrays[0]
        s.whole = s.parts + self.g.mm.npfn
        s.counted = <uint8_t *>(s.whole + self.g.mm.npfn)
        with nogil:
            result = recount_cache(&self.g, &bad)
            if result == COUNT_FINE:
                result = recount_processes(&self.g, &s, &bad)
        if result != COUNT_FINE:
            raise CheckError(f"guest {self.g.number}, pfn {bad}: {COUNTS[result]}")

    def oom_kills(self):
        """[(t_ns, process, rss_pages), ...]: whom the guest's OOM killer ended, in order."""
        return [(self.g.kill[i].t_ns, self.g.kill[i].process, self.g.kill[i].rss_pages)
                for i in range(self.g.guest_oom_kills)]

    def counts(self):
        """Counts of the guest since its launch; memory in pages."""
        cdef machine_t *g = &self.g
        return {
            "touched_pages": g.touched_pages, "thp_faults": g.thp_faults, "thp_fallbacks": g.thp_fallbacks,
            "thp_mapping_splits": g.thp_mapping_splits, "thp_page_splits": g.thp_page_splits,
            "thp_split_queue": g.split_queue.n, "forks": g.forks, "cow_pages": g.cow_pages,
            "passed_over_rows": g.passed_over, "guest_oom_kills": g.guest_oom_kills, "failed_allocations": g.failed_allocations,
            "reports": g.reports, "reported_blocks": g.reported_blocks, "reported_pages": g.reported_pages,
            "returned_frames": g.returned_frames + g.backing.n.lazily_dropped, "max_isolated_pages": g.max_isolated,
            "lost_answers": g.lost_answers, "lazy_pages": g.backing.lazy_pages if g.state == GUEST_FINE else 0,
            "inactive_file_pages": g.cache.lru[LRU_INACTIVE].n, "active_file_pages": g.cache.lru[LRU_ACTIVE].n,
            "dirty_file_pages": g.cache.dirty, "file_read_pages": g.cache.reads, "file_written_pages": g.cache.writebacks,
            "workingset_refault_pages": g.cache.refaults, "workingset_activate_pages": g.cache.refault_activations,
            "kswapd_runs": g.kswapd.runs, "direct_reclaims": g.reclaim.stalls,
            "pgscan_kswapd_pages": g.reclaim.scanned_kswapd, "pgsteal_kswapd_pages": g.reclaim.stolen_kswapd,
            "pgscan_direct_pages": g.reclaim.scanned_direct, "pgsteal_direct_pages": g.reclaim.stolen_direct,
            "reclaim_written_pages": g.reclaim.written,
            "held_frames": held_by_guest(g) if g.state == GUEST_FINE else 0,
        }


cdef class Engine:
    """Virtual time over one host and its guests.

    host: the host's memory. slice_ns: the longest stretch that one vCPU runs before others are looked at.
    kswapd_ns: from a wake-up of a guest's kswapd to the end of its watermark boost.
    """

    cdef simulation_t s
    cdef readonly HostMemory host
    cdef readonly list machines

    def __init__(self, HostMemory host not None, *, int64_t slice_ns, int64_t kswapd_ns):
        if slice_ns < 1 or kswapd_ns < 0:
            raise HintingError(f"slice_ns must be positive and kswapd_ns not negative, got {slice_ns} and {kswapd_ns}")
        self.host = host
        self.machines = []
        self.s.host = &host.h
        self.s.slice_ns = slice_ns
        self.s.kswapd_ns = kswapd_ns

    def __dealloc__(self):
        free(self.s.machine)
        free(self.s.sample)

    def add(self, Allocator allocator not None, Strategy strategy, Backing backing not None, Costs costs not None,
            gfp, bint thp, bint thp_cow_copies):
        """Put a guest on the host at the present time; returns its Machine.

        gfp: values of the guest's kernel for user, huge, table, read, write, kernel, reclaimable and atomic requests.
        thp: guest THP is `always`, else `never`. thp_cow_copies: as the guest's kernel profile says.
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
        g.costs = &costs.c
        g.sim = &self.s
        g.ncpus = allocator.m.ncpus
        g.thp = thp
        g.thp_cow_copies = thp_cow_copies
        g.kswapd_at = NEVER
        g.kswapd.now = NEVER
        cache_init(&g.cache)
        split_queue_init(&g.split_queue)
        g.vmm.at = -1
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
            if strategy.s.host_action == HOST_FREE and not lazy_init(&backing.b):
                raise MemoryError()
            g.charged = strategy.s.work
        g.vcpu = <vcpu_t *>calloc(g.ncpus, sizeof(vcpu_t))
        if g.vcpu == NULL:
            raise MemoryError()
        machine.programs = []
        for cpu in range(g.ncpus):
            g.vcpu[cpu].now = self.s.now
            g.vcpu[cpu].program = PROGRAM_ENDED
            g.vcpu[cpu].next_second = self.s.now + SECOND
            g.vcpu[cpu].next_timer = NEVER
            g.vcpu[cpu].interrupt_at = NEVER
            if g.strategy != NULL and g.strategy.timer_ns:
                g.vcpu[cpu].next_timer = self.s.now + g.strategy.timer_ns
            note_wake(g, &g.vcpu[cpu], cpu)     # attaching may have woken a thread
            machine.programs.append(np.zeros(0, OP_DTYPE))
        self.s.machine[self.s.nr_machines] = g
        self.s.nr_machines += 1
        self.machines.append(machine)
        return machine

    def run(self, int64_t until):
        """Run to the time `until` (ns), or until nobody has anything left to do before it."""
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
        cdef int cpu
        with nogil:
            while not idle and step(s, until) and s.error == 0:
                idle = g.vmm.queued == 0
                for cpu in range(g.ncpus):
                    idle = (idle and g.vcpu[cpu].program == PROGRAM_ENDED and g.vcpu[cpu].thread == THREAD_IDLE
                            and g.vcpu[cpu].interrupt_at == NEVER)
                idle = idle or g.state == GUEST_LOST
        self._no_error()

    def step(self):
        """Let whoever is furthest behind run one slice; False if nobody has anything to do."""
        cdef bint more
        with nogil:
            more = step(&self.s, NEVER)
        self._no_error()
        return more

    def peek(self):
        """When somebody has something to do next, ns; None if nobody has."""
        cdef int i, cpu
        cdef int64_t t, first = NEVER
        for i in range(self.s.nr_machines):
            if self.s.machine[i].state != GUEST_FINE:
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

    def samples(self):
        """Host memory over time as an int64 array (n, 4): t_ns, guest, frames of that guest, frames used on the host."""
        cdef int64_t i
        array = np.empty((self.s.nr_samples, 4), np.int64)
        cdef int64_t[:, ::1] out = array
        for i in range(self.s.nr_samples):
            out[i, 0] = self.s.sample[i].t_ns
            out[i, 1] = self.s.sample[i].guest
            out[i, 2] = self.s.sample[i].held
            out[i, 3] = self.s.sample[i].host_used
        return array

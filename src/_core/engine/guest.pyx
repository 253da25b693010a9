"""A guest on a host: its programs, what the host may ask of it, and what was measured of it."""

from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

import numpy as np

from hinting.errors import GuestError, HintingError, OpError, StrategyError

from hinting._core.engine.free_memory cimport backed_blocks, count_free_memory, free_memory_t
from hinting._core.engine.machine cimport (
    GUEST_FINE,
    GUEST_LOST,
    GUEST_SHUT_DOWN,
    PROGRAM_ENDED,
    PROGRAM_RUNS,
    exit_t,
    machine_t,
    meter_t,
    vcpu_t,
)
from hinting._core.engine.meter cimport VMM_CLOCK, last_change, note
from hinting._core.engine.ops cimport OP_RESIZE, op_t
from hinting._core.engine.pagecache cimport cached_pages
from hinting._core.engine.precopy cimport send_pages
from hinting._core.engine.recount cimport check_counts
from hinting._core.engine.rooms cimport drop_machine, room_for_file, room_for_numbers, room_for_slab_cache
from hinting._core.engine.stepping cimport is_idle
from hinting._core.engine.views cimport counts_of, kills_of, list_cache, marks_of, processes_of
from hinting._core.engine.vmm cimport config_interrupt, host_work, poll, resize
from hinting._core.histogram cimport HIST_SIZE, hist_t, hist_value
from hinting._core.host.backing cimport host_remove_guest

from hinting._core.engine.dtypes import CACHE_DTYPE, EXIT_DTYPE
from hinting._core.engine.ops import begun, file_ends, numbers_used, op_rows, slab_caches, validate


cdef class Machine:
    """A guest on a host: an allocator, a strategy, a backing and one program a vCPU. Made by Engine.add."""

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
            "lock_wait_ns": g.lock_wait_ns, "ram": g.backing.ram_frames, "vcpus": g.ncpus,
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

"""Guests on a host in virtual time: launch, run, step, measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from hinting import gfp, kernels
from hinting._core.costs import Costs
from hinting._core.engine.simulation import Engine
from hinting.costs.cards import HOST, cards
from hinting.errors import AdmissionError, HintingError, HostError, SnapshotError
from hinting.guest import Guest
from hinting.host import Host, Limits
from hinting.policies.serve import Served
from hinting.survey import survey
from hinting.units import parse_duration
from hinting.vm import END_NS, VM
from hinting.vmm import check_backing, check_transport, populate, vmm_frames
from hinting.workloads import program
from hinting.workloads.boot import MARK_BOOTED
from hinting.workloads.boot import boot as boot_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from hinting.policies import Policy

__all__ = ["Routine", "Simulation"]

#: Longest stretch that one vCPU runs before others are looked at.
SLICE_NS = 1_000_000
#: From a wake-up of a guest's kswapd to the end of its watermark boost.
KSWAPD_NS = 10_000_000


@dataclass
class Routine:
    """Something that the host does at each multiple of a period, until it is cancelled; made by Simulation.every."""

    due_ns: int
    period_ns: int
    action: Callable[[], Any]
    is_cancelled: bool = False

    def cancel(self) -> None:
        """Never do it again."""
        self.is_cancelled = True


class Simulation:
    """Virtual time over one host and the guests launched on it.

    host: a Host. seed: of the guests' boots (guest i gets an own stream). resolution: changes of memory that are closer
    share a row of the series, 0 for a row each; scalars are exact whatever it is. spans: keep what ran when. memory_map:
    time between samples of the guests' memory, or "auto" for at most 256 of them, evenly spread; it changes nothing else.
    The run is deterministic: same arguments, same results.

    vms: the guests, in the order of launch. policies: those that set balloon targets (see hinting.policies).

    >>> from hinting import Guest, Host, Simulation, workloads
    >>> sim = Simulation(Host("4GiB"), seed=1)
    >>> vm = sim.launch(Guest("1GiB"), workload=workloads.memhog("64MiB"))
    >>> sim.run(until="60s")
    >>> sim.now
    60.0
    """

    def __init__(
        self,
        host: Host,
        *,
        seed: int = 0,
        resolution: int | str = SLICE_NS,
        spans: bool = False,
        memory_map: int | str | None = None,
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise HintingError(f"simulation seed must be a whole number, 0 or more, got {seed!r}")
        self.host = host
        self._seed = int(seed)
        self._seeds = np.random.SeedSequence(self._seed)
        self._costs = Costs(host.costs)
        self._served = Served(host.policy) if host.policy is not None else None
        self.engine = Engine(
            host.memory,
            slice_ns=SLICE_NS,
            kswapd_ns=KSWAPD_NS,
            resolution_ns=parse_duration(resolution, "resolution"),
            logs=spans,
            cards=cards(host.costs, self._seed, HOST),
            survey=survey(memory_map),
            policy=self._served.core if self._served is not None else None,
        )
        self.vms: list[VM] = []
        self.policies: list[Policy] = []
        self._routines: list[Routine] = []
        #: Host memory in use before the first launch.
        self.used_bytes_at_start = host.used_bytes()
        #: Launches for which the host had no memory.
        self.failed_launches = 0
        if self._served is not None:
            self._served.begin(self)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SnapshotError("a simulation cannot be copied, pickled or saved: run it again with the same seed, or keep the "
                            "memory of a guest with guest.snapshot()")

    def launch(
        self,
        guest: Guest,
        *,
        workload: np.ndarray | Sequence[np.ndarray] | None = None,
        boot: bool = True,
        limits: Limits | None = None,
        slice: int | None = None,
        oom_score_adj: int = 0,
        vmm: str = "qemu",
        iothreads: int = 0,
        graphics: bool = False,
        async_pf: bool = True,
        transport: str = "virtio-main",
        poll: int | str = 0,
        backing: str = "anonymous",
        prealloc: bool = False,
        locked: bool = False,
        lock_contention: bool = False,
    ) -> VM:
        """Start a guest at the present time; it boots, then runs the workload on vCPU 0, or a list of them from vCPU 0 on.

        boot: False for a guest whose memory is all untouched. limits: of its memory cgroup. slice: a cgroup that it
        shares with other guests, made by Host.add_group. oom_score_adj: -1000 (never killed) to 1000. vmm: whose own
        memory is taken from size.* of the cost profile, "qemu" (with I/O threads and graphics) or "firecracker". async_pf: a
        read from swap stalls the guest's task, else its vCPU. transport: how reports reach the host: "virtio-main" (the VMM's
        main loop), "virtio-iothread", "vhost" or "hypercall"; poll: how long the back-end polls an empty queue before it
        sleeps. backing: what RAM is made of, "anonymous", "memfd" (shared), "hugetlb-2M" or "hugetlb-1G" (huge pages of the
        host's pool). prealloc: all of it is backed before the guest starts. locked: that, and it stays, as with locked memory
        or an assigned device: never evicted, and no balloon or report gives anything back. lock_contention: vCPUs wait for each
        other's holds of the guest's zone lock. Raises HostError if the host has no memory
        for the VMM, AdmissionError if its policy does not admit the guest.
        """
        guest.check_launchable()
        poll_ns = check_transport(transport, poll)
        made_of = check_backing(backing, locked, self.host, guest)
        if transport == "virtio-iothread" and vmm == "qemu":
            iothreads = max(1, iothreads)
        frames = vmm_frames(self._costs, guest.vcpus, vmm, iothreads, graphics)
        self.host.memory.now_ns = self.now_ns
        try:
            if self._served is not None:
                self._served.admit(guest.memory_map.pages)
            ram = self.host.memory.add_guest(
                guest.memory_map.npfn,
                frames,
                ram_frames=guest.memory_map.pages,
                oom_score_adj=oom_score_adj,
                group=None if limits is None else self.host.add_group(limits),
                slice=slice,
                made_of=made_of,
                locked=locked,
            )
            vmm_ns = populate(ram, guest.memory_map.ram) if prealloc or locked else 0.0
        except (HostError, AdmissionError):
            self.failed_launches += 1
            raise
        kernel = guest.allocator.kernel
        requests = {
            "user": gfp.HIGHUSER_MOVABLE,
            "huge": gfp.TRANSHUGE_LIGHT,
            "table": gfp.PGTABLE_USER,
            "read": gfp.PAGE_CACHE_READ,
            "write": gfp.PAGE_CACHE_WRITE,
            "kernel": gfp.KERNEL,
            "reclaimable": gfp.RECLAIMABLE,
            "atomic": gfp.ATOMIC,
        }
        machine = self.engine.add(
            guest.allocator,
            guest.strategy_core,
            ram,
            self._costs,
            {name: gfp.value(request, kernel) for name, request in requests.items()},
            guest.thp == "always",
            kernels.table(kernel.name)["thp"]["cow_copies"],
            async_pf,
            cards(self.host.costs, self._seed, len(self.vms)),
            transport,
            poll_ns,
            vmm_ns,
            lock_contention,
        )
        guest.mark_launched()
        vm = VM(self, guest, machine)
        self.vms.append(vm)
        seed = int(self._seeds.spawn(1)[0].generate_state(1)[0])
        if boot:
            vm.submit(boot_rows(guest.memory_map, guest.costs, seed))
            for cpu in range(1, guest.vcpus):
                vm.submit(program(("WAIT", {"a": MARK_BOOTED})), vcpu=cpu)
        if workload is not None:
            vm.submit(workload)
        if guest.strategy is not None:
            guest.strategy.launched(self, vm)
        return vm

    def every(self, period: int | str, action: Callable[[], Any]) -> Routine:
        """Call `action()` on the host's behalf once a period from now on, as long as time passes.

        period: ns or "10s". Without a time to run to, time passes only until every guest is idle.
        """
        period_ns = parse_duration(period, "period")
        if period_ns < 1:
            raise HintingError(f"period must be positive, got {period!r}")
        routine = Routine(self.now_ns + period_ns, period_ns, action)
        self._routines.append(routine)
        return routine

    def _stop_before(self, end: int) -> int:
        """The time to run to: `end`, or the next routine if that comes first."""
        return min([end, *(routine.due_ns for routine in self._routines)])

    def _do_routines(self) -> None:
        """Do what is due now, in the order in which it was set up."""
        for routine in list(self._routines):
            if routine.due_ns <= self.now_ns and not routine.is_cancelled:
                routine.due_ns += routine.period_ns
                routine.action()
        self._routines = [routine for routine in self._routines if not routine.is_cancelled]

    def run(self, until: int | str | None = None) -> None:
        """Let time pass until `until` (ns, or text such as "60s"); without it until nobody has anything to do.

        Raises HintingError for a time in the past.
        """
        end = END_NS if until is None else parse_duration(until, "until")
        if end < self.now_ns:
            raise HintingError(f"until must not be in the past: it is {self.now_ns} ns, got {end} ns ({until!r})")
        while (stop := self._stop_before(end)) < end:
            self.engine.run(stop)
            if until is None and self.engine.is_idle:
                return
            self._do_routines()
        self.engine.run(end)
        self._do_routines()

    def run_until_idle(self, vm: VM, end: int) -> None:
        """Let time pass until a guest is idle or lost, at most to the time `end` (ns)."""
        while not vm.is_idle:
            stop = self._stop_before(end)
            self.engine.run_until_idle(vm.machine, stop)
            if vm.is_idle or stop == end:
                return
            self.engine.run(stop)
            self._do_routines()

    def step(self) -> bool:
        """Let whoever is furthest behind run for at most a slice; False if nobody has anything to do."""
        stop = self._stop_before(END_NS)
        due = self.engine.peek()
        if stop < END_NS and not self.engine.is_idle and (due is None or due >= stop):
            self.engine.run(stop)
            self._do_routines()
            return True
        return self.engine.step()

    def peek(self) -> float | None:
        """When somebody has something to do next, emulated seconds; None if nobody has."""
        next_ns = self.engine.peek()
        return None if next_ns is None else next_ns / 1e9

    @property
    def now(self) -> float:
        """Emulated time, seconds."""
        return self.engine.now / 1e9

    @property
    def now_ns(self) -> int:
        """Emulated time, ns."""
        return self.engine.now

    def check(self) -> None:
        """Verify the invariants of the host and of every guest; raises CheckError."""
        self.host.check()
        for vm in self.vms:
            vm.guest.check()
            vm.machine.check()

    def timeline(self) -> pa.Table:
        """Memory over time as an Arrow table: t_ns, guest, guest_held_bytes, guest_rss_bytes, host_used_bytes.

        A row at each change. guest: whose memory changed, -1 for the host's own needs. What a guest holds is what it costs
        the host; its rss is what ps shows of its VMM, without the unmapped parts of unsplit huge pages and page tables.
        """
        from hinting.metrics.raw import timeline_table

        return timeline_table(self)

    def metrics(self, *, slow: int | str = "1ms") -> pa.Table:
        """All metrics as an Arrow table: a row for the host (guest -1) and one a guest, a column a metric.

        The metadata of a column's field has its unit and definition; hinting.metrics.tidy makes a long table of it, and
        hinting.metrics.metrics() lists the names. slow: an allocation that takes longer breaks the SLA.
        """
        from hinting.metrics import scalars_table

        return scalars_table(self, parse_duration(slow, "slow"))

    def series(self) -> pa.Table:
        """Memory over time as a tidy Arrow table: t_ns, guest (-1: the host), metric, value; a row at each change.

        A value holds until the next row of the same guest and metric. Changes that are closer than the simulation's
        resolution share a row.
        """
        from hinting.metrics import series_table

        return series_table(self)

    def memory_map(self) -> pa.Table:
        """Guests' memory over time by pageblock (2 MiB), as an Arrow table: a row where one is not as in the sample before.

        t_ns, guest, block (its first pfn is 512 times that), and pages: free (on free and per-CPU lists), used, cache (page
        cache), isolated (reported, not answered), reported (free, and given back to the host or marked as reported); backed:
        those of all of them that the host has a frame for, free_backed: the same of those that are not in use. Before its
        first row a pageblock has none; pages that boot reserved and holes are in none of the first five. The last sample is
        of now. Raises HintingError unless the simulation was made with memory_map.
        """
        from hinting.metrics.memory_map import memory_map_table

        return memory_map_table(self)

    def fragmentation(self) -> pa.Table:
        """Free blocks over time, as an Arrow table: t_ns, guest, order, blocks (as /proc/buddyinfo, all zones), unusable.

        unusable: share of the free memory that is in smaller blocks, and so of no use to a request of this order (Gorman's
        unusable free space index). Raises HintingError unless the simulation was made with memory_map.
        """
        from hinting.metrics.memory_map import fragmentation_table

        return fragmentation_table(self)

    def spans(self) -> pa.Table:
        """What ran when, as an Arrow table: guest, track, name, begin_ns, end_ns, pages, blocks.

        Rows of programs and sleeps on each vCPU, the strategy's threads and their waits, reports from kick to answer, the
        VMM's work on them, exits of processes, and marks. Raises HintingError unless the simulation was made with spans.
        """
        from hinting.metrics.spans import spans_table

        if not self.engine.logs:
            raise HintingError("spans were not kept: make the simulation with spans=True")
        return spans_table(self)

    def exits(self) -> pa.Table:
        """What processes freed when they ended, and when it was given back, as an Arrow table: a row an exit.

        guest, begin_ns, end_ns, freed_bytes (that the host backed), returned_bytes, first_ns, last_ns (of the discards),
        and return_50_ns, return_90_ns, return_99_ns: from the end until so much was given back. Nothing for times that
        have not come.
        """
        from hinting.metrics.raw import exits_table

        return exits_table(self)

    def counters(self) -> pa.Table:
        """Everything that is counted, as a tidy Arrow table: guest (-1: the host), counter, value, unit.

        The host's counters are named as in /proc/vmstat, a strategy's as in its kernel.
        """
        from hinting.metrics.raw import counters_table

        return counters_table(self)

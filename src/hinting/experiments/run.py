"""Running a scenario: every arm launches the same guests, with the same boots and workloads, on an equal host."""

from __future__ import annotations

import gc
import heapq
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from hinting._core.costs import Costs
from hinting.errors import AdmissionError, HostError
from hinting.experiments.programs import submit_workloads
from hinting.experiments.result import ArmResult, GuestResult, Result
from hinting.guest import Guest
from hinting.host import Host
from hinting.scenarios import Scenario
from hinting.scenarios.tables import GuestsTable
from hinting.simulation import Simulation
from hinting.units import PAGE_BYTES, parse_duration, parse_size, size_pages
from hinting.vm import VM
from hinting.vmm import vmm_frames
from hinting.workloads.boot import MARK_BOOTED

__all__ = ["Arm", "launches", "run"]

Progress = Callable[[str, int], None]


def run(
    scenario: Scenario | str | Path,
    *,
    strategy: str | Iterable[str] | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
    spans: bool = False,
) -> Result:
    """Run a scenario, its file, or a built-in one by name.

    strategy: the arm or arms to run instead of the scenario's, by name. seed: instead of the scenario's. progress:
    called with the arm and the number of guests so far. spans: keep what ran when. Same scenario, strategy and seed: the
    same result, wall times apart. Raises ScenarioError for a bad scenario before anything runs.

    >>> result = run("seed", strategy="none")
    >>> result.arms[0].guests_launched
    3
    """
    if not isinstance(scenario, Scenario):
        scenario = Scenario.load(scenario)
    if strategy is not None or seed is not None:
        names = None if strategy is None else [strategy] if isinstance(strategy, str) else list(strategy)
        scenario = scenario.changed({} if seed is None else {"seed": seed}, names)
    arms: list[ArmResult] = []
    for label in scenario.arms():
        if arms:
            gc.collect()  # guests of the arm before: simulations are cycles
        arms.append(_run_arm(scenario, label, progress, spans))
    return Result(scenario, arms)


class Arm:
    """One arm while it runs: a host in virtual time, and the guests launched on it so far."""

    def __init__(self, scenario: Scenario, label: str, progress: Progress | None, spans: bool = False) -> None:
        self.scenario, self.label, self.progress = scenario, label, progress
        self.strategy = scenario.arms()[label]
        self.costs = scenario.costs.load()
        self.simulation = Simulation(
            Host(**scenario.host.arguments(), seed=scenario.seed, costs=self.costs),
            seed=scenario.seed,
            spans=spans,
            memory_map=scenario.metrics.survey,
        )
        self.slices = {name: self.simulation.host.add_group(limits.limits()) for name, limits in scenario.host.slices.items()}
        self.guests: list[GuestResult] = []
        self.launched: list[tuple[VM, float]] = []
        self.stopped_by = "all guests were launched"
        self.alone_ns: dict[int, int] = {}

    def _guest(self, group: GuestsTable) -> Guest:
        if group.snapshot is not None:
            return Guest.from_snapshot(group.snapshot, strategy=self.strategy.spec())
        return Guest(
            group.memory,
            vcpus=group.vcpus,
            kernel=group.kernel or self.scenario.kernel,
            thp=group.thp,
            strategy=self.strategy.spec(),
            costs=self.costs,
        )

    def launch(self, group: GuestsTable) -> VM | None:
        """Start a guest of a group with its workloads now; None if the host has no memory for another VMM."""
        guest = self._guest(group)
        now = self.simulation.now
        try:
            vm = self.simulation.launch(
                guest,
                boot=group.boot and group.snapshot is None,
                transport=group.transport,
                poll=group.poll,
                backing=group.backing,
                prealloc=group.prealloc,
                locked=group.locked,
                lock_contention=group.lock_contention,
                oom_score_adj=group.oom_score_adj,
                limits=None if group.limits is None else group.limits.limits(),
                slice=None if group.slice is None else self.slices[group.slice],
            )
        except HostError:
            self.stopped_by = "the host has no memory for another VMM"
            return None
        except AdmissionError as error:
            self.stopped_by = str(error)
            return None
        submit_workloads(vm, group.workloads, self.scenario.seed)
        self.launched.append((vm, now))
        return vm

    def lost(self) -> int | None:
        """Number of the first guest that was killed."""
        return next((vm.number for vm in self.simulation.vms if vm.is_lost), None)

    def has_swapped(self) -> bool:
        """Whether the host has written more to swap than the criterion "no-swap" allows."""
        schedule = self.scenario.schedule
        written = self.simulation.host.vmstat()["pswpout"] * PAGE_BYTES
        return schedule.criterion == "no-swap" and written > parse_size(schedule.swap_tolerance)

    def admits(self, group: GuestsTable) -> bool:
        """Whether the kernel lets the VMM of such a guest map its RAM, and the reservation rule too."""
        schedule = self.scenario.schedule
        return self.simulation.host.memory.admits(
            size_pages(group.memory),
            vmm_frames(Costs(self.costs), group.vcpus, "qemu", int(group.transport == "virtio-iothread"), False),
            overcommit=schedule.overcommit,
            ratio=schedule.overcommit_ratio,
            reservation=schedule.reservation,
        )

    def slowdown(self, group: GuestsTable, took_ns: int) -> float:
        """Run time of a guest over that of one of its group that has such a host, and the strategy, to itself."""
        if id(group) not in self.alone_ns:
            if len(self.launched) == 1:  # it had
                self.alone_ns[id(group)] = took_ns
            else:
                other = Arm(self.scenario, self.label, None)
                vm = other.launch(group)
                if vm is not None:
                    vm.run_until_idle()
                self.alone_ns[id(group)] = _ran_ns(vm) if vm is not None else 0
        return took_ns / self.alone_ns[id(group)] if self.alone_ns[id(group)] else 1.0

    def note(self) -> None:
        """Tell whoever watches how far the arm is."""
        if self.progress is not None:
            self.progress(self.label, len(self.launched))

    def measure(self, vm: VM, launched_s: float) -> None:
        """Add the guest's row, as it is now."""
        core, counts = vm.guest.strategy_core, vm.counts()
        self.guests.append(
            GuestResult(
                number=vm.number,
                launched_s=launched_s,
                done_s=self.simulation.now,
                host_used_bytes=self.simulation.host.used_bytes(),
                held_bytes=counts["held_frames"] * PAGE_BYTES,
                returned_bytes=counts["returned_frames"] * PAGE_BYTES,
                counters=vm.counters(),
                statistics=dict(core.statistics()) if core is not None else {},
                counts=counts,
                accounts=vm.accounts(),
                marks=vm.marks(),
            )
        )


def _ran_ns(vm: VM) -> int:
    """Time from the end of a guest's boot until now."""
    booted = next((mark.t_ns for mark in vm.marks() if mark.number == MARK_BOOTED), vm.launched_ns)
    return vm._simulation.now_ns - booted


def _run_arm(scenario: Scenario, label: str, progress: Progress | None, spans: bool) -> ArmResult:
    started = time.perf_counter()
    arm = Arm(scenario, label, progress, spans)
    if scenario.schedule.launch == "one-by-one":
        _one_by_one(arm)
    else:
        _staggered(arm)
    return ArmResult(
        strategy=label,
        guests_launched=len(arm.guests),
        guests=arm.guests,
        lost=arm.lost(),
        stopped_by=arm.stopped_by,
        emulated_s=arm.simulation.now,
        wall_s=time.perf_counter() - started,
        timeline=arm.simulation.timeline(),
        metrics=arm.simulation.metrics(),
        series=arm.simulation.series(),
        spans=arm.simulation.spans() if spans else None,
        memory_map=arm.simulation.memory_map() if scenario.metrics.survey else None,
        fragmentation=arm.simulation.fragmentation() if scenario.metrics.survey else None,
        steps=arm.simulation.engine.steps,
    )


def launches(scenario: Scenario) -> list[tuple[int, GuestsTable]]:
    """(time, group) of each guest in the order of launch: one by one in the order of the file, else by time."""
    found = []
    for group in scenario.groups:
        start, stagger = parse_duration(group.start), parse_duration(group.stagger)
        found += [(start + i * stagger, group) for i in range(group.count)]
    return found if scenario.schedule.launch == "one-by-one" else sorted(found, key=lambda launch: launch[0])


def _one_by_one(arm: Arm) -> None:
    """Launch the next guest when the last one is idle, until one is killed."""
    simulation, schedule = arm.simulation, arm.scenario.schedule
    gap = parse_duration(schedule.gap)
    arm.stopped_by = "max_guests"
    for _, group in launches(arm.scenario):
        if schedule.criterion == "admit" and not arm.admits(group):
            arm.stopped_by = f"vm.overcommit_memory={schedule.overcommit} refuses the memory of guest {len(arm.launched) + 1}"
            if schedule.reservation:
                arm.stopped_by += f", or {schedule.reservation:g} times the host's memory does"
            return
        vm = arm.launch(group)
        if vm is None:
            return
        vm.run_until_idle()
        took = _ran_ns(vm)
        simulation.run(until=simulation.now_ns + gap)
        if arm.has_swapped():
            arm.stopped_by = f"the host swapped more than {schedule.swap_tolerance} at launch {vm.number + 1}"
            return
        lost = arm.lost()
        if lost is not None:
            arm.stopped_by = f"the host ran out of memory at launch {vm.number + 1} and killed guest {lost + 1}"
            return
        if schedule.criterion == "slo" and (slowdown := arm.slowdown(group, took)) > schedule.slowdown_limit:
            arm.stopped_by = (f"guest {vm.number + 1} ran {slowdown:.2f} times as long as alone, "
                              f"the limit is {schedule.slowdown_limit:g}")
            return
        arm.measure(*arm.launched[-1])
        arm.note()


def _shut_down_due(arm: Arm, leaving: list[tuple[int, int, float]], until: int) -> None:
    """Let time pass to each moment up to `until` when a guest's lifetime is over, and shut it down."""
    while leaving and leaving[0][0] <= until:
        at, number, launched = heapq.heappop(leaving)
        arm.simulation.run(until=at)
        arm.measure(arm.simulation.vms[number], launched)
        arm.simulation.vms[number].shut_down()


def _staggered(arm: Arm) -> None:
    """Launch every guest at its time, shut it down when its lifetime is over; measure all others at the end."""
    simulation, scenario = arm.simulation, arm.scenario
    until = None if scenario.until is None else parse_duration(scenario.until)
    leaving: list[tuple[int, int, float]] = []
    for at, group in launches(scenario):
        if until is not None and at >= until:
            arm.stopped_by = "the run ended"
            break
        _shut_down_due(arm, leaving, at)
        simulation.run(until=at)
        vm = arm.launch(group)
        if vm is None:
            break
        if lifetime := parse_duration(group.lifetime):
            heapq.heappush(leaving, (at + lifetime, vm.number, simulation.now))
        arm.note()
    if until is not None:
        _shut_down_due(arm, leaving, until)
        simulation.run(until=until)
    else:
        _shut_down_due(arm, leaving, max((at for at, *_ in leaving), default=0))
        for vm in simulation.vms:
            vm.run_until_idle()
        simulation.run(until=simulation.now_ns + parse_duration(scenario.schedule.settle))
    measured = {guest.number for guest in arm.guests}
    for vm, launched in arm.launched:
        if vm.number not in measured:
            arm.measure(vm, launched)
    arm.guests.sort(key=lambda guest: guest.number)

"""The original experiment: how many guests fit on a host, one after the other, without hinting and with it.

A host with one node and no swap; guests are launched one after another; in each a program allocates memory, touches
all of it and exits; launching goes on until somebody has to be killed for memory. Source: the cover letters of the
series "KVM: Guest Free Page Hinting" (v8: 15 GB host, guests of 5 GB with one CPU, a program of 4 GB).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hinting import kernels
from hinting.costs import load as load_costs
from hinting.errors import HintingError, HostError
from hinting.experiments.setting import SettingError
from hinting.guest import Guest
from hinting.host import DEFAULT_BASE, Host
from hinting.simulation import VM, Simulation
from hinting.strategies import find
from hinting.units import PAGE_BYTES, parse_size
from hinting.workloads import memhog

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ArmResult", "GuestResult", "SeedResult", "SeedSetting", "check", "run_seed"]

#: Emulated time between the exit of a guest's program and the next launch.
GAP_NS = 1_000_000_000


@dataclass(frozen=True)
class SeedSetting:
    """The setting of the experiment; sizes as text or bytes.

    host_memory: of the node (the series' own host: 15,837 MB). host_base: what the host itself needs. guest_memory,
    vcpus, kernel, thp: of each guest. program: what the program allocates. fragmentation: share of huge frames that
    the host cannot have. max_guests: launch no more than so many. costs: name or file of a cost profile. seed: of the
    guests' boots.
    """

    host_memory: str = "15837MiB"
    host_base: str = DEFAULT_BASE
    guest_memory: str = "5GiB"
    program: str = "4GiB"
    vcpus: int = 1
    kernel: str = "linux-5.0"
    thp: str = "always"
    fragmentation: float = 0.1
    max_guests: int = 64
    costs: str = "default"
    seed: int = 0
    strategies: tuple[str, ...] = field(default=("none", "v8"), metadata={"settable": False})
    strategy_parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, metadata={"settable": False})


@dataclass(frozen=True)
class GuestResult:
    """One guest of an arm, at the moment when its program had exited and the next launch was due.

    host_used_bytes: memory in use on the host then. held_bytes: of it, what this guest costs. returned_bytes: what the
    host got back from this guest. counters: of its strategy. left_in_array: entries captured and not worked off.
    """

    number: int
    launched_s: float
    done_s: float
    host_used_bytes: int
    held_bytes: int
    returned_bytes: int
    counters: dict[str, int]
    statistics: dict[str, int]
    counts: dict[str, int]
    accounts: dict[str, float]


@dataclass(frozen=True)
class ArmResult:
    """One arm: a strategy and how far it came. lost: number of the guest that was killed, None if none was.

    timeline, metrics and series are those of its Simulation at the end.
    """

    strategy: str
    guests_launched: int
    guests: list[GuestResult]
    lost: int | None
    stopped_by: str
    emulated_s: float
    wall_s: float
    timeline: pa.Table
    metrics: pa.Table
    series: pa.Table

    @property
    def host_used_bytes(self) -> list[int]:
        """Host memory in use after each launch that held."""
        return [guest.host_used_bytes for guest in self.guests]

    @property
    def counters(self) -> dict[str, int]:
        """The strategy's counters, summed over the guests."""
        total: dict[str, int] = {}
        for guest in self.guests:
            for name, value in {**guest.counters, **guest.statistics}.items():
                total[name] = max(total.get(name, 0), value) if name.startswith("most_") else total.get(name, 0) + value
        return total


@dataclass(frozen=True)
class SeedResult:
    """All arms of one run of the experiment."""

    setting: SeedSetting
    arms: list[ArmResult]

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for `--json`."""
        setting = {key: value for key, value in vars(self.setting).items() if key != "strategy_parameters"}
        return {
            "experiment": "seed",
            "host_memory_bytes": parse_size(self.setting.host_memory, "host_memory"),
            "setting": setting
            | {
                "strategies": list(self.setting.strategies),
                "strategy_parameters": {k: dict(v) for k, v in self.setting.strategy_parameters.items()},
            },
            "arms": [
                {
                    "strategy": arm.strategy,
                    "guests_launched": arm.guests_launched,
                    "host_used_bytes": arm.host_used_bytes,
                    "returned_bytes": [guest.returned_bytes for guest in arm.guests],
                    "stopped_by": arm.stopped_by,
                    "lost_guest": arm.lost,
                    "emulated_s": arm.emulated_s,
                    "wall_s": arm.wall_s,
                    "counters": arm.counters,
                }
                for arm in self.arms
            ],
        }


def run_seed(setting: SeedSetting | None = None, *, progress: Callable[[str, int], None] | None = None) -> SeedResult:
    """Run all arms of the experiment.

    progress: called with the arm's strategy and the number of guests so far. Raises HintingError naming what is wrong
    with the setting, before anything runs.
    """
    setting = setting if setting is not None else SeedSetting()
    check(setting)
    return SeedResult(setting, [_run_arm(setting, name, progress) for name in setting.strategies])


def check(setting: SeedSetting) -> None:
    """Refuse a setting that cannot run, in every part, before the first arm starts."""
    if setting.max_guests < 1:
        raise SettingError(f"max_guests must be at least 1, got {setting.max_guests}")
    if setting.seed < 0:
        raise SettingError(f"seed must not be negative, got {setting.seed}")
    for name in setting.strategies:
        find(name, setting.strategy_parameters.get(name))
    unused = set(setting.strategy_parameters) - set(setting.strategies)
    if unused:
        raise SettingError(
            f"parameters given for {', '.join(sorted(unused))}, which is no arm of this run ({', '.join(setting.strategies)})"
        )
    kernels.load(setting.kernel)
    _host(setting)
    _guest(setting, "none")
    memhog(setting.program)
    program, guest = parse_size(setting.program), parse_size(setting.guest_memory)
    if program > guest:
        raise SettingError(f"program: {setting.program} does not fit into a guest of {setting.guest_memory}")


def _host(setting: SeedSetting) -> Host:
    return Host(
        setting.host_memory,
        base=setting.host_base,
        fragmentation=setting.fragmentation,
        seed=setting.seed,
        costs=load_costs(setting.costs),
    )


def _guest(setting: SeedSetting, strategy: str) -> Guest:
    return Guest(
        setting.guest_memory,
        vcpus=setting.vcpus,
        kernel=setting.kernel,
        thp=setting.thp,
        strategy=find(strategy, setting.strategy_parameters.get(strategy)),
        costs=load_costs(setting.costs),
    )


def _run_arm(setting: SeedSetting, strategy: str, progress: Callable[[str, int], None] | None) -> ArmResult:
    started = time.perf_counter()
    simulation = Simulation(_host(setting), seed=setting.seed)
    program = memhog(setting.program)
    guests: list[GuestResult] = []
    lost, stopped_by = None, "max_guests"
    while len(guests) < setting.max_guests:
        launched = simulation.now
        try:
            vm = simulation.launch(_guest(setting, strategy), workload=program)
        except HostError:
            stopped_by = "the host has no memory for another VMM"
            break
        vm.run_until_idle()
        simulation.run(until=simulation.now_ns + GAP_NS)
        dead = [other.number for other in simulation.vms if other.is_lost]
        if dead:
            lost, stopped_by = dead[0], f"the host ran out of memory at launch {vm.number + 1} and killed guest {dead[0] + 1}"
            break
        guests.append(_measure(simulation, vm, launched))
        if progress is not None:
            progress(strategy, len(guests))
    return ArmResult(
        strategy=strategy,
        guests_launched=len(guests),
        guests=guests,
        lost=lost,
        stopped_by=stopped_by,
        emulated_s=simulation.now,
        wall_s=time.perf_counter() - started,
        timeline=simulation.timeline(),
        metrics=simulation.metrics(),
        series=simulation.series(),
    )


def _measure(simulation: Simulation, vm: VM, launched: float) -> GuestResult:
    if vm.counts()["guest_oom_kills"]:
        raise HintingError(
            f"guest {vm.number + 1}: its program was killed inside the guest for want of memory; "
            f"give the guest more memory or the program less"
        )
    statistics = dict(vm.guest.strategy_core.statistics()) if vm.guest.strategy_core is not None else {}
    counts = vm.counts()
    return GuestResult(
        number=vm.number,
        launched_s=launched,
        done_s=simulation.now,
        host_used_bytes=simulation.host.used_bytes(),
        held_bytes=counts["held_frames"] * PAGE_BYTES,
        returned_bytes=counts["returned_frames"] * PAGE_BYTES,
        counters=vm.counters(),
        statistics=statistics,
        counts=counts,
        accounts=vm.accounts(),
    )

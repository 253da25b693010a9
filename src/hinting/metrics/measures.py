"""What the cores have measured, of one guest or summed over all guests of a host: what metrics are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hinting.metrics.durations import merge
from hinting.metrics.timeline import HOST, highest, level, quantile_over_time, steepest

if TYPE_CHECKING:
    from hinting._core.engine.guest import Machine
    from hinting.simulation import Simulation
    from hinting.vm import VM

__all__ = ["Measures", "of_guest", "of_host"]


@dataclass(frozen=True)
class Measures:
    """Amounts in pages, times in ns.

    sums: what adds up over guests. rows: the time line. end: when the measurement ends. window: time measured. freed and
    episodes: of process exits. free_backed: free pages that the host backs, by order of their free block, and how many of
    them are below the reporting order.
    """

    number: int
    sums: dict[str, float]
    rows: np.ndarray
    end: int
    window: int
    exits: np.ndarray
    lag: np.ndarray
    after_exit: np.ndarray
    latency: np.ndarray
    longest_lock_hold: float
    guests: int = 1
    host_ram: int | None = None
    host_cpus: int | None = None
    failed_launches: int | None = None

    def __getitem__(self, name: str) -> float:
        return self.sums[name]

    def peak(self, field: str) -> int:
        """Largest value of a series."""
        return highest(level(self.rows, field)[1])

    def steepest(self, field: str) -> int:
        """Largest rise of a series within 1 s."""
        return steepest(*level(self.rows, field))

    def quantile(self, field: str, share: float) -> int:
        """What a series does not exceed for a share of the time."""
        return quantile_over_time(*level(self.rows, field), self.end, share)


def _counted(machine: Machine) -> dict[str, float]:
    counts, backing = machine.counts(), machine.backing.counters
    names = ("touched_pages", "thp_fallbacks", "guest_oom_kills", "failed_allocations", "returned_frames")
    sums: dict[str, float] = {name: counts[name] for name in names}
    sums["reports"] = counts["reports"] + counts["device_requests"]
    sums["calls"] = counts["config_writes"] + counts["installs"]
    sums["faults"] = backing["faults_4k"] + backing["faults_2m"] + backing["faults_pool"] + backing["map_faults"]
    sums["flush_exits"] = backing["flush_exits"]
    sums["discards"] = backing["discard_calls"]
    sums["thp_splits"] = backing["thp_splits"]
    for name in ("collapses", "swapped_out", "swapped_in", "major_faults", "free_page_swap_writes", "silent_swap_writes",
                 "stale_swap_reads", "false_swap_reads", "double_paging", "vmm_major_faults"):
        sums[name] = backing[name]
    sums["oom_kills"] = machine.is_lost
    return sums


def of_guest(vm: VM, rows: np.ndarray, until: int) -> Measures:
    """What was measured of one guest; rows: the time line of the simulation. until: where it ends."""
    machine = vm.machine
    measured = machine.measured(until)
    scalars = {name: value for name, value in measured.items() if not isinstance(value, list)}
    longest = scalars.pop("longest_lock_hold_ns")
    order = vm.guest.strategy.reporting_order if vm.guest.strategy is not None else 0
    sums = scalars | _counted(machine) | {f"cpu_{name}": value for name, value in machine.accounts().items()}
    sums |= {f"refaults_{window}": n for window, n in zip((1, 10, 60), measured["refaults"], strict=True)}
    sums["free_backed"] = sum(measured["free_backed"])
    sums["stranded"] = sum(measured["free_backed"][:order])
    sums["configured_ram"] = measured["ram"] if vm.is_running else 0
    return Measures(
        number=vm.number,
        sums=sums,
        rows=rows[rows["guest"] == vm.number],
        end=measured["ended_at"],
        window=measured["ended_at"] - measured["launched_at"],
        exits=machine.exits(),
        lag=machine.durations("lag"),
        after_exit=machine.durations("after_exit"),
        latency=machine.durations("latency"),
        longest_lock_hold=longest,
        guests=int(vm.is_running),
    )


def of_host(simulation: Simulation, guests: list[Measures], rows: np.ndarray, until: int) -> Measures:
    """The sum over all guests."""
    names = {name for guest in guests for name in guest.sums}
    exits = [guest.exits for guest in guests]
    some, full = simulation.engine.pressure_ns
    own = {"cpu_host_kernel_async": simulation.engine.host_kernel_ns, "psi_some_ns": some, "psi_full_ns": full}
    return Measures(
        number=HOST,
        sums={name: sum(guest.sums[name] for guest in guests) for name in sorted(names)} | (own if guests else {}),
        rows=rows[rows["guest"] != HOST],
        end=until,
        window=until,
        exits=np.concatenate(exits) if exits else np.zeros(0),
        lag=merge([guest.lag for guest in guests]),
        after_exit=merge([guest.after_exit for guest in guests]),
        latency=merge([guest.latency for guest in guests]),
        longest_lock_hold=max((guest.longest_lock_hold for guest in guests), default=0.0),
        guests=sum(guest.guests for guest in guests),
        host_ram=simulation.host.memory.frames_total,
        host_cpus=simulation.host.cpus,
        failed_launches=simulation.failed_launches,
    )

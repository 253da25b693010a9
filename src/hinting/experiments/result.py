"""What an experiment gives: arms, guests, and the host's memory over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hinting.scenarios import Scenario
from hinting.units import parse_size
from hinting.vm import Mark

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ArmResult", "GuestResult", "Result"]


@dataclass(frozen=True)
class GuestResult:
    """One guest of an arm: with launches one by one at the moment when the next was due, else at the end of the run.

    A guest whose lifetime is over is shown as it was just before it was shut down.

    host_used_bytes: memory in use on the host then. held_bytes: of it, what this guest costs. returned_bytes: what the
    host got back from this guest. counters, statistics: of its strategy. counts, accounts: of the guest. marks: that its
    programs set.
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
    marks: list[Mark]


@dataclass(frozen=True)
class ArmResult:
    """One arm: a strategy and how far it came.

    guests_launched: guests that were launched and held. lost: number of the first guest that the host killed, None if
    it killed none. stopped_by: why no more guests were launched. timeline: memory over time, as Simulation.timeline.
    metrics: scalars at the end, as Simulation.metrics. series: as Simulation.series. spans: as Simulation.spans,
    if they were asked for. memory_map, fragmentation: as of Simulation, if the scenario's metrics.memory_map is on.
    steps: slices of vCPUs, VMMs and kernel threads that were run.
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
    spans: pa.Table | None = None
    memory_map: pa.Table | None = None
    fragmentation: pa.Table | None = None
    steps: int = 0

    @property
    def speed(self) -> dict[str, float]:
        """How fast it was emulated: guest_seconds_per_s, emulated guest-seconds a second of wall time; steps_per_s."""
        guest_seconds = self.metrics["guest_seconds"][0].as_py() or 0.0
        wall = max(self.wall_s, 1e-9)
        return {"guest_seconds_per_s": guest_seconds / wall, "steps_per_s": self.steps / wall}

    @property
    def host_used_bytes(self) -> list[int]:
        """Host memory in use when each guest was measured."""
        return [guest.host_used_bytes for guest in self.guests]

    @property
    def end_used_bytes(self) -> int:
        """Host memory in use at the end of the run."""
        return int(self.timeline["host_used_bytes"][-1].as_py()) if self.timeline.num_rows else 0

    @property
    def peak_used_bytes(self) -> int:
        """Most memory in use on the host."""
        used = self.timeline["host_used_bytes"].to_numpy()
        return int(used.max(initial=0))

    @property
    def guest_oom_kills(self) -> int:
        """Programs that guests killed for want of memory."""
        return sum(guest.counts["guest_oom_kills"] for guest in self.guests)

    @property
    def counters(self) -> dict[str, int]:
        """The strategy's counters, summed over the guests."""
        total: dict[str, int] = {}
        for guest in self.guests:
            for name, value in {**guest.counters, **guest.statistics}.items():
                total[name] = max(total.get(name, 0), value) if name.startswith("most_") else total.get(name, 0) + value
        return total


@dataclass(frozen=True)
class Result:
    """All arms of one run of a scenario."""

    scenario: Scenario
    arms: list[ArmResult]

    def arm(self, strategy: str) -> ArmResult:
        """The arm of a strategy; KeyError if it was not run."""
        for arm in self.arms:
            if arm.strategy == strategy:
                return arm
        raise KeyError(strategy)

    def guests(self) -> pa.Table:
        """One tidy row an arm, guest and metric: strategy, guest (from 1), metric, value, unit."""
        from hinting.experiments.tables import guests_table

        return guests_table(self)

    def timeline(self) -> pa.Table:
        """Memory over time of all arms: strategy, t_ns, guest (from 0), guest_held_bytes, guest_rss_bytes, host_used_bytes."""
        from hinting.experiments.tables import timeline_table

        return timeline_table(self)

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for `--json`."""
        return {
            "experiment": self.scenario.name,
            "host_memory_bytes": parse_size(self.scenario.host.memory),
            "setting": self.scenario.setting(),
            "scenario": self.scenario.document(),
            "arms": [
                {
                    "strategy": arm.strategy,
                    "guests_launched": arm.guests_launched,
                    "host_used_bytes": arm.host_used_bytes,
                    "host_peak_bytes": arm.peak_used_bytes,
                    "returned_bytes": [guest.returned_bytes for guest in arm.guests],
                    "stopped_by": arm.stopped_by,
                    "lost_guest": arm.lost,
                    "guest_oom_kills": arm.guest_oom_kills,
                    "emulated_s": arm.emulated_s,
                    "wall_s": arm.wall_s,
                    "steps": arm.steps,
                    "speed": arm.speed,
                    "counters": arm.counters,
                }
                for arm in self.arms
            ],
        }

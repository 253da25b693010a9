"""The balloon rules of MOM, the memory overcommitment manager of oVirt."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from hinting.policies.base import Member, Policy

if TYPE_CHECKING:
    from hinting.simulation import Simulation
    from hinting.strategies.balloon import Balloon

__all__ = ["Mom"]

#: Share of the host's memory below which guests shrink, and at which a guest keeps no free memory at all.
PRESSURE_THRESHOLD = 0.20
PRESSURE_CRITICAL = 0.05
#: Share of a guest's memory that stays free in it.
MIN_GUEST_FREE = 0.20
#: Least change of a guest's memory that is carried out.
MIN_CHANGE = 0.0025
#: Samples of the host's free memory that are averaged.
SAMPLES = 10
#: From one sample to the next, ns (inferred).
MONITOR_INTERVAL = 5_000_000_000


class Mom(Policy):
    """While less than a fifth of the host is free, guests shrink by up to 5 % a round, and else grow by up to 5 %.

    The free part of the host is a moving average. A guest that shrinks keeps what it uses and a share of free memory
    that falls with the host's; one that grows keeps a fifth of its maximum free. Changes below 0.25 % are not carried
    out. The KSM rules of MOM are not emulated. Source: MOM's balloon.rules; the intervals are inferred.
    """

    name: ClassVar[str] = "mom"
    stats_period: ClassVar[int] = MONITOR_INTERVAL

    def __init__(self, simulation: Simulation, spec: Balloon) -> None:
        super().__init__(simulation, spec)
        self.step = spec.step / 100
        self.settings += (spec.step,)
        self.free_shares: deque[float] = deque(maxlen=SAMPLES)
        simulation.every(MONITOR_INTERVAL, self.monitor)

    def monitor(self) -> None:
        """Note the host's free share."""
        host = self.simulation.host
        self.free_shares.append(1 - host.used_bytes() / host.memory_bytes)

    @property
    def host_free(self) -> float | None:
        """Moving average of the free share of the host's memory, None before the first sample."""
        return sum(self.free_shares) / len(self.free_shares) if self.free_shares else None

    def decide(self) -> None:
        host_free = self.host_free
        if host_free is None:
            return
        for member in self.living():
            target = self._shrunk(member, host_free) if host_free < PRESSURE_THRESHOLD else self._grown(member)
            if abs(target - member.memory) >= MIN_CHANGE * member.memory:
                member.set(int(target))

    def _shrunk(self, member: Member, host_free: float) -> float:
        free_share = MIN_GUEST_FREE * (host_free / PRESSURE_THRESHOLD)
        if host_free <= PRESSURE_CRITICAL:
            free_share = host_free - PRESSURE_CRITICAL
        target = max((1 - self.step) * member.memory, _used(member) + free_share * member.memory)
        return min(max(target, member.minimum), member.memory)

    def _grown(self, member: Member) -> float:
        target = max((1 + self.step) * member.memory, _used(member) + MIN_GUEST_FREE * member.maximum)
        return min(target, member.maximum)


def _used(member: Member) -> int:
    """Memory in use in the guest by its last statistics."""
    return member.memory - (member.free or 0)

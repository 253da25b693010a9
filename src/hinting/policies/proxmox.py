"""The automatic balloon of Proxmox VE: bring the host's memory in use to a share of all, by the guests' shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hinting.policies.base import Member, Policy

if TYPE_CHECKING:
    from hinting.simulation import Simulation
    from hinting.strategies.balloon import Balloon

__all__ = ["Proxmox", "distribute"]

#: A goal up to this size is no reason to act, bytes.
SLACK = 10 << 20
#: A guest with less free memory than this share of its minimum is under pressure.
PRESSURE = 0.25


class Proxmox(Policy):
    """Every round: goal = host memory x target - memory in use. Up to 10 MiB either way nothing happens.

    With memory to give, guests under pressure (free memory at most 25 % of their minimum, or less memory than their
    minimum) are served first, and all if that changes nothing; with memory to take, guests that are not under pressure
    are asked first. Each gets its minimum and a part of the rest by its shares. Source: pvestatd's autoballoon.
    """

    name: ClassVar[str] = "proxmox"
    stats_period: ClassVar[int] = 2_000_000_000

    def __init__(self, simulation: Simulation, spec: Balloon) -> None:
        super().__init__(simulation, spec)
        self.host_target = spec.host_target / 100
        self.max_change = spec.max_change
        self.settings += (spec.host_target, spec.max_change)

    def decide(self) -> None:
        host = self.simulation.host
        goal = int(host.memory_bytes * self.host_target) - host.used_bytes()
        if abs(goal) <= SLACK:
            return
        candidates = [member for member in self.living() if member.shares]
        pressed = [member for member in candidates if _is_pressed(member)]
        first = pressed if goal > 0 else [member for member in candidates if member not in pressed]
        for group in (first, candidates):
            sizes = distribute(group, goal, self.max_change)
            changed = [member for member in group if sizes[member] != member.memory]
            for member in changed:
                member.set(sizes[member])
            if changed:
                return


def _is_pressed(member: Member) -> bool:
    return (member.free or 0) <= PRESSURE * member.minimum or member.memory < member.minimum


def distribute(members: list[Member], change: int, max_change: int) -> dict[Member, int]:
    """Memory of each guest, bytes, if together they shall have `change` more (less if negative).

    Wanted is minimum + (sum of what all have above their minimum + change) x shares / all shares, between minimum and
    maximum and at most max_change from what the guest has; guests that come to a limit are settled, and the others
    share again.
    """
    sizes = {member: member.memory for member in members}
    active = list(members)
    while active and change:
        pool = sum(sizes[member] - member.minimum for member in active) + change
        shares = sum(member.shares for member in active)
        unsettled = []
        for member in active:
            wanted = member.minimum + pool * member.shares // shares
            size = min(max(wanted, member.minimum), member.maximum)
            size = min(max(size, member.memory - max_change), member.memory + max_change)
            change -= size - sizes[member]
            sizes[member] = size
            if size == wanted:
                unsettled.append(member)
        if len(unsettled) == len(active):
            break
        active = unsettled
    return sizes

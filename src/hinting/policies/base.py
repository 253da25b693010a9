"""What every policy has: its guests, how it sees them, and how it sets a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hinting.units import PAGE_BYTES

if TYPE_CHECKING:
    from hinting.simulation import Simulation
    from hinting.strategies.balloon import Balloon
    from hinting.vm import VM

__all__ = ["Member", "Policy"]


class Member:
    """A guest as a policy sees it; sizes in bytes."""

    def __init__(self, vm: VM, spec: Balloon) -> None:
        self.vm = vm
        self.maximum = vm.guest.memory_bytes
        self.minimum = spec.minimum
        self.shares = spec.shares

    @property
    def memory(self) -> int:
        """What the guest has now: its configured memory less the balloon, as the device knows it."""
        return self.maximum - self.vm.guest.strategy_core.actual_pages * PAGE_BYTES  # type: ignore[union-attr]

    @property
    def statistics(self) -> dict[str, int]:
        """What the statistics queue last brought, by QEMU's names; empty before the first time."""
        return self.vm.guest.strategy_core.guest_statistics()  # type: ignore[union-attr]

    @property
    def free(self) -> int | None:
        """Free memory of the guest by its last statistics."""
        return self.statistics.get("stat-free-memory")

    def set(self, memory: int) -> None:
        """Set the target, in whole pages."""
        self.vm.resize(memory // PAGE_BYTES * PAGE_BYTES)


class Policy:
    """Base of the policies. `run` is one round."""

    name: ClassVar[str] = ""
    #: Period of the guests' statistics where the guest does not set one, ns.
    stats_period: ClassVar[int] = 0

    def __init__(self, simulation: Simulation, spec: Balloon) -> None:
        self.simulation = simulation
        self.members: list[Member] = []
        self.rounds = 0
        self.settings: tuple[Any, ...] = (self.name, spec.policy_interval)

    def living(self) -> list[Member]:
        """Guests that run and have sent statistics."""
        return [member for member in self.members if member.vm.is_running and member.free is not None]

    def run(self) -> None:
        """One round."""
        self.rounds += 1
        self.decide()

    def decide(self) -> None:
        """Look at host and guests, and set targets."""
        raise NotImplementedError

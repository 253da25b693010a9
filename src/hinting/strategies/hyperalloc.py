"""HyperAlloc: the host takes free huge frames out of the guest's allocator by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hinting._core.strategies.hyperalloc import RESIZE, SCAN
from hinting._core.strategies.hyperalloc import HyperAlloc as HyperAllocCore
from hinting.errors import StrategyError
from hinting.strategies.base import StrategySpec, parameter
from hinting.units import PAGE_BYTES

if TYPE_CHECKING:
    from hinting.simulation import Simulation
    from hinting.vm import VM

__all__ = ["HyperAlloc"]


@dataclass(frozen=True, kw_only=True)
class HyperAlloc(StrategySpec):
    """The VMM reads the allocator's state: it evicts free frames of 2 MiB every few seconds, and takes them away to a limit,
    without running the guest; the guest has an evicted frame backed when it takes it.

    The guest's allocator stays the kernel's, not LLFree. Resized by `target`, VM.resize or the op RESIZE. Counters are in
    frames.
    """

    name: ClassVar[str] = "hyperalloc"
    backings: ClassVar[tuple[str, ...] | None] = ("anonymous",)
    source: ClassVar[str] = (
        "HyperAlloc: Efficient VM Memory De/Inflation via Hypervisor-Shared Page-Frame Allocators, EuroSys 2025"
    )
    counter_unit: ClassVar[str] = "frames"

    target: int = parameter(0, "memory left to the guest from its launch on, 0 for all", unit="bytes", low=0, high=1 << 48)
    auto: bool = parameter(True, "automatic mode: free frames are evicted from time to time", choices=(True, False))
    scan_period: int = parameter(5 * 10**9, "from one scan of the automatic mode to the next", unit="ns", low=10**6, high=10**13)
    retry: int = parameter(5 * 10**9, "until a limit that was not reached is tried again", unit="ns", low=10**6, high=10**13)
    frame: int = parameter(2 << 20, "size of a frame", unit="bytes", choices=(2 << 20, 4 << 20))

    trees: int = parameter(
        8, "trees of 8 frames that the VMM takes at once: so many adjoining frames at most share a discard", low=1, high=32
    )

    def core(self) -> HyperAllocCore:
        return HyperAllocCore(order=(self.frame // PAGE_BYTES).bit_length() - 1, trees=self.trees)

    def launched(self, simulation: Simulation, vm: VM) -> None:
        if self.target > vm.guest.memory_bytes:
            raise StrategyError(f"strategy {self.name}: target must be at most the guest's {vm.guest.memory_bytes} bytes, "
                                f"got {self.target}")
        if self.target:
            vm.resize(self.target)
        if self.auto:
            simulation.every(self.scan_period, lambda: _work(vm, SCAN))
        simulation.every(self.retry, lambda: _retry(vm))


def _work(vm: VM, ticket: int) -> None:
    if vm.is_running and not vm.guest.strategy_core.is_at_work(ticket):  # type: ignore[union-attr]
        vm.machine.host_work(ticket)


def _retry(vm: VM) -> None:
    """Go for what the limit is short of."""
    if vm.guest.strategy_core.is_short:  # type: ignore[union-attr]
        _work(vm, RESIZE)

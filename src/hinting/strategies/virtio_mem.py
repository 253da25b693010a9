"""virtio-mem: the guest unplugs ranges of its memory, in sub-blocks of memory blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hinting._core.strategies.virtio_mem import VirtioMem as VirtioMemCore
from hinting.errors import StrategyError
from hinting.strategies.base import StrategySpec, parameter
from hinting.units import PAGE_BYTES

if TYPE_CHECKING:
    from hinting.simulation import Simulation
    from hinting.vm import VM

__all__ = ["VirtioMem"]


@dataclass(frozen=True, kw_only=True)
class VirtioMem(StrategySpec):
    """The host asks for a size; the guest takes ranges out of its allocator from the end of its memory down, moving what is
    in use, and unplugs each by a request to the device.

    Memory above `base` can be unplugged. Ranges that hold unmovable pages stay. Resized by `target`, VM.resize or the op
    RESIZE. Counters are the device's configuration, in bytes.
    """

    name: ClassVar[str] = "virtio-mem"
    backings: ClassVar[tuple[str, ...] | None] = ("anonymous",)
    source: ClassVar[str] = "virtio-mem, VEE 2021; Linux 6.1 (virtio_mem, alloc_contig_range); QEMU 8.2 (virtio-mem)"
    counter_unit: ClassVar[str] = "bytes"

    target: int = parameter(0, "memory left to the guest from its launch on, 0 for all", unit="bytes", low=0, high=1 << 48)
    base: int = parameter(
        0, "memory below this address cannot be unplugged, 0 for a quarter of all", unit="bytes", low=0, high=1 << 48
    )
    sub_block: int = parameter(
        2 << 20, "sub-block: 2 MiB, 4 MiB (first versions) or whole memory blocks of 128 MiB", unit="bytes",
        choices=(2 << 20, 4 << 20, 128 << 20),
    )
    retry: int = parameter(50 * 10**9, "until busy ranges are tried again; doubles", unit="ns", low=10**6, high=10**13)
    retry_max: int = parameter(300 * 10**9, "most that it doubles to", unit="ns", low=10**6, high=10**13)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.retry_max < self.retry:
            raise StrategyError(f"strategy {self.name}: retry_max must be at least retry ({self.retry}), got {self.retry_max}")

    def core(self) -> VirtioMemCore:
        return VirtioMemCore(
            sb_order=(self.sub_block // PAGE_BYTES).bit_length() - 1,
            base=self.base // PAGE_BYTES,
            retry_first_ns=self.retry,
            retry_most_ns=self.retry_max,
        )

    def launched(self, simulation: Simulation, vm: VM) -> None:
        if self.target > vm.guest.memory_bytes:
            raise StrategyError(f"strategy {self.name}: target must be at most the guest's {vm.guest.memory_bytes} bytes, "
                                f"got {self.target}")
        if self.target:
            vm.resize(self.target)

"""The classic balloon: virtio-balloon's inflate and deflate queues, driven by hand or by a policy of the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hinting import gfp
from hinting._core.strategies.balloon import STATS_TICKET
from hinting._core.strategies.balloon import Balloon as BalloonCore
from hinting.errors import StrategyError
from hinting.policies.balloons import POLICIES, join
from hinting.strategies.base import StrategySpec, parameter

if TYPE_CHECKING:
    from hinting.simulation import Simulation
    from hinting.vm import VM

__all__ = ["Balloon"]

#: Most bytes of a size parameter.
_MAX = 1 << 48


@dataclass(frozen=True, kw_only=True)
class Balloon(StrategySpec):
    """The host names a target; the guest's driver takes pages from its allocator and tells the host, 256 at a time.

    The target is set by `target`, by VM.resize, by the op RESIZE, or by a policy that watches all guests of the host
    that have the same one. The defaults are the protocol of Linux and QEMU. Pages are given back one by one, newest
    first. Counters are those of /proc/vmstat and of the device's configuration, in pages.
    """

    name: ClassVar[str] = "balloon"
    backings: ClassVar[tuple[str, ...] | None] = ("anonymous", "memfd", "hugetlb-2M")
    source: ClassVar[str] = (
        "Linux 5.0 to 6.12 (virtio_balloon, balloon_compaction); QEMU 8.2 (virtio-balloon); Proxmox VE (autoballoon); "
        "MOM (balloon.rules, ksm.rules); HyperAlloc, EuroSys 2025, for blocks of 2 MiB"
    )
    counter_unit: ClassVar[str] = "pages"

    target: int = parameter(0, "memory left to the guest from its launch on, 0 for all", unit="bytes", low=0, high=_MAX)
    order: int = parameter(0, "order of the blocks that are inflated: 0 (protocol), 9 (modified driver)", choices=(0, 9))
    request: int = parameter(256, "PFNs of one request (VIRTIO_BALLOON_ARRAY_PFNS_MAX)", unit="blocks", low=1, high=1 << 16)
    retry: int = parameter(200_000_000, "pause after a failed allocation", unit="ns", low=1, high=10**12)
    deflate_on_oom: bool = parameter(
        False, "VIRTIO_BALLOON_F_DEFLATE_ON_OOM: the OOM notifier takes pages out", choices=(False, True)
    )
    deflate_by: str = parameter(
        "notifier", "deflate_on_oom by the OOM notifier, or by reclaim's shrinker (5.0 to 5.6)", choices=("notifier", "shrinker")
    )
    oom_pages: int = parameter(
        256, "pages that one call of the OOM notifier or the shrinker releases", unit="pages", low=1, high=1 << 16
    )
    stats_period: int = parameter(
        0, "period of the statistics queue, 0 off (with a policy: the policy's own)", unit="ns", low=0, high=10**13
    )
    inhibited: bool = parameter(False, "the VMM discards nothing (VFIO, post-copy)", choices=(False, True))
    backing_page: int = parameter(4096, "page size of the memory that backs the guest", unit="bytes", choices=(4096, 1 << 21))
    policy: str = parameter("none", "who sets targets", choices=("none", *POLICIES))
    policy_interval: int = parameter(
        10_000_000_000, "from one round of the policy to the next", unit="ns", low=10**6, high=10**13
    )
    minimum: int = parameter(0, "least memory that a policy leaves the guest; proxmox needs it", unit="bytes", low=0, high=_MAX)
    shares: int = parameter(1000, "proxmox: weight among the guests, 0: it is not touched", low=0, high=50_000)
    host_target: int = parameter(80, "proxmox: memory of the host that is to be in use", unit="%", low=1, high=100)
    max_change: int = parameter(100 << 20, "proxmox: most by which a guest changes in a round", unit="bytes", low=4096, high=_MAX)
    step: int = parameter(5, "mom: most by which a guest changes in a round", unit="%", low=1, high=100)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy == "proxmox" and not self.minimum:
            raise StrategyError(f"strategy {self.name}: policy proxmox needs minimum, the least memory that it leaves the guest")

    def core(self) -> BalloonCore:
        return BalloonCore(
            gfp=gfp.BALLOON.bits,
            order=self.order,
            request_blocks=self.request,
            oom_pages=self.oom_pages if self.deflate_on_oom else 0,
            retry_ns=self.retry,
            inhibited=self.inhibited,
            huge_backing=self.backing_page > 4096,
            by_shrinker=self.deflate_by == "shrinker",
        )

    def launched(self, simulation: Simulation, vm: VM) -> None:
        configured = vm.guest.memory_bytes
        for name in ("target", "minimum"):
            if getattr(self, name) > configured:
                raise StrategyError(f"strategy {self.name}: {name} must be at most the guest's {configured} bytes, "
                                    f"got {getattr(self, name)}")
        if self.target:
            vm.resize(self.target)
        period = self.stats_period
        if self.policy != "none":
            period = period or POLICIES[self.policy].stats_period
            join(simulation, vm, self)
        if period:
            simulation.every(period, lambda: _poll(vm))


def _poll(vm: VM) -> None:
    """The VMM gives the statistics buffer back to the driver, if it has it."""
    if vm.is_running and not vm.guest.strategy_core.awaits_statistics:  # type: ignore[union-attr]
        vm.machine.poll(STATS_TICKET)

"""Free page hinting for migration: the guest tells which pages need not be sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hinting import gfp
from hinting._core.strategies.free_page_hint import FreePageHint as FreePageHintCore
from hinting.strategies.base import StrategySpec, parameter

__all__ = ["FreePageHint"]


@dataclass(frozen=True, kw_only=True)
class FreePageHint(StrategySpec):
    """When the host migrates the guest, the guest's driver allocates all free blocks of 4 MiB and names each to the host,
    which does not send them in that round. Host memory is not freed.

    It acts only while VM.migrate is under way. Counters are the device's configuration.
    """

    name: ClassVar[str] = "free-page-hint"
    source: ClassVar[str] = "Linux 4.20 (virtio_balloon, VIRTIO_BALLOON_F_FREE_PAGE_HINT); QEMU 8.2 (virtio-balloon, ram)"
    counter_unit: ClassVar[str] = "count"

    order: int = parameter(10, "order of the hinted blocks", choices=(10, 9))
    shrinker: bool = parameter(True, "the driver gives blocks back when the guest runs out of memory", choices=(True, False))

    def core(self) -> FreePageHintCore:
        return FreePageHintCore(gfp=gfp.HINT.bits, order=self.order, shrinker=self.shrinker)

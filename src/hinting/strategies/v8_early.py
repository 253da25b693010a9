"""An early development build of hinting v8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hinting._core.strategies.v8_early import V8Early as V8EarlyCore
from hinting.strategies.base import StrategySpec, parameter

__all__ = ["V8Early"]


@dataclass(frozen=True, kw_only=True)
class V8Early(StrategySpec):
    """v8 without drain, scan and packing, which wakes its thread whenever the array is full and gives back only the
    first page of each isolated block: the guest loses the others for ever.

    Inferred: reports carry the blocks at their real order; guest-returned-memory counts what came back.
    """

    name: ClassVar[str] = "v8-early"
    source: ClassVar[str] = "development tree of guest free page hinting before v8, between November 2018 and February 2019"

    entries: int = parameter(1000, "entries of the captured and of the isolated array (MAX_FGPT_ENTRIES)",
                             unit="entries", low=2, high=1 << 20)
    min_order: int = parameter(0, "smallest order that is captured", unit="order", low=0, high=10)
    host_action: str = parameter("dontneed", "what the VMM does with a reported block", choices=("dontneed", "free", "none"))
    call_pages: int = parameter(1, "pages of one madvise call, 0 for whole blocks", unit="pages", low=0, high=1024)
    wake_latency: int = parameter(10_000, "from the wake-up of a CPU's thread to its first step", unit="ns", low=0, high=10**12)

    def core(self) -> V8EarlyCore:
        return V8EarlyCore(entries=self.entries, min_order=self.min_order, host_action=self.host_action,
                           call_pages=self.call_pages, wake_latency_ns=self.wake_latency)

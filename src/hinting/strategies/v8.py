"""Guest free page hinting v8, posted on 4 February 2019, and the development build with counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hinting._core.strategies.v8 import V8 as V8Core
from hinting.errors import StrategyError
from hinting.strategies.base import StrategySpec, parameter

__all__ = ["V8", "V8Posted", "V8Stats"]

_SOURCE = '"[RFC][Patch v8 0/7] KVM: Guest Free Page Hinting", Nitesh Narayan Lal, 4 February 2019'


#: Shortest tick of a kernel timer, ns (HZ=1000).
JIFFY_NS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class V8(StrategySpec):
    """A per-CPU array of freed pages; when full it is scanned, and if it stays full a per-CPU thread isolates the free
    blocks, reports them synchronously and puts them back at the head of their lists.

    The defaults are the posted series.
    """

    name: ClassVar[str] = "v8"
    source: ClassVar[str] = _SOURCE
    reports_from: ClassVar[str] = "isolate_min_order"

    entries: int = parameter(1000, "entries of the captured and of the isolated array (MAX_FGPT_ENTRIES)",
                             unit="entries", low=2, high=1 << 20)
    min_order: int = parameter(0, "smallest order that is captured", unit="order", low=0, high=10)
    isolate_min_order: int = parameter(0, "smallest order of a free block that the thread isolates", unit="order", low=0, high=10)
    drain: str = parameter("local", "per-CPU lists drained before a scan", choices=("off", "local", "all"))
    scan_drop_non_buddy: bool = parameter(
        False, "drop entries in no free block, as the description says and the code does not", choices=(False, True)
    )
    dedup: str = parameter("head", "duplicates that a scan drops", choices=("off", "head", "full"))
    return_position: str = parameter(
        "head", "where blocks return: by the ordinary rule (head) or to the tail", choices=("head", "tail")
    )
    host_action: str = parameter("dontneed", "what the VMM does with a reported block", choices=("dontneed", "free", "none"))
    call_pages: int = parameter(1, "pages of one madvise call, 0 for whole blocks", unit="pages", low=0, high=1024)
    wake_latency: int = parameter(10_000, "from the wake-up of a CPU's thread to its first step", unit="ns", low=0, high=10**12)
    idle_flush: int = parameter(
        0, "work off a partly filled array that has not grown for so long, 0 never", unit="ns", low=0, high=10**13
    )
    isolation_cap: int = parameter(0, "most blocks isolated at once, 0 for no cap", unit="blocks", low=0, high=1 << 20)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.idle_flush < JIFFY_NS:
            raise StrategyError(f"strategy {self.name}: idle_flush must be 0 or at least {JIFFY_NS} (ns), one tick of a kernel "
                                f"timer, got {self.idle_flush}")

    def core(self) -> V8Core:
        return V8Core(
            entries=self.entries,
            min_order=self.min_order,
            isolate_min_order=self.isolate_min_order,
            drain=self.drain,
            scan_drop_non_buddy=self.scan_drop_non_buddy,
            dedup=self.dedup,
            return_position=self.return_position,
            host_action=self.host_action,
            call_pages=self.call_pages,
            wake_latency_ns=self.wake_latency,
            idle_flush_ns=self.idle_flush,
            isolation_cap=self.isolation_cap,
            counted=self.name != "v8-posted",
        )


@dataclass(frozen=True, kw_only=True)
class V8Stats(V8):
    """The development build around the posting, with nine memory counters. The algorithm is the posted one."""

    name: ClassVar[str] = "v8-stats"


@dataclass(frozen=True, kw_only=True)
class V8Posted(V8):
    """The posted series, which has no counters."""

    name: ClassVar[str] = "v8-posted"

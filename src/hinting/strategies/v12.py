"""Page reporting v12, posted on 12 August 2019, and its development counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hinting._core.strategies.v10 import V10 as V10Core
from hinting.strategies.base import StrategySpec, parameter

__all__ = ["V12", "V12Stats"]


@dataclass(frozen=True, kw_only=True)
class V12(StrategySpec):
    """A bitmap in each zone with one bit for each 2 MiB; at 16 bits one pass at a time isolates and reports blocks 16 at
    a time, sleeps until the host is done, and puts them back at the head of their lists.

    Inferred: the type that isolation changed is put back on the pageblock of a block's first page only.
    """

    name: ClassVar[str] = "v12"
    source: ClassVar[str] = '"[RFC][Patch v12 0/2] mm: Support for page reporting", Nitesh Narayan Lal, 12 August 2019'
    reports_from: ClassVar[str] = "min_order"

    min_order: int = parameter(9, "smallest order that is noted and isolated (PAGE_REPORTING_MIN_ORDER); a bit stands for "
                                  "2^min_order pages", unit="order", low=8, high=10)
    threshold: int = parameter(16, "bits of a zone that start a pass", unit="blocks", low=1, high=1 << 16)
    batch: int = parameter(16, "blocks isolated and reported at once (PAGE_REPORTING_MAX_PAGES)", unit="blocks",
                           low=1, high=1 << 16)
    worker_delay: int = parameter(0, "from the scheduling of the work item to its first step", unit="ns", low=0, high=10**12)
    return_position: str = parameter("head", "where blocks return: by the ordinary rule (head) or to the tail",
                                     choices=("head", "tail"))
    host_action: str = parameter("dontneed", "what the VMM does with a reported block", choices=("dontneed", "free", "none"))
    call_pages: int = parameter(0, "pages of one madvise call, 0 for whole blocks", unit="pages", low=0, high=1024)
    wait: str = parameter("event", "how the work item waits for the host", choices=("busy", "event"))

    def core(self) -> V10Core:
        return V10Core(min_order=self.min_order, threshold=self.threshold, batch=self.batch, delay_ns=self.worker_delay,
                       return_position=self.return_position, host_action=self.host_action, call_pages=self.call_pages,
                       wait=self.wait, is_v12=True, counted=self.name == "v12-stats")


@dataclass(frozen=True, kw_only=True)
class V12Stats(V12):
    """v12 with the six counters of its development tree (KiB; the unit is inferred)."""

    name: ClassVar[str] = "v12-stats"

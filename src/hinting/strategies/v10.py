"""Guest free page hinting v10 and v11, posted on 3 June and 10 July 2019."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hinting._core.strategies.v10 import V10 as V10Core
from hinting.strategies.base import StrategySpec, parameter

__all__ = ["V10", "V11"]


@dataclass(frozen=True, kw_only=True)
class V10(StrategySpec):
    """A bitmap for each zone with one bit for each 2 MiB; at 16 free blocks a work item isolates and reports them 16 at
    a time, spinning for the host, and puts them back at the head of their lists.
    """

    name: ClassVar[str] = "v10"
    source: ClassVar[str] = '"[RFC][Patch v10 0/2] mm: Support for page hinting", Nitesh Narayan Lal, 3 June 2019'
    reports_from: ClassVar[str] = "min_order"

    min_order: int = parameter(9, "smallest order that is noted and isolated; a bit stands for 2^min_order pages",
                               unit="order", low=8, high=10)
    threshold: int = parameter(16, "blocks noted in a zone that start a pass", unit="blocks", low=1, high=1 << 16)
    batch: int = parameter(16, "blocks isolated and reported at once", unit="blocks", low=1, high=1 << 16)
    worker_delay: int = parameter(0, "from the queueing of the work item to its first step", unit="ns", low=0, high=10**12)
    return_position: str = parameter("head", "where blocks return: by the ordinary rule (head) or to the tail",
                                     choices=("head", "tail"))
    host_action: str = parameter("free", "what the VMM does with a reported block", choices=("free", "dontneed", "none"))
    call_pages: int = parameter(0, "pages of one madvise call, 0 for whole blocks", unit="pages", low=0, high=1024)
    wait: str = parameter("busy", "how the work item waits for the host", choices=("busy", "event"))

    def core(self) -> V10Core:
        return V10Core(min_order=self.min_order, threshold=self.threshold, batch=self.batch, delay_ns=self.worker_delay,
                       return_position=self.return_position, host_action=self.host_action, call_pages=self.call_pages,
                       wait=self.wait, is_v12=False, counted=False)


@dataclass(frozen=True, kw_only=True)
class V11(V10):
    """As v10, with a wait for an event instead of a busy wait.

    Inferred: its "simplified counter" decides as that of v10.
    """

    name: ClassVar[str] = "v11"
    source: ClassVar[str] = '"[RFC][PATCH v11 0/2] mm: Support for page hinting", Nitesh Narayan Lal, 10 July 2019'

    wait: str = parameter("event", "how the work item waits for the host", choices=("busy", "event"))

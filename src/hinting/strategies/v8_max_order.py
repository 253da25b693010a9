"""Development builds of hinting after v8 that capture blocks of order 10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hinting._core.strategies.v8_max_order import V8MaxOrder as V8MaxOrderCore
from hinting.strategies.base import StrategySpec, parameter

__all__ = ["V8Async", "V8MaxOrder"]


@dataclass(frozen=True, kw_only=True)
class V8MaxOrder(StrategySpec):
    """Blocks of order 10 are captured after the merge; when the array is full the freeing context isolates and reports
    them under the zone lock, spinning for the host.

    Inferred: no drain and no scan, as captured blocks are in the buddy lists already.
    """

    name: ClassVar[str] = "v8.5-max-order"
    source: ClassVar[str] = "development tree of guest free page hinting after v8, February 2019"
    reports_from: ClassVar[str] = "min_order"

    entries: int = parameter(1000, "entries of the captured and of the isolated array (MAX_FGPT_ENTRIES)",
                             unit="entries", low=2, high=1 << 16)
    min_order: int = parameter(10, "smallest order that is captured and isolated", unit="order", low=0, high=10)
    return_position: str = parameter("head", "where blocks return: by the ordinary rule (head) or to the tail",
                                     choices=("head", "tail"))
    host_action: str = parameter("dontneed", "what the VMM does with a reported block", choices=("dontneed", "free", "none"))
    call_pages: int = parameter(1, "pages of one madvise call, 0 for whole blocks", unit="pages", low=0, high=1024)

    def core(self) -> V8MaxOrderCore:
        return V8MaxOrderCore(entries=self.entries, min_order=self.min_order, asynchronous=self.name == "v8.9-async",
                              return_position=self.return_position, host_action=self.host_action,
                              call_pages=self.call_pages)


@dataclass(frozen=True, kw_only=True)
class V8Async(V8MaxOrder):
    """As v8.5-max-order, but the zone lock is dropped around the work, each run has a list of its own, and an interrupt
    returns its blocks when the host is done.
    """

    name: ClassVar[str] = "v8.9-async"

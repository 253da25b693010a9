"""The form of guest free page hinting between v7 and v8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hinting._core.strategies.v8_transition import V8Transition as V8TransitionCore
from hinting.strategies.base import StrategySpec, parameter

__all__ = ["V8Transition"]


@dataclass(frozen=True, kw_only=True)
class V8Transition(StrategySpec):
    """Pages are isolated for the first time: a work item of the CPU whose array is full sorts the entries by zone,
    isolates the free blocks and reports them one by one.

    Inferred: a block goes back to the head of its list when its own report is answered.
    """

    name: ClassVar[str] = "v8-transition"
    source: ClassVar[str] = "development tree of guest free page hinting between v7 (November 2018) and v8 (February 2019)"

    entries: int = parameter(1000, "entries of the captured and of the isolated array (MAX_FGPT_ENTRIES)",
                             unit="entries", low=2, high=1 << 20)
    return_position: str = parameter("head", "where blocks return: by the ordinary rule (head) or to the tail",
                                     choices=("head", "tail"))
    host_action: str = parameter("dontneed", "what the VMM does with a reported block", choices=("dontneed", "free", "none"))
    call_pages: int = parameter(1, "pages of one madvise call, 0 for whole blocks", unit="pages", low=0, high=1024)
    wake_latency: int = parameter(10_000, "from the queueing of the work item to its first step", unit="ns", low=0, high=10**12)

    def core(self) -> V8TransitionCore:
        return V8TransitionCore(entries=self.entries, return_position=self.return_position, host_action=self.host_action,
                                call_pages=self.call_pages, wake_latency_ns=self.wake_latency)

"""Guest free page hinting v9, posted on 6 March 2019, and its development build with counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hinting._core.strategies.v9 import V9 as V9Core
from hinting.errors import StrategyError
from hinting.strategies.base import StrategySpec, parameter

__all__ = ["V9", "V9Stats"]


@dataclass(frozen=True, kw_only=True)
class V9(StrategySpec):
    """Free blocks of order 10 are noted in a per-CPU array; at the threshold the freeing context isolates them, hands
    the list to the host and goes on; an interrupt returns them to the heads of their lists.

    The defaults are the posted series. Follow-up experiments of the author: entries 32 and threshold 16, entries 16
    and threshold 8, call_pages 0 (one madvise a block), host_action free, barrier 256.
    """

    name: ClassVar[str] = "v9"
    source: ClassVar[str] = '"[RFC][Patch v9 0/6] KVM: Guest Free Page Hinting", Nitesh Narayan Lal, 6 March 2019'
    reports_from: ClassVar[str] = "min_order"

    entries: int = parameter(256, "blocks noted for each CPU (MAX_FGPT_ENTRIES)", unit="blocks", low=1, high=1 << 16)
    threshold: int = parameter(128, "noted blocks that start a run (HINTING_THRESHOLD)", unit="blocks", low=1, high=1 << 16)
    min_order: int = parameter(10, "smallest order that is noted and isolated", unit="order", low=8, high=10)
    barrier: int = parameter(0, "free blocks of that order that a zone must have to be hinted (follow-up: 256)",
                             unit="blocks", low=0, high=1 << 20)
    run_in: str = parameter("inline", "who works the array off: the freeing context, or a thread of this CPU",
                            choices=("inline", "thread"))
    lost_answers: bool = parameter(True, "adding a list throws away answers whose interrupt has not come, and an interrupt "
                                         "delivers one (source)", choices=(False, True))
    fail_every: int = parameter(0, "of so many requests for a list's memory one fails, and the noted blocks are forgotten; "
                                   "0: none does", unit="requests", low=0, high=1 << 20)
    return_position: str = parameter("head", "where blocks return: head or tail of their list", choices=("head", "tail"))
    host_action: str = parameter("dontneed", "what the VMM does with a reported block", choices=("dontneed", "free", "none"))
    call_pages: int = parameter(1, "pages of one madvise call, 0 for whole blocks", unit="pages", low=0, high=1024)
    wake_latency: int = parameter(10_000, "from the wake-up of a CPU's thread to its first step", unit="ns", low=0, high=10**12)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threshold > self.entries:
            raise StrategyError(f"strategy {self.name}: threshold must not be above entries ({self.entries}), "
                                f"got {self.threshold}")

    def core(self) -> V9Core:
        return V9Core(entries=self.entries, threshold=self.threshold, min_order=self.min_order, barrier=self.barrier,
                      run_in=self.run_in, lost_answers=self.lost_answers, fail_every=self.fail_every,
                      return_position=self.return_position,
                      host_action=self.host_action, call_pages=self.call_pages, wake_latency_ns=self.wake_latency,
                      counted=self.name == "v9-stats")


@dataclass(frozen=True, kw_only=True)
class V9Stats(V9):
    """The development build of v9 with nine memory counters, whose thread works the array off."""

    name: ClassVar[str] = "v9-stats"
    source: ClassVar[str] = "development tree of guest free page hinting around v9, March 2019"

    run_in: str = parameter("thread", "who works the array off: the freeing context, or a thread of this CPU",
                            choices=("inline", "thread"))

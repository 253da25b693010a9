"""Guest page hinting v1 (November 2017) and v7 (November 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hinting._core.strategies.v1 import V1 as V1Core
from hinting.errors import StrategyError
from hinting.strategies.base import StrategySpec, parameter

__all__ = ["V1", "V7"]


@dataclass(frozen=True, kw_only=True)
class V1(StrategySpec):
    """A per-CPU array of freed pages; when full it is worked off in the freeing context under a global lock, without
    isolation: allocations on other CPUs wait until the host has answered.

    The defaults are the v1 source with its defects: runs that are not sent are lost, and pages that nobody looked at
    can be reported. Estimated: one madvise call for each aligned block of a run. The hypercall of v1 itself was a
    placeholder (host_action none); the early prototypes used MADV_FREE.
    """

    name: ClassVar[str] = "v1"
    source: ClassVar[str] = '"KVM: Guest page hinting" v1, Nitesh Narayan Lal, November 2017'

    entries: int = parameter(1000, "entries of the per-CPU and of the shared array (MAX_FGPT_ENTRIES)",
                             unit="entries", low=2, high=1 << 20)
    threshold: int = parameter(500, "runs after compression that are sent (HYPERLIST_THRESHOLD)",
                               unit="runs", low=1, high=1 << 20)
    remainder: str = parameter("lost", "runs that were not sent: lost (source), or kept in the CPU's array (description)",
                               choices=("lost", "kept"))
    track_run: bool = parameter(False, "a run that goes on after compressing or sending stays itself (description); "
                                       "else it is credited to another one (source)", choices=(False, True))
    stop_allocations: bool = parameter(True, "allocations on other CPUs wait while a report is under way",
                                       choices=(True, False))
    host_action: str = parameter("free", "what the VMM does with a reported block", choices=("free", "dontneed", "none"))
    call_pages: int = parameter(0, "pages of one madvise call, 0 for whole blocks (estimated)", unit="pages",
                                low=0, high=1024)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threshold >= self.entries:
            raise StrategyError(f"strategy {self.name}: threshold must be below entries ({self.entries}), "
                                f"got {self.threshold}")

    def core(self) -> V1Core:
        return V1Core(entries=self.entries, threshold=self.threshold, remainder=self.remainder, track_run=self.track_run,
                      stop_allocations=self.stop_allocations, host_action=self.host_action, call_pages=self.call_pages)


@dataclass(frozen=True, kw_only=True)
class V7(V1):
    """v1 as the descriptions of v1 to v7 have it: runs stay themselves, what is not sent returns to the CPU's array,
    and nearly any list is sent.

    Inferred: the list is compressed once more when the CPU's array is exhausted, and sent if it reaches the threshold.
    """

    name: ClassVar[str] = "v7"
    source: ClassVar[str] = '"KVM: Guest page hinting" v7, Nitesh Narayan Lal, November 2018; descriptions of v1 to v7'

    threshold: int = parameter(1, "runs after compression that are sent (HYPERLIST_THRESHOLD)", unit="runs", low=1, high=1 << 20)
    remainder: str = parameter("kept", "runs that were not sent: kept in the CPU's array (description), or lost",
                               choices=("lost", "kept"))
    track_run: bool = parameter(True, "a run that goes on after compressing or sending stays itself (description)",
                                choices=(False, True))

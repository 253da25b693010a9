"""Mainline free page reporting, merged in Linux 5.7, in the versions that differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hinting._core.strategies.page_reporting import PageReporting as PageReportingCore
from hinting.strategies.base import StrategySpec, parameter

__all__ = ["PageReporting", "PageReporting57", "PageReporting61", "PageReporting612"]


@dataclass(frozen=True, kw_only=True)
class PageReporting(StrategySpec):
    """A delayed work item walks the free lists of large blocks, isolates unreported ones 32 at a time, reports them and
    puts them back marked, at the tail of their lists.

    A free that leaves such a block requests a pass two seconds later; so does the registration of the device. The
    defaults are Linux 6.12; delay, capacity and budget_divisor are constants there, keep_mark_on_split is a proposal.
    """

    name: ClassVar[str] = "page-reporting"
    source: ClassVar[str] = "mm/page_reporting.c of Linux 6.12; drivers/virtio/virtio_balloon.c"
    reports_from: ClassVar[str] = "order"

    order: int = parameter(9, "smallest order reported (page_reporting_order), at boot or at run time", low=0, high=10)
    delay: int = parameter(2_000_000_000, "from the request to the pass", unit="ns", low=0, high=10**12)
    capacity: int = parameter(32, "blocks of a report (PAGE_REPORTING_CAPACITY)", unit="blocks", low=1, high=1024)
    budget_divisor: int = parameter(16, "share of a list that a pass reports, besides one report; 0 for all of it",
                                    low=0, high=1 << 20)
    return_position: str = parameter("tail", "where blocks return: to the tail or by the ordinary rule (head)",
                                     choices=("tail", "head"))
    low_watermark_rule: bool = parameter(True, "skip zones with no more free than the low watermark and a report",
                                         choices=(False, True))
    keep_mark_on_split: bool = parameter(False, "the halves of a split reported block stay reported",
                                         choices=(False, True))
    host_action: str = parameter("dontneed", "what the VMM does with a reported block; none: discards are inhibited",
                                 choices=("dontneed", "none"))
    page_poison: bool = parameter(
        False, "the guest fills free pages with a pattern (VIRTIO_BALLOON_F_PAGE_POISON): the VMM ignores what it reports",
        choices=(False, True),
    )

    def core(self) -> PageReportingCore:
        return PageReportingCore(
            order=self.order, delay_ns=self.delay, capacity=self.capacity, budget_divisor=self.budget_divisor,
            return_position=self.return_position, low_watermark_rule=self.low_watermark_rule,
            keep_mark_on_split=self.keep_mark_on_split,
            host_action="none" if self.page_poison else self.host_action,
        )


@dataclass(frozen=True, kw_only=True)
class PageReporting612(PageReporting):
    """Page reporting of Linux 6.3 to 6.12: an order given at boot holds."""

    name: ClassVar[str] = "page-reporting-6.12"


@dataclass(frozen=True, kw_only=True)
class PageReporting61(PageReporting):
    """Page reporting of Linux 5.14 to 6.1: registration sets the order to that of a pageblock, later writes hold."""

    name: ClassVar[str] = "page-reporting-6.1"
    source: ClassVar[str] = "mm/page_reporting.c of Linux 6.1; drivers/virtio/virtio_balloon.c"

    order: int = parameter(9, "smallest order reported (page_reporting_order), written after registration",
                           low=0, high=10)


@dataclass(frozen=True, kw_only=True)
class PageReporting57(PageReporting):
    """Page reporting as merged in Linux 5.7: the order is a pageblock's, and a block returns by the ordinary rule.

    Frees to the tail on request came with 5.10.
    """

    name: ClassVar[str] = "page-reporting-5.7"
    source: ClassVar[str] = "mm/page_reporting.c of Linux 5.7; drivers/virtio/virtio_balloon.c"

    order: int = parameter(9, "smallest order reported: pageblock_order", low=9, high=9)
    return_position: str = parameter("head", "where blocks return: to the tail or by the ordinary rule (head)",
                                     choices=("tail", "head"))

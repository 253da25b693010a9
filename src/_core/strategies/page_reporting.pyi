from typing import Literal

from hinting._core.strategies.hooks import Strategy

__all__ = ["PageReporting"]

class PageReporting(Strategy):
    """The compiled strategy; the parameters are those of hinting.strategies.PageReporting, checked there."""

    def __init__(
        self,
        *,
        order: int,
        delay_ns: int,
        capacity: int,
        budget_divisor: int,
        return_position: str,
        low_watermark_rule: bool,
        keep_mark_on_split: bool,
        host_action: str,
    ) -> None: ...
    def statistics(self) -> dict[str, int]:
        """What happened, which the kernel does not count, since the strategy was made."""

    def out(self) -> list[tuple[int, int]]:
        """Blocks that are isolated now: [(pfn, order), ...], last isolated first."""

    @property
    def state_word(self) -> Literal["idle", "requested", "active"]:
        """The kernel's state word."""

    @property
    def in_pass(self) -> bool:
        """Whether the work is running or waits for the host."""

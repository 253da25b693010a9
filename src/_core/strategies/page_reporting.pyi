from typing import Literal

from hinting._core.strategies.hooks import Strategy

__all__ = ["PageReporting"]

class PageReporting(Strategy):
    def __init__(
        self,
        *,
        order: int,
        delay_ns: int,
        capacity: int,
        budget_divisor: int,
        return_position: Literal["tail", "head"],
        low_watermark_rule: bool,
        keep_mark_on_split: bool,
        host_action: Literal["dontneed", "none"],
    ) -> None: ...
    def statistics(self) -> dict[str, int]: ...
    def out(self) -> list[tuple[int, int]]: ...
    @property
    def state(self) -> Literal["idle", "requested", "active"]: ...
    @property
    def in_pass(self) -> bool: ...

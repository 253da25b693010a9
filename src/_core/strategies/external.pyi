"""Strategies from outside, behind the border."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hinting._core.strategies.hooks import Strategy

STEP_BUDGET: int
STOPPED: int
PAGE_OTHER: int
PAGE_FREE: int
PAGE_USED: int
PAGE_COMPOUND: int
ACTIONS: dict[str, int]

def raised_address() -> int:
    """Address of the function that a compiled hook calls with its guest after an exception."""

class External(Strategy):
    """A strategy whose hooks come from outside. name: for messages."""

    name: str
    owner: Any
    raised: BaseException | None
    def __init__(self, name: str) -> None: ...
    def hold(self, owner: Any) -> None:
        """Take over an object whose prepare(core, n_cpus, n_pages) fills the table once there is a guest."""
    def fill_table(self, hooks: int, state: int, owner: Any) -> None:
        """Take over a hooks_t at an address. Raises StrategyError."""
    def fill_addresses(self, hooks: Mapping[str, int], settings: Mapping[str, Any], state: int, owner: Any) -> None:
        """Take over hooks by address, with settings as in hooks_t. Raises StrategyError."""
    def run_thread(self, cpu: int = 0) -> list[tuple[int, int]]:
        """Run this CPU's thread now; the blocks to report as [(pfn, order), ...]."""
    def host_done(self, cpu: int = 0) -> None:
        """Tell the strategy that the host has dropped what this CPU's thread reported."""
    def complete_submitted(self, cpu: int = 0) -> int:
        """Take all submitted reports and tell the strategy that the host is done with them; returns how many."""
    def run_timer(self, cpu: int = 0) -> None:
        """Let the timer of a CPU fire now."""
    def feed(self, pfns: np.ndarray, order: int = 0, cpu: int = 0) -> None:
        """Call on_free for each of these pages (uint32) without freeing them: to try a hook, or to time it."""
    @property
    def is_stopped(self) -> bool:
        """Whether a fault has switched the strategy off."""
    def raise_fault(self) -> None:
        """Raise the StrategyError of a fault that was not raised yet; the strategy stays switched off."""
    def fault_error(self) -> BaseException:
        """The exception that a fault is for the caller."""
    def counters(self) -> dict[str, int]:
        """The strategy's counters by name."""
    def statistics(self) -> dict[str, int]:
        """What the strategy gives besides its counters."""

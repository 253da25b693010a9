from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hinting._core.mm.allocator import Allocator

_Blocks = list[tuple[int, int]]

ACTIONS: dict[str, int]
TRACEPOINTS: tuple[str, ...]

class Strategy:
    """A strategy attached to at most one guest."""

    @property
    def allocator(self) -> Allocator | None: ...
    @property
    def enabled(self) -> bool:
        """The static key: whether the guest's frees and allocations reach the hooks. Work under way goes on without it."""
    @enabled.setter
    def enabled(self, on: bool) -> None: ...
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def attach(self, allocator: Allocator) -> None:
        """Fill the guest's hook table."""

    def is_woken(self, cpu: int = 0) -> bool:
        """Whether this CPU's thread was woken and has not run yet."""

    def run_thread(self, cpu: int = 0) -> _Blocks:
        """Run this CPU's thread now until it sleeps or reports; the blocks to report as [(pfn, order), ...]."""

    def host_done(self, cpu: int = 0) -> None:
        """Tell the strategy that the host has dropped what this CPU's thread reported."""

    def submitted(self) -> list[tuple[int, _Blocks]]:
        """Reports that hooks handed in and nobody has taken yet: [(ticket, [(pfn, order), ...]), ...]."""

    def complete_submitted(self, cpu: int = 0) -> int:
        """Take all submitted reports and tell the strategy that the host is done with them; returns how many."""

    def counters(self) -> dict[str, int]:
        """The counters that the strategy's kernel code keeps, by the kernel's labels."""

    def statistics(self) -> dict[str, int]:
        """What the kernel code does not count."""

    def state(self) -> dict[str, NDArray[np.int64]]:
        """What the strategy knows, for `set_state`; StrategyError for a strategy that cannot say it."""

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state; StrategyError, with nothing changed, if it contradicts itself or the guest's memory."""

    def unanswered(self) -> int:
        """Blocks that threads have reported and the host has not answered yet."""

    def common_state(self) -> dict[str, NDArray[np.int64]]:
        """Wake-ups, submitted tickets and work counts."""

    def checked_state(
        self, state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...] | None]
    ) -> dict[str, NDArray[np.int64]]:
        """state as int64 arrays of these shapes (None: one dimension of any length), with those of common_state."""

    def check_common_state(self, arrays: Mapping[str, NDArray[np.int64]]) -> None:
        """Raise StrategyError unless wake-ups and tickets are possible ones."""

    def set_common_state(self, arrays: Mapping[str, NDArray[np.int64]]) -> None:
        """Take over what every strategy has."""

    def kernel_files(self) -> dict[str, str]:
        """Files of the guest's kernel that the strategy adds, by path: {path: text}."""

    def kernel_bytes(self) -> int:
        """Bytes that its arrays and bitmaps take in the guest's kernel."""

    def start_trace(self, size: int = ...) -> None:
        """Note tracepoints from now on, up to `size` of them; what was noted before is forgotten."""

    def trace(self) -> list[tuple[str, int, int]]:
        """Tracepoints since start_trace: [(name, pfn, value), ...]; value: an order, or for guest_isolated_pfn pages."""

    def stop_trace(self) -> int:
        """Note no more tracepoints; returns how many found no room."""

    @property
    def work(self) -> dict[str, int]:
        """What the strategy's own code did: counts by kind."""

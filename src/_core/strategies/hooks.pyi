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
        """Run this CPU's thread now until it sleeps, pauses or reports; the blocks to report as [(pfn, order), ...]."""

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

    def why_no_state(self) -> str:
        """Why a guest with this strategy cannot be part of a snapshot."""

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state; StrategyError, with nothing changed, if it contradicts itself or the guest's memory."""

    def in_flight(self) -> list[tuple[int, int | None]]:
        """Reports that the host has, and threads that stand in the middle of their work: [(ticket, cpu), ...].

        cpu: the CPU whose thread it is, or None for a report that an interrupt answers. What `submitted` gives is not
        among them.
        """

    def reported(self, ticket: int) -> _Blocks:
        """Blocks of a report that is submitted or in flight: [(pfn, order), ...]."""

    def settle(self) -> None:
        """The host answers all reports and the threads go on, until nothing is under way."""

    def common_state(self) -> dict[str, NDArray[Any]]:
        """The static key, wake-ups, submitted tickets, work counts and holds of the zone lock."""

    def checked_state(
        self, state: Mapping[str, Any], shapes: Mapping[str, tuple[int | None, ...]]
    ) -> dict[str, NDArray[Any]]:
        """state as int64 arrays (hold_ns: float64) of these shapes, with those of common_state; None: any length."""

    def check_common_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Raise StrategyError unless wake-ups and tickets are possible ones."""

    def set_common_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
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

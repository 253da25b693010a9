from typing import Any

import numpy as np
from numpy.typing import NDArray

from hinting._core.host.ram import Backing
from hinting._core.mm.allocator import Allocator
from hinting._core.strategies.hooks import Strategy

class Machine:
    """A guest on a host: an allocator, a strategy, a backing and one program a vCPU. Made by Engine.add."""

    @property
    def allocator(self) -> Allocator: ...
    @property
    def strategy(self) -> Strategy | None: ...
    @property
    def backing(self) -> Backing: ...
    def append(self, ops: NDArray[np.void], cpu: int = 0) -> int:
        """Append rows to a vCPU's program; returns the number of rows that the program now has."""

    @property
    def number(self) -> int:
        """Number of the guest on its host, from 0 in the order of launch."""

    @property
    def clock_ns(self) -> int:
        """The time that this guest has come to: the furthest clock of its vCPUs and its VMM."""

    @property
    def is_lost(self) -> bool:
        """Whether the host's OOM killer ended this guest."""

    @property
    def lost_at_ns(self) -> int | None:
        """When it was killed, None if it was not."""

    @property
    def shut_down_at_ns(self) -> int | None:
        """When it was shut down, None if it was not."""

    def shut_down(self) -> None:
        """The guest ends now, with all its programs: the host has its memory back. Nothing for a guest that is gone."""

    @property
    def is_idle(self) -> bool:
        """No vCPU has a row left to run and no report is under way."""

    def resize(self, pages: int) -> None:
        """The host wants the guest to do without so many pages from now on. StrategyError without a strategy that can."""

    def config_interrupt(self) -> None:
        """The device has changed its configuration: the strategy's work item is queued on CPU 0."""

    def host_work(self, ticket: int) -> None:
        """The VMM goes to work by itself for a strategy that lives there."""

    def send_pages(self, most: int, within_ns: float) -> float:
        """The thread of the guest's migration goes on: up to so many pages, or until it has worked for so long; returns ns."""

    def poll(self, ticket: int) -> None:
        """The device gives a buffer back to its driver, which fills it and sends it again."""

    def accounts(self) -> dict[str, float]:
        """CPU time by account, ns."""

    def marks(self) -> list[tuple[int, int, int, int]]:
        """[(number, t_ns, host_used_frames, held_frames), ...] in the order in which they were set."""

    def processes(self) -> dict[int, tuple[int, int]]:
        """{process: (rss_pages, table_pages)} of the processes that live; shared pages count for each of them."""

    def page_cache(self) -> NDArray[np.void]:
        """Cached pages as a structured array: file, index, pfn, flags; the inactive list, then the active one, oldest first."""

    def check(self) -> None:
        """Verify page cache and processes by a full recount; raises CheckError."""

    def oom_kills(self) -> list[tuple[int, int, int]]:
        """[(t_ns, process, rss_pages), ...]: whom the guest's OOM killer ended, in order."""
    def measured(self, until: int) -> dict[str, Any]:
        """What the meter of this guest has counted up to a time: pages, frames and ns; -1 for times that have not come."""

    def exits(self) -> NDArray[np.void]:
        """Processes that ended, in order: times in ns (-1: not yet), pages that the host backed."""

    def durations(self, name: str) -> NDArray[np.int64]:
        """A histogram as (value in ns, count), shape (n, 2): "lag", "after_exit" or "latency"."""

    def counts(self) -> dict[str, int]:
        """Counts of the guest since its launch; memory in pages."""

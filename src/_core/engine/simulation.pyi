from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hinting._core.costs import Costs
from hinting._core.engine.survey import Survey
from hinting._core.host.host import Backing, HostMemory
from hinting._core.mm.allocator import Allocator
from hinting._core.strategies.hooks import Strategy

TRANSPORTS: dict[str, int]

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

class Engine:
    """Virtual time over one host and its guests."""

    @property
    def host(self) -> HostMemory: ...
    @property
    def machines(self) -> list[Machine]: ...
    def __init__(
        self,
        host: HostMemory,
        *,
        slice_ns: int,
        kswapd_ns: int,
        resolution_ns: int,
        logs: bool = False,
        cards: NDArray[np.float64] | None = None,
        survey: Survey | None = None,
    ) -> None: ...
    def add(
        self,
        allocator: Allocator,
        strategy: Strategy | None,
        backing: Backing,
        costs: Costs,
        gfp: Mapping[str, int],
        thp: bool,
        thp_cow_copies: bool,
        async_pf: bool = True,
        cards: NDArray[np.float64] | None = None,
        transport: str = "virtio-main",
        poll_ns: int = 0,
    ) -> Machine:
        """Put a guest on the host at the present time."""

    def run(self, until: int) -> None:
        """Run to the time `until` (ns), or until nobody has anything left to do before it."""

    def run_until_idle(self, machine: Machine, until: int) -> None:
        """Run until a guest has no row left and no report under way, it is lost, or the time is `until`."""

    def step(self) -> bool:
        """Let whoever is furthest behind run one slice; False if nobody has anything to do."""

    @property
    def is_idle(self) -> bool:
        """Whether every guest is idle or lost."""

    def peek(self) -> int | None:
        """When somebody has something to do next, ns; None if nobody has."""

    @property
    def now(self) -> int:
        """Emulated time, ns."""

    @property
    def oom_kills(self) -> int:
        """Guests that the host's OOM killer ended."""

    @property
    def host_kernel_ns(self) -> float:
        """CPU time of the host's kernel threads, ns."""

    @property
    def pressure_ns(self) -> tuple[float, float]: ...
    @property
    def steps(self) -> int: ...
    @property
    def reached(self) -> int:
        """The latest time that anybody has come to, ns: the present, or a little later at the end of a slice."""

    def spans(self) -> NDArray[np.void]:
        """What ran when, as a structured array in the order in which it ended; empty unless made with logs."""

    def sample(self) -> None:
        """Take a sample of the guests' memory now, if there is a survey and it has none of this time."""

    @property
    def survey(self) -> Survey | None: ...
    @property
    def logs(self) -> bool:
        """Whether spans are kept."""

    def rows(self) -> NDArray[np.void]:
        """The time line as a structured array in the order of emulation: times, guests, and the changes."""

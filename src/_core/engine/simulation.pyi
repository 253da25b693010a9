from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hinting._core.costs import Costs
from hinting._core.engine.guest import Machine
from hinting._core.engine.host_policy import HostPolicy
from hinting._core.engine.survey import Survey
from hinting._core.host.host import HostMemory
from hinting._core.host.ram import Backing
from hinting._core.mm.allocator import Allocator
from hinting._core.strategies.hooks import Strategy

TRANSPORTS: dict[str, int]

class Engine:
    """Virtual time over one host and its guests."""

    @property
    def host(self) -> HostMemory: ...
    @property
    def machines(self) -> list[Machine]: ...
    @property
    def policy(self) -> HostPolicy | None: ...
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
        policy: HostPolicy | None = None,
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
        vmm_ns: float = 0,
        contends: bool = False,
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

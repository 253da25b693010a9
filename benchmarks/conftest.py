"""What the benchmarks share: a guest on a host, driven in batches."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from hinting import Guest, Host, gfp, strategies
from hinting._core.engine.untimed import Untimed
from hinting._core.strategies.hooks import Strategy
from hinting.strategies import StrategySpec

#: Pages of 1 GiB, the size of the yardsticks.
PAGES = 1 << 18
#: A guest that has so many pages for a program beside its own footprint.
MEMORY = "1280MiB"
#: v8 as posted, with an idle flush so that no life leaves captured pages behind.
V8 = strategies.V8(idle_flush="1s")

KERNELS = ("linux-5.0", "linux-6.1")


@dataclass
class Rig:
    """A guest and its host without virtual time. user, kernel: gfp numbers of process and of kernel memory."""

    guest: Guest
    host: Host
    untimed: Untimed
    user: int
    kernel: int

    @property
    def strategy(self) -> Strategy:
        assert self.guest.strategy_core is not None
        return self.guest.strategy_core

    def life(self, order: np.ndarray | None = None, pages: int = PAGES) -> None:
        """Allocate pages, write to each, free them as allocated or in this order, and hand back what was captured."""
        pfns = self.untimed.alloc(pages, 0, self.user)
        assert pfns.size == pages
        self.untimed.free(pfns if order is None else pfns[order], 0)
        self.guest.drain()
        self.untimed.tick()
        self.untimed.tick()


@pytest.fixture(scope="session")
def make_rig() -> Callable[..., Rig]:
    """A function (kernel, strategy=None, thp=False, memory=MEMORY) -> Rig. thp: the host backs with huge pages."""

    def make(kernel: str, strategy: StrategySpec | None = None, *, thp: bool = False, memory: str = MEMORY) -> Rig:
        guest = Guest(memory, kernel=kernel, strategy=strategy)
        host = Host("8GiB", thp=thp, fragmentation=0.0)
        backing = host.memory.add_guest(guest.memory_map.npfn, ram_frames=guest.memory_map.pages)
        profile = guest.allocator.kernel
        return Rig(
            guest,
            host,
            Untimed(guest.allocator, guest.strategy_core, backing),
            gfp.value(gfp.HIGHUSER_MOVABLE, profile),
            gfp.value(gfp.KERNEL, profile),
        )

    return make


@pytest.fixture(scope="session")
def shuffled() -> np.ndarray:
    """A fixed random order of PAGES entries."""
    return np.random.default_rng(1).permutation(PAGES)

"""A KVM host: memory that guests are backed from."""

from __future__ import annotations

from typing import NoReturn

from hinting._core.costs import Costs
from hinting._core.host.host import HostMemory
from hinting.costs import CostProfile
from hinting.costs import load as load_costs
from hinting.errors import HostError, SnapshotError
from hinting.units import PAGE_BYTES, parse_size, size_pages

__all__ = ["DEFAULT_BASE", "Host"]

#: Memory of the host's own system: kernel, daemons, page cache that stays. A parameter that the number of guests
#: hangs on; see the docs of the seed experiment.
DEFAULT_BASE = "0.95GiB"


class Host:
    """Memory of a host without swap, in one node.

    memory: bytes or text such as "15837MiB". base: what the host itself needs. thp: guest RAM may be backed by huge
    pages (QEMU asks for them). fragmentation: share of huge frames that cannot be had, 0 to 1. seed: of those draws.
    costs: a cost profile.

    Raises HostError or UnitError naming the argument.

    >>> Host("15GiB").used_bytes() // 2**20
    972
    """

    def __init__(
        self,
        memory: int | str,
        *,
        base: int | str = DEFAULT_BASE,
        thp: bool = True,
        fragmentation: float = 0.1,
        pt_reclaim: bool = False,
        seed: int = 0,
        costs: CostProfile | None = None,
    ) -> None:
        self.costs = costs if costs is not None else load_costs()
        frames = size_pages(memory, "host memory")
        base_frames = -(-parse_size(base, "host base") // PAGE_BYTES)
        if base_frames >= frames:
            raise HostError(f"host memory: {memory!r} is smaller than the host's own needs (base {base!r})")
        self.memory = HostMemory(
            frames,
            base_frames,
            costs=Costs(self.costs),
            fragmentation=fragmentation,
            seed=seed,
            thp=thp,
            pt_reclaim=pt_reclaim,
        )

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SnapshotError("a host cannot be copied, pickled or saved: make a new one with the same arguments")

    def used_bytes(self) -> int:
        """Memory in use: the host's own, and what guests, VMMs and page tables hold."""
        return (self.memory.frames_total - self.memory.frames_free) * PAGE_BYTES

    @property
    def memory_bytes(self) -> int:
        return self.memory.frames_total * PAGE_BYTES

    @property
    def base_bytes(self) -> int:
        return self.memory.base_frames * PAGE_BYTES

    def vmstat(self) -> dict[str, int]:
        """Counters named as in /proc/vmstat."""
        return dict(self.memory.vmstat)

    def check(self) -> None:
        """Verify the accounting identity by a full recount; raises CheckError."""
        self.memory.check()

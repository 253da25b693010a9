from collections.abc import Iterable
from typing import Literal, NamedTuple

from hinting._core.costs import Costs
from hinting._core.host.watermark import Watermarks

__all__ = ["Backing", "BlockState", "Discard", "HostMemory", "Touch", "vmm_memory_frames"]

class Touch(NamedTuple):
    ok: bool
    stall_ns: float

class Discard(NamedTuple):
    host_ns: float
    stolen_ns: float

class BlockState(NamedTuple):
    pmd: Literal["none", "table", "huge"]
    folio: Literal["small", "huge", "huge-partial"]
    ept_huge: bool
    ept_table: bool
    present: int
    mapped: int

def vmm_memory_frames(costs: Costs, vcpus: int, iothreads: int = 0, graphics: bool = False) -> int: ...

class HostMemory:
    costs: Costs
    base_frames: int
    fragmentation: float
    now_ns: int
    def __init__(
        self,
        frames_total: int,
        base_frames: int = 0,
        *,
        costs: Costs,
        watermarks: tuple[int, int, int] | None = None,
        fragmentation: float = 0.1,
        fragmentation_growth: float = 0.0,
        seed: int = 0,
        thp: bool = True,
        thp_defrag: bool = True,
        pt_reclaim: bool = False,
        ept_reclaim: bool = True,
        thp_deposit: bool = False,
        khugepaged: bool = False,
        swap_frames: int = 0,
        swap_device: str | None = None,
        swap_tails: bool = False,
        swappiness: int = 60,
        page_cluster: int = 3,
        page_cache_frames: int = 0,
        effects: Iterable[str] = ...,
    ) -> None: ...
    @property
    def frames_total(self) -> int: ...
    @property
    def frames_free(self) -> int: ...
    @property
    def watermarks(self) -> Watermarks: ...
    @property
    def wakes_kswapd(self) -> bool: ...
    @property
    def swap(self) -> tuple[int, int]: ...
    @property
    def page_cache_frames(self) -> int: ...
    @property
    def vmstat(self) -> dict[str, int]: ...
    @property
    def guests(self) -> list[Backing]: ...
    def add_group(
        self,
        *,
        max: int | None = None,
        high: int | None = None,
        low: int = 0,
        min: int = 0,
        swap_max: int | None = None,
    ) -> int: ...
    def group(self, number: int) -> dict[str, int]: ...
    def add_guest(
        self,
        npfn: int,
        vmm_frames: int = 0,
        *,
        ram_frames: int | None = None,
        oom_score_adj: int = 0,
        group: int | None = None,
        slice: int | None = None,
    ) -> Backing: ...
    def admits(
        self,
        ram_frames: int,
        vmm_frames: int = 0,
        *,
        overcommit: int = 0,
        ratio: float = 0.5,
        reservation: float = 0.0,
    ) -> bool: ...
    def oom_victim(self) -> Backing | None: ...
    def oom_kill(self) -> Backing | None: ...
    def kswapd(self) -> float: ...
    def khugepaged(self) -> tuple[float, int]: ...
    def check(self) -> None: ...

class Backing:
    host: HostMemory
    def touch(
        self, pfn: int, npages: int = 1, *, writes: bool = True, overwrites: bool = False, disk: bool = False
    ) -> Touch: ...
    def discard(
        self, pfn: int, npages: int = 1, call_pages: int | None = None, *, running_vcpus: int = 0
    ) -> Discard: ...
    def reclaim(self, npages: int) -> tuple[int, float]: ...
    def free_lazily(
        self, pfn: int, npages: int = 1, call_pages: int | None = None, *, running_vcpus: int = 0
    ) -> Discard: ...
    def is_mapped(self, pfn: int) -> bool: ...
    def is_present(self, pfn: int) -> bool: ...
    def is_swapped(self, pfn: int) -> bool: ...
    def is_cached(self, pfn: int) -> bool: ...
    def slot(self, pfn: int) -> int | None: ...
    def block_state(self, block: int) -> BlockState: ...
    def remove(self) -> None: ...
    def start_migration(self, ram: Iterable[tuple[int, int]]) -> None:
        """Begin to migrate the guest while it runs: writes to it are tracked from now on."""

    def begin_round(self) -> int:
        """Synchronise the bitmap and begin a round; pages that it has to send."""

    def end_round(self) -> None:
        """The bitmap is about to be synchronised: hints count no more until the next round has begun."""

    @property
    def migration(self) -> dict[str, int]:
        """Pages of the migration under way: sent, read from swap, zero, skipped by hints, left in this round, written since."""

    def end_migration(self) -> None:
        """Stop tracking writes."""

    def check(self) -> None: ...
    @property
    def id(self) -> int: ...
    @property
    def is_attached(self) -> bool: ...
    @property
    def npfn(self) -> int: ...
    @property
    def rss_pages(self) -> int: ...
    @property
    def held_frames(self) -> int: ...
    @property
    def vmm_frames(self) -> int: ...
    @property
    def table_frames(self) -> tuple[int, int]: ...
    @property
    def huge_blocks(self) -> int: ...
    @property
    def lazy_pages(self) -> int: ...
    @property
    def deferred(self) -> tuple[int, int]: ...
    @property
    def swapped_pages(self) -> int: ...
    @property
    def swap_slots(self) -> int: ...
    @property
    def swap_cache_frames(self) -> int: ...
    @property
    def charged_frames(self) -> int: ...
    @property
    def stalls(self) -> dict[str, float]: ...
    @property
    def lru_pages(self) -> tuple[int, int]: ...
    @property
    def oom_badness(self) -> int: ...
    @property
    def counters(self) -> dict[str, int]: ...
    @property
    def map_bytes(self) -> int: ...

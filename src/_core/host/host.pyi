from collections.abc import Iterable

from hinting._core.costs import Costs
from hinting._core.host.ram import Backing
from hinting._core.host.watermark import Watermarks

__all__ = ["HostMemory", "vmm_memory_frames"]

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
        init_on_free: bool = False,
        oom_reap_ns: int = 0,
        hugepages: tuple[int, int] = ...,
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
    def pool(self) -> tuple[int, int, int, int]: ...
    @property
    def dying(self) -> int: ...
    @property
    def shared_frames(self) -> int: ...
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
        made_of: str = "anonymous",
        locked: bool = False,
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

"""A KVM host: memory that guests are backed from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NoReturn, get_args

from hinting._core.costs import Costs
from hinting._core.host.host import HostMemory
from hinting.costs import CostProfile
from hinting.costs import load as load_costs
from hinting.errors import HostError, SnapshotError
from hinting.kinds import items_of, of_kind
from hinting.policies.host import HostPolicy, find_policy
from hinting.units import PAGE_BYTES, parse_duration, parse_size, size_pages

__all__ = ["DEFAULT_BASE", "EFFECTS", "HUGEPAGE_SIZES", "Effect", "Host", "Limits", "pool_pages"]

#: Memory of the host's own system: kernel, daemons, page cache that stays. A parameter that the number of guests
#: hangs on; see the docs of the seed experiment.
DEFAULT_BASE = "0.95GiB"

#: What swapping behind a guest's back costs beside swapping; see docs/host.md.
Effect = Literal["silent-write", "stale-read", "false-read", "decayed-sequentiality", "false-anonymity"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)
#: Sizes of the pages of hugetlbfs, frames.
HUGEPAGE_SIZES = {"2MiB": 512, "1GiB": 262144}


def pool_pages(hugepages: int | str, size: str, most: int) -> tuple[int, int]:
    """(frames a page, pages) of a pool of huge pages; HostError or UnitError naming what is wrong. most: frames."""
    if size not in HUGEPAGE_SIZES:
        raise HostError(f"host hugepage_size must be one of {', '.join(HUGEPAGE_SIZES)}, got {size!r}")
    page = HUGEPAGE_SIZES[size]
    frames = parse_size(hugepages, "host hugepages") // PAGE_BYTES
    if frames % page:
        raise HostError(f"host hugepages must be whole pages of {size}, got {hugepages!r}")
    if frames > most:
        raise HostError(f"host hugepages: {hugepages!r} is more than the host has beside its base")
    return page, frames // page


def _refuse_unmodelled(lru: str, ksm: bool, zswap: bool, swap_device: str | None) -> None:
    """HostError for what other kernels and hosts have and this one does not model."""
    if lru != "two-list":
        known = "MGLRU is not modelled" if lru == "mglru" else "expected 'two-list'"
        raise HostError(f"host lru: {lru!r}: {known}; the host has the two-list LRU with a clock")
    if ksm:
        raise HostError("host ksm: merging of equal pages (KSM) is not modelled")
    if zswap:
        raise HostError("host zswap: compressed swap (zswap) is not modelled")
    if swap_device == "zram":
        raise HostError("host swap_device: 'zram': compressed swap (zram) is not modelled, expected nvme, sata or hdd")


@dataclass(frozen=True)
class Limits:
    """Limits of a memory cgroup (cgroup v2), each a size or None for no limit.

    max: charges beyond it reclaim in the group, then kill in it. high: beyond it the guest is slowed down. low, min:
    what reclaim by others leaves alone while it finds anything else, and always. swap_max: swap that it may use.
    """

    max: int | str | None = None
    high: int | str | None = None
    low: int | str = 0
    min: int | str = 0
    swap_max: int | str | None = None

    def __post_init__(self) -> None:
        limits = self.frames()
        for safe in ("min", "low"):
            amount, most = limits[safe], limits["max"]
            if amount is not None and most is not None and amount > most:
                raise HostError(f"limit {safe} must not be above max {self.max!r}, got {getattr(self, safe)!r}")

    def frames(self) -> dict[str, int | None]:
        """The same in frames; UnitError naming the limit."""
        return {
            name: None if value is None else parse_size(value, f"limit {name}") // PAGE_BYTES
            for name, value in vars(self).items()
        }


class Host:
    """Memory of a host in one node, with or without swap.

    memory: bytes or text such as "15837MiB". base: what the host itself needs. thp: guest RAM may be backed by huge
    pages (QEMU asks for them). fragmentation: share of huge frames that cannot be had, 0 to 1. seed: of those draws.
    costs: a cost profile. pt_reclaim: the host frees empty page tables when memory is discarded. khugepaged: blocks of
    small pages become huge again, 8 every 10 s; by default wherever there are huge pages.

    fragmentation_growth: what is added to it when as much memory as the host has was freed or swapped in page by page.
    thp_defrag: "madvise", a huge fault that finds nothing compacts first; or "defer", it falls back at once. init_on_free:
    memory is cleared when it is freed instead of when it is taken. hugepages: memory set aside in huge pages (hugetlbfs) of
    hugepage_size, "2MiB" or "1GiB", for guests that are backed by them. oom_reap: from a kill until the victim's memory is
    free. cpus: for the metric host_cpu_use only; nothing runs slower when they are all busy.

    swap: size of the swap device, bytes or text such as "8GiB"; 0 for none. swap_device: "nvme" (default), "sata" or
    "hdd", timed by the cost profile. swap_tails: read latencies have a tail. swappiness: vm.swappiness, 0 to 200.
    page_cluster: vm.page-cluster, log2 of the most pages read at once. page_cache: clean page cache beside `base` that
    reclaim may drop; needs swap. effects: what swapping behind the guests' backs costs, see docs/host.md. lru, ksm,
    zswap: what a kernel may also have and this host has not; anything but the default is refused. policy: what becomes of
    reports and who gives memory, a policy or the name of one; see hinting.policy.

    Raises HostError or UnitError naming the argument.

    >>> Host("15GiB").used_bytes() // 2**20
    972
    >>> Host("15GB", swap="8GiB", swap_device="sata").swap_bytes // 2**30
    8
    """

    def __init__(
        self,
        memory: int | str,
        *,
        base: int | str = DEFAULT_BASE,
        thp: bool = True,
        fragmentation: float = 0.1,
        fragmentation_growth: float = 0.0,
        thp_defrag: str = "madvise",
        init_on_free: bool = False,
        pt_reclaim: bool = False,
        khugepaged: bool | None = None,
        seed: int = 0,
        costs: CostProfile | None = None,
        swap: int | str = 0,
        swap_device: str | None = None,
        swap_tails: bool = False,
        swappiness: int = 60,
        page_cluster: int = 3,
        page_cache: int | str = 0,
        effects: Iterable[str] = EFFECTS,
        hugepages: int | str = 0,
        hugepage_size: str = "2MiB",
        oom_reap: int | str = "50ms",
        cpus: int | None = None,
        lru: str = "two-list",
        ksm: bool = False,
        zswap: bool = False,
        policy: HostPolicy | str | None = None,
    ) -> None:
        if swap_device is not None:
            of_kind(str, swap_device, "host swap_device", "a name", HostError)
        _refuse_unmodelled(lru, ksm, zswap, swap_device)
        self.costs = load_costs() if costs is None else of_kind(CostProfile, costs, "host costs", "a cost profile", HostError)
        frames = size_pages(memory, "host memory")
        self.policy = find_policy(policy) if isinstance(policy, str) else policy
        if self.policy is not None and not isinstance(self.policy, HostPolicy):
            raise HostError(f"host policy: expected a policy or the name of one, got {policy!r}")
        base_frames = -(-parse_size(base, "host base") // PAGE_BYTES)
        if base_frames >= frames:
            raise HostError(f"host memory: {memory!r} is smaller than the host's own needs (base {base!r})")
        if cpus is not None and (isinstance(cpus, bool) or not isinstance(cpus, int) or cpus < 1):
            raise HostError(f"host cpus must be a whole number, 1 or more, got {cpus!r}")
        self.cpus = cpus
        if thp_defrag not in ("madvise", "defer"):
            raise HostError(f"host thp_defrag must be madvise or defer, got {thp_defrag!r}")
        self.memory = HostMemory(
            frames,
            base_frames,
            costs=Costs(self.costs),
            fragmentation=fragmentation,
            seed=seed,
            thp=thp,
            fragmentation_growth=fragmentation_growth,
            thp_defrag=thp_defrag == "madvise",
            init_on_free=init_on_free,
            oom_reap_ns=parse_duration(oom_reap, "host oom_reap"),
            hugepages=pool_pages(hugepages, hugepage_size, frames - base_frames),
            pt_reclaim=pt_reclaim,
            khugepaged=thp if khugepaged is None else khugepaged,
            swap_frames=size_pages(swap, "host swap"),
            swap_device=swap_device,
            swap_tails=swap_tails,
            swappiness=swappiness,
            page_cluster=page_cluster,
            page_cache_frames=size_pages(page_cache, "host page cache"),
            effects=items_of(effects, "host effects", "a list of names", HostError),
        )

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SnapshotError("a host cannot be copied, pickled or saved: make a new one with the same arguments")

    def add_group(self, limits: Limits) -> int:
        """Make a memory cgroup: of a guest, or a slice that several guests share. Returns its number, for launches.

        limits: what the cgroup may have. Raises HostError or UnitError naming the limit that contradicts itself.
        """
        limits = of_kind(Limits, limits, "limits", "hinting.Limits", HostError)
        return self.memory.add_group(**limits.frames())  # type: ignore[arg-type]

    def used_bytes(self) -> int:
        """Memory in use: the host's own, and what guests, VMMs and page tables hold."""
        return (self.memory.frames_total - self.memory.frames_free) * PAGE_BYTES

    @property
    def memory_bytes(self) -> int:
        """All memory of the host."""
        return self.memory.frames_total * PAGE_BYTES

    @property
    def base_bytes(self) -> int:
        """What the host itself needs."""
        return self.memory.base_frames * PAGE_BYTES

    @property
    def swap_bytes(self) -> int:
        """Size of the swap device, 0 for none."""
        return self.memory.swap[0] * PAGE_BYTES

    @property
    def swap_used_bytes(self) -> int:
        """Swap in use: pages that live there, and copies of pages that came back and are still valid."""
        return self.memory.swap[1] * PAGE_BYTES

    def meminfo(self) -> dict[str, int]:
        """Memory by kind, bytes, named as in /proc/meminfo; HugePages_* are numbers of pages."""
        memory = self.memory
        page, total, free, reserved = memory.pool
        guests = memory.guests
        pools = sum(b.held_frames for b in guests if b.is_of_pool)
        frames = {
            "MemTotal": memory.frames_total,
            "MemFree": memory.frames_free,
            "SwapTotal": memory.swap[0],
            "SwapFree": memory.swap[0] - memory.swap[1],
            "SwapCached": sum(b.swap_cache_frames for b in guests),
            "AnonPages": sum(b.held_frames + b.vmm_frames for b in guests) - pools - memory.shared_frames,
            "Shmem": memory.shared_frames,
            "PageTables": sum(b.table_frames[0] for b in guests),
            "SecPageTables": sum(b.table_frames[1] for b in guests),
            "Hugepagesize": page,
        }
        pages = {"HugePages_Total": total, "HugePages_Free": free, "HugePages_Rsvd": reserved}
        return {name: amount * PAGE_BYTES for name, amount in frames.items()} | pages

    def vmstat(self) -> dict[str, int]:
        """Counters named as in /proc/vmstat."""
        return dict(self.memory.vmstat)

    def check(self) -> None:
        """Verify the accounting identity by a full recount; raises CheckError."""
        self.memory.check()

"""The state of a zone and of its per-CPU lists (Linux struct zone and struct per_cpu_pages)."""

from reference.constants import (
    HIGHATOMIC,
    ISOLATE,
    MAX_ORDER,
    MIGRATETYPES,
    PAGEBLOCK_ORDER,
    PCP_LISTS,
)

BOOSTED, RECLAIM_ACTIVE, BELOW_HIGH = 1, 2, 4  # zone flags
PREV_FREE_HIGH_ORDER, FREE_HIGH_BATCH = 1, 2  # flags of a CPU's lists


class Pcp:
    """Per-CPU page lists of one zone: pages free for their CPU, on no buddy list and not counted as free."""

    def __init__(self, kernel: str, spec: dict):
        self.lists = [[] for _ in range(PCP_LISTS[kernel])]
        self.cached = {}  # pfn -> migratetype remembered when the page came here (5.0, 6.1)
        self.count = 0  # pages, not blocks
        self.batch = spec["batch"]
        if kernel == "linux-6.12":
            self.high_min = spec["high_min"]
            self.high_max = spec["high_max"]
            self.high = 0
            self.alloc_factor = 0
            self.free_count = 0
            self.prev_free_high_order = False
            self.free_high_batch = False
        else:
            self.high = spec["high"]
        if kernel == "linux-6.1":
            self.free_factor = 0

    def state(self) -> dict:
        """All numbers by name; the flags of 6.12 as bits, see load_flags."""
        hidden = ("lists", "cached", "prev_free_high_order", "free_high_batch")
        numbers = {name: value for name, value in vars(self).items() if name not in hidden}
        if hasattr(self, "free_high_batch"):
            numbers["flags"] = PREV_FREE_HIGH_ORDER * self.prev_free_high_order + FREE_HIGH_BATCH * self.free_high_batch
        return numbers

    def load_flags(self, flags: int) -> None:
        """Set the flags of 6.12: 1 the last free was of a high order, 2 the CPU's cache holds many batches."""
        self.prev_free_high_order = bool(flags & PREV_FREE_HIGH_ORDER)
        self.free_high_batch = bool(flags & FREE_HIGH_BATCH)


class Zone:
    """One zone: free lists, watermarks, counters. Block types, movable bits and the log of hooks are shared by all zones."""

    def __init__(self, kernel: str, spec: dict, ncpus: int, block_types: list, movable: bytearray, log: list):
        self.kernel = kernel
        self.index = spec["index"]
        self.start = spec["start"]
        self.end = spec["end"]
        self.managed = spec["managed"]
        self.present = spec.get("present", self.managed)
        self.watermark = tuple(spec["watermark"])
        self.lowmem_reserve = tuple(spec["lowmem_reserve"])
        self.boost = spec.get("boost", 0)
        self.boost_factor = spec.get("boost_factor", 15000)
        self.boosted = False
        self.below_high = spec.get("below_high", False)
        self.reclaim_active = False
        self.nr_reserved_highatomic = spec.get("nr_reserved_highatomic", 0)
        self.threshold = spec["threshold"]
        self.counter = 0  # what watermark tests see
        self.diff = [0] * ncpus  # what each CPU has not yet added to the counter
        self.lists = {(order, mt): [] for order in range(MAX_ORDER + 1) for mt in MIGRATETYPES}
        self.free = {}  # head pfn of each free block -> (order, migratetype of its list)
        self.reported = set()  # heads of free blocks that were reported to the host
        self.isolated = {}  # pfn of each block taken out by isolate -> order
        self.used = {}  # pfn of each allocated block -> order
        self.loaded = 0  # pages ever given to the zone
        self.block_types = block_types
        self.movable = movable
        self.log = log
        self.pcps = [Pcp(kernel, spec) for _ in range(ncpus)]

    def is_5_0(self) -> bool:
        return self.kernel == "linux-5.0"

    def is_6_1(self) -> bool:
        return self.kernel == "linux-6.1"

    def is_6_12(self) -> bool:
        return self.kernel == "linux-6.12"

    def load_flags(self, flags: int) -> None:
        """Set the flags: 1 boosted, 2 kswapd is at work, 4 below the high watermark (6.12)."""
        self.boosted = bool(flags & BOOSTED)
        self.reclaim_active = bool(flags & RECLAIM_ACTIVE)
        self.below_high = bool(flags & BELOW_HIGH)

    def contains(self, pfn: int) -> bool:
        return self.start <= pfn < self.end

    def block_type(self, pfn: int) -> int:
        return self.block_types[pfn >> PAGEBLOCK_ORDER]

    def set_block_type(self, pfn: int, mt: int) -> None:
        self.block_types[pfn >> PAGEBLOCK_ORDER] = mt

    def has_isolated_blocks(self) -> bool:
        """Is any pageblock of the zone of type ISOLATE?"""
        first, last = self.start >> PAGEBLOCK_ORDER, (self.end - 1) >> PAGEBLOCK_ORDER
        return ISOLATE in self.block_types[first : last + 1]

    def free_pages(self) -> int:
        """Exact number of free pages; pages on ISOLATE lists do not count as free."""
        return sum(len(blocks) << order for (order, mt), blocks in self.lists.items() if mt != ISOLATE)

    def free_highatomic_pages(self) -> int:
        return sum(len(self.lists[order, HIGHATOMIC]) << order for order in range(MAX_ORDER + 1))

    def highatomic_pages(self) -> int:
        """What ordinary requests may not count on: the whole reserve, in 6.12 only its free pages."""
        return self.free_highatomic_pages() if self.is_6_12() else self.nr_reserved_highatomic

    def effective_watermark(self, index: int) -> int:
        return self.watermark[index] + self.boost

    def usable_counter(self) -> int:
        """The free-page counter as watermark tests see it."""
        return max(0, self.counter)

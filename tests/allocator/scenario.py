"""Small random guests: zones in which lists run empty, watermarks bite and pageblocks change hands all the time."""

from random import Random

from reference.boot import boot_blocks
from reference.constants import GFP, HIGHATOMIC, ISOLATE, MAX_ORDER, MOVABLE, RECLAIMABLE, UNMOVABLE

__all__ = ["Scenario", "gfp_kinds", "orders"]

GFP_KINDS = {
    "user": (("HIGHMEM", "MOVABLE", "DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS", "HARDWALL"), 8),
    "movable": (("MOVABLE", "DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS"), 2),
    "huge": (("HIGHMEM", "MOVABLE", "COMP", "NOMEMALLOC", "NOWARN", "IO", "FS"), 1),
    "kernel": (("DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS"), 6),
    "cache": (("DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS", "RECLAIMABLE", "WRITE"), 4),
    "nowait": (("KSWAPD_RECLAIM", "NOWARN"), 2),
    "silent": ((), 1),
    "atomic": (("HIGH", "ATOMIC", "KSWAPD_RECLAIM"), 3),
    "high": (("HIGH", "KSWAPD_RECLAIM", "COMP"), 1),
    "atomic, no reserves": (("HIGH", "ATOMIC", "KSWAPD_RECLAIM", "NOMEMALLOC"), 1),
    "accounted": (("DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS", "ACCOUNT"), 1),
    "swap-out": (("HIGH", "MEMALLOC", "DIRECT_RECLAIM", "KSWAPD_RECLAIM"), 1),
    "readahead": (("HIGHMEM", "MOVABLE", "DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "NORETRY", "NOWARN"), 1),
    "best effort": (("DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS", "RETRY_MAYFAIL"), 1),
    "never fails": (("DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "NOFAIL"), 1),
    "never fails, no reclaim": (("NOFAIL",), 1),
    "dma": (("DMA", "DIRECT_RECLAIM", "KSWAPD_RECLAIM"), 1),
    "dma32": (("DMA32", "DIRECT_RECLAIM", "KSWAPD_RECLAIM"), 1),
    "dma32 movable": (("DMA32", "MOVABLE", "DIRECT_RECLAIM"), 1),
}

ORDERS = (60, 9, 7, 6, 4, 3, 2, 2, 2, 4, 1)

LAYOUTS = ((0,), (1,), (2,), (2,), (0, 1), (1, 2), (1, 2), (2, 3), (0, 1, 2), (0, 1, 2, 3))


def gfp_kinds(kernel: str, random: Random) -> list[int]:
    """gfp numbers of a kernel, each about as often as its weight; every guest has its own favourites."""
    bits = GFP[kernel]
    kinds = []
    for names, weight in GFP_KINDS.values():
        favourite = 25 if "HIGH" in names else 5
        kinds += [sum(bits.get(name, 0) for name in names)] * (weight * random.choice((0, 1, 1, 1, favourite)))
    return kinds or [0]


def orders(random: Random) -> list[int]:
    """Orders of allocations, each about as often as its weight."""
    return [order for order, weight in enumerate(ORDERS) for _ in range(weight * random.choice((1, 1, 1, 1, 8)))]


class Scenario:
    """A guest and its initial free memory, drawn from a random generator."""

    def __init__(self, kernel: str, random: Random):
        self.kernel = kernel
        self.ncpus = random.choice((1, 1, 2))
        self.zones = self._zones(random)
        self.block_types = self._block_types(random)
        self.ranges = [block for zone in self.zones for block in self._ranges(random, zone)]
        self.to_tail = random.random() < 0.7

    def _zones(self, random):
        indices = random.choice(LAYOUTS)
        start = random.choice((0, 0, 1, 300, 1024))
        zones = []
        for index in indices:
            end = (start // 1024 + random.choice((1, 1, 2, 3, 8))) * 1024
            if index == indices[-1] and random.random() < 0.4:
                end -= random.randrange(1, 500)
            zones.append(self._zone(random, index, start, end, indices))
            start = end
        return zones

    def _zone(self, random, index, start, end, indices):
        batch = random.choice((1, 2, 3, 4, 7, 15, 31))
        low_mark = random.choice((0, 0, random.randrange(8, 250)))
        step = low_mark // 4 + random.choice((0, 1, 100, 400, 3000)) if low_mark else 0
        reserve = [random.randrange(80) if len(indices) > 1 and j > index else 0 for j in range(5)]
        zone = {
            "index": index,
            "start": start,
            "end": end,
            "managed": random.choice((end - start, end - start, 60_000 + random.randrange(50_000))),
            "watermark": (low_mark, low_mark + step, low_mark + 2 * step),
            "lowmem_reserve": reserve,
            "batch": batch,
            "threshold": random.choice((0, 2, 8, 24, 125)),
            "boost_factor": random.choice((0, 0, 15_000)),
            "boost": random.choice((0, 0, 0, random.randrange(600))),
        }
        through = batch == 1 and random.random() < 0.5
        high = 0 if through else batch * 6
        if self.kernel == "linux-5.0":
            return zone | {"high": high}
        high = 0 if through else batch * 4 + random.choice((0, 0, random.randrange(200)))
        if self.kernel == "linux-6.1":
            return zone | {"high": high}
        high_max = high + (0 if through else random.choice((0, 10, 100, 500)))
        return zone | {"high_min": high, "high_max": high_max, "below_high": random.random() < 0.2}

    def _block_types(self, random):
        """{first pfn in its zone of a pageblock: type} of those that are not MOVABLE."""
        types = {}
        choices = [MOVABLE] * 8 + [UNMOVABLE] * 4 + [RECLAIMABLE] * 3 + [HIGHATOMIC] + random.choice(([], [ISOLATE]))
        for zone in self.zones:
            for block in range(zone["start"] // 512 * 512, zone["end"], 512):
                mt = random.choice(choices)
                if mt != MOVABLE:
                    types[max(block, zone["start"])] = mt
        return types

    def _ranges(self, random, zone):
        """Free ranges: the zone without a few reserved holes."""
        at = zone["start"]
        for _ in range(random.choice((0, 0, 1, 3))):
            hole = random.randrange(at, zone["end"] + 1)
            if hole > at:
                yield at, hole
            at = min(zone["end"], hole + random.choice((1, 7, 64, 300)))
        if at < zone["end"]:
            yield at, zone["end"]

    def load(self, allocator) -> None:
        """Bring an empty allocator to the initial state."""
        for pfn, mt in self.block_types.items():
            allocator.set_block_type(pfn, mt)
        for start, end in self.ranges:
            for pfn, order in boot_blocks(start, end):
                # two pageblocks may differ in type, so none is loaded as one block
                for half in (pfn, pfn + 512) if order == MAX_ORDER else (pfn,):
                    allocator.add_free(half, min(order, 9), tail=self.to_tail)
        for cpu in range(self.ncpus):
            allocator.fold(cpu)

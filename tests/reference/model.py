"""The allocator as its callers see it: allocate, free, drain, isolate, and a look at every list."""

from reference import buddy, check, pcp
from reference.constants import (
    ISOLATE,
    KERNELS,
    MAX_ORDER,
    MIGRATETYPES,
    MOVABLE,
    PAGEBLOCK_ORDER,
    PAGEBLOCK_PAGES,
    PCP_ORDERS,
)
from reference.request import Request, allocate, allocate_bulk, unreserve_highatomic
from reference.zone import Zone


class Model:
    """Zones of one kernel. All pages start reserved, all pageblocks MOVABLE. No reclaim, no compaction.

    A zone is a dict: index, start, end, managed, watermark, lowmem_reserve, batch, high (6.12: high_min, high_max),
    threshold, and optionally present, boost, boost_factor, below_high, nr_reserved_highatomic.
    """

    def __init__(self, kernel: str, zones: list, ncpus: int = 1):
        if kernel not in KERNELS:
            raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
        self.kernel = kernel
        self.ncpus = ncpus
        self.npfn = max(spec["end"] for spec in zones)
        self._block_types = [MOVABLE] * (-(-self.npfn // PAGEBLOCK_PAGES))
        self._movable = bytearray(self.npfn)  # 1: page of a block that was allocated as MOVABLE
        self.log = []  # calls of the hooks: (name, cpu, pfn, order)
        self.kswapd_wakeups = 0
        self.allocstall = 0  # requests that failed where the kernel would have reclaimed
        self.zones = [Zone(kernel, spec, ncpus, self._block_types, self._movable, self.log) for spec in zones]

    # Loading a state

    def add_free(self, pfn: int, order: int, tail: bool = False, migratetype: int | None = None) -> None:
        """Give a reserved block to the buddy lists, merging it with its neighbours."""
        z = self._reserved_block(pfn, order)
        z.loaded += 1 << order
        mt = z.block_type(pfn) if migratetype is None else migratetype
        buddy.free_block(z, 0, pfn, order, mt, force_tail=tail)

    def insert_free(self, pfn: int, order: int, migratetype: int) -> None:
        """Append a reserved block to the tail of a free list as it is."""
        z = self._reserved_block(pfn, order)
        if migratetype not in MIGRATETYPES:
            raise ValueError(f"migratetype must be between 0 and 4, got {migratetype}")
        z.loaded += 1 << order
        buddy.insert(z, pfn, order, migratetype, tail=True)
        if migratetype != ISOLATE:
            z.counter += 1 << order

    def set_block_type(self, pfn: int, mt: int) -> None:
        if mt not in MIGRATETYPES:
            raise ValueError(f"migratetype must be between 0 and 4, got {mt}")
        self._zone_of(pfn)
        self._block_types[pfn >> PAGEBLOCK_ORDER] = mt

    def load_zone_state(self, zone: int, counter: int | None = None, boost: int | None = None, flags: int | None = None) -> None:
        """Set the free-page counter, the boost (pages) and flags (1 boosted, 2 kswapd at work, 4 below high)."""
        z = self._zone(zone)
        if counter is not None:
            z.counter = counter
        if boost is not None:
            z.boost = boost
        if flags is not None:
            z.load_flags(flags)

    def load_pcp_state(self, zone: int, cpu: int, state: dict) -> None:
        """Set fields of a CPU's lists by their names in pcp_state."""
        self._check_cpu(cpu)
        one = self._zone(zone).pcps[cpu]
        for name, value in state.items():
            if name == "flags":
                one.load_flags(value)
            elif name in one.state():
                setattr(one, name, value)
            else:
                raise ValueError(f"per-CPU state has no field {name!r}")

    # Allocating

    def alloc(self, order: int, gfp: int, cpu: int = 0) -> int:
        """Allocate one block; -1 if the kernel would fail or reclaim."""
        self._check_order(order)
        self._check_cpu(cpu)
        request = Request(self.kernel, self.zones, gfp)
        pfn = allocate(self.kernel, request, cpu, order)
        self._count(request)
        if pfn is None:
            return -1
        self._mark_used(pfn, order, request.mt, cpu)
        return pfn

    def alloc_reclaiming_from(self, order: int, gfp: int, pages: list, cpu: int = 0, others: list = ()) -> tuple:
        """As alloc where direct reclaim finds these used single pages, 32 a round; others free a list a vain round.

        Returns the pfn or -1, how many of `pages` were freed, and the rounds that found nothing.
        """
        self._check_order(order)
        self._check_cpu(cpu)
        request = Request(self.kernel, self.zones, gfp)
        rest = list(pages)
        in_vain = 0

        def reclaim():
            nonlocal in_vain
            if rest:
                found = rest[:32]
                del rest[:32]
                self.free_list(found, cpu)
                return True
            if in_vain < len(others):
                for at in range(0, len(others[in_vain]), 32):
                    self.free_list(others[in_vain][at : at + 32], cpu)
            in_vain += 1
            return False

        pfn = allocate(self.kernel, request, cpu, order, reclaim)
        self._count(request)
        if pfn is not None:
            self._mark_used(pfn, order, request.mt, cpu)
        return -1 if pfn is None else pfn, len(pages) - len(rest), in_vain

    def bulk(self, gfp: int, n: int, cpu: int = 0) -> list:
        """Allocate up to n single pages through the bulk interface (6.1, 6.12)."""
        if self.kernel == "linux-5.0":
            raise ValueError("linux-5.0 has no bulk interface")
        if n < 0:
            raise ValueError(f"n must not be negative, got {n}")
        self._check_cpu(cpu)
        if n == 0:
            return []
        request = Request(self.kernel, self.zones, gfp)
        pages = []

        def hand_out(pfn):
            self._mark_used(pfn, 0, request.mt, cpu)
            pages.append(pfn)

        allocate_bulk(self.kernel, request, cpu, n, hand_out)
        self._count(request)
        return pages

    def _count(self, request):
        self.kswapd_wakeups += request.wakeups
        self.allocstall += request.stalled

    # Freeing

    def free(self, pfn: int, order: int, cpu: int = 0) -> None:
        self._check_cpu(cpu)
        z = self._unmark_used(pfn, order, cpu)
        self._put(z, cpu, pfn, order, z.block_type(pfn))

    def free_list(self, pfns: list, cpu: int = 0) -> None:
        """Free single pages together: 5.0 and 6.1 read all block types before the first page is put."""
        self._check_cpu(cpu)
        pfns = [int(pfn) for pfn in pfns]
        for pfn in pfns:
            self._used_block(pfn, 0)
        if len(set(pfns)) != len(pfns):
            raise ValueError("a page is twice on the list")
        prepared = []
        for pfn in pfns:
            z = self._unmark_used(pfn, 0, cpu)
            mt = z.block_type(pfn)
            if mt == ISOLATE and self.kernel != "linux-6.12":
                self._put(z, cpu, pfn, 0, mt)
            else:
                prepared.append((z, pfn, mt))
        for z, pfn, mt in prepared:
            self._put(z, cpu, pfn, 0, z.block_type(pfn) if self.kernel == "linux-6.12" else mt)

    def _put(self, z, cpu, pfn, order, mt):
        if order in PCP_ORDERS[self.kernel] and mt != ISOLATE:
            pcp.pcp_put(z, cpu, pfn, order, mt)
        elif self.kernel == "linux-6.12" and order == MAX_ORDER:
            for half in (pfn, pfn + PAGEBLOCK_PAGES):
                buddy.free_block(z, cpu, half, PAGEBLOCK_ORDER, z.block_type(half))
        else:
            buddy.free_block(z, cpu, pfn, order, mt)

    def split(self, pfn: int, order: int) -> None:
        """Turn an allocated block into allocated single pages."""
        z = self._used_block(pfn, order)
        del z.used[pfn]
        for page in range(pfn, pfn + (1 << order)):
            z.used[page] = 0

    # Maintenance

    def drain(self, cpu: int | None = None) -> None:
        """Return the per-CPU pages of one CPU, or of all CPUs in ascending order."""
        for one in range(self.ncpus) if cpu is None else [cpu]:
            self.drain_remote(one, one)

    def drain_remote(self, cpu: int, by: int) -> None:
        """Return the per-CPU pages of one CPU, done by another one."""
        self._check_cpu(cpu)
        self._check_cpu(by)
        for z in self.zones:
            pcp.drain_zone(z, cpu, by)

    def decay(self, cpu: int) -> None:
        """One step of the periodic shrinking of the per-CPU lists (6.12)."""
        if self.kernel != "linux-6.12":
            raise ValueError(f"{self.kernel} has no periodic decay")
        self._check_cpu(cpu)
        for z in self.zones:
            pcp.decay(z, cpu)

    def fold(self, cpu: int) -> None:
        """Add what the CPU holds back to the free-page counters."""
        self._check_cpu(cpu)
        for z in self.zones:
            z.counter += z.diff[cpu]
            z.diff[cpu] = 0

    def isolate(self, pfn: int, order: int) -> bool:
        """Take a free block out of the allocator; False if the min watermark forbids it."""
        self._check_order(order)
        z = self._zone_of(pfn)
        if not buddy.is_free_block(z, pfn, order):
            raise ValueError(f"pfn {pfn} does not head a free block of order {order}")
        if not buddy.isolate(z, 0, pfn, order):
            return False
        z.isolated[pfn] = order
        return True

    def putback(self, pfn: int, order: int) -> None:
        z = self._zone_of(pfn)
        if z.isolated.get(pfn) != order:
            raise ValueError(f"pfn {pfn} is not an isolated block of order {order}")
        del z.isolated[pfn]
        buddy.putback(z, 0, pfn, order)

    def mark_reported(self, pfn: int, order: int) -> None:
        """Note that a free block was reported to the host; nothing happens if it is no longer one of this order."""
        z = self._zone_of(pfn)
        if buddy.is_free_block(z, pfn, order):
            z.reported.add(pfn)

    def unreserve_highatomic(self, zone: int, migratetype: int, force: bool, cpu: int) -> bool:
        """Give a pageblock of the highatomic reserve back; whether free pages moved."""
        return unreserve_highatomic(self._zone(zone), cpu, migratetype, force)

    def rotate_to_front(self, pfn: int, order: int) -> None:
        """Make a free block the first of its list."""
        z = self._zone_of(pfn)
        if not buddy.is_free_block(z, pfn, order):
            raise ValueError(f"pfn {pfn} does not head a free block of order {order}")
        buddy.rotate(z, pfn)

    # Looking

    def free_lists(self) -> dict:
        """{(zone index, order, migratetype): [pfns from head to tail]}, without empty lists."""
        return {(z.index, *key): list(blocks) for z in self.zones for key, blocks in z.lists.items() if blocks}

    def reported(self) -> set:
        """First pfns of all free blocks that carry the reported mark."""
        return set().union(*(z.reported for z in self.zones))

    def pcp_lists(self) -> dict:
        """{(zone index, cpu, list index): [pfns from head to tail]}, without empty lists."""
        return {
            (z.index, cpu, index): list(blocks)
            for z in self.zones
            for cpu, one in enumerate(z.pcps)
            for index, blocks in enumerate(one.lists)
            if blocks
        }

    def pcp_state(self, zone: int, cpu: int) -> dict:
        self._check_cpu(cpu)
        z = self._zone(zone)
        return z.pcps[cpu].state() | {"diff": z.diff[cpu]}

    def block_types(self) -> list:
        return list(self._block_types)

    def zone_state(self, zone: int) -> dict:
        z = self._zone(zone)
        return {
            "free": z.free_pages(),
            "counter": z.counter,
            "boost": z.boost,
            "nr_reserved_highatomic": z.nr_reserved_highatomic,
            "nr_free_highatomic": z.free_highatomic_pages(),
            "boosted": z.boosted,
            "below_high": z.below_high,
            "reclaim_active": z.reclaim_active,
        }

    def check(self) -> None:
        """Raise AssertionError if the state contradicts itself."""
        for z in self.zones:
            check.check_zone(z)

    # Pages and arguments

    def _zone(self, index):
        for z in self.zones:
            if z.index == index:
                return z
        raise ValueError(f"there is no zone {index}")

    def _zone_of(self, pfn):
        for z in self.zones:
            if z.contains(pfn):
                return z
        raise ValueError(f"pfn {pfn} is in no zone")

    def _check_order(self, order):
        if not 0 <= order <= MAX_ORDER:
            raise ValueError(f"order must be between 0 and {MAX_ORDER}, got {order}")

    def _check_cpu(self, cpu):
        if not 0 <= cpu < self.ncpus:
            raise ValueError(f"cpu must be between 0 and {self.ncpus - 1}, got {cpu}")

    def _reserved_block(self, pfn, order):
        """The zone of a block of reserved pages."""
        self._check_order(order)
        z = self._zone_of(pfn)
        if pfn % (1 << order):
            raise ValueError(f"pfn {pfn} is not aligned for order {order}")
        if pfn + (1 << order) > z.end:
            raise ValueError(f"block {pfn} of order {order} leaves its zone")
        check.require_reserved(z, pfn, order)
        return z

    def _used_block(self, pfn, order):
        """The zone of an allocated block."""
        self._check_order(order)
        z = self._zone_of(pfn)
        if pfn % (1 << order):
            raise ValueError(f"pfn {pfn} is not aligned for order {order}")
        if z.used.get(pfn) != order:
            raise ValueError(f"pfn {pfn} is not an allocated block of order {order}")
        return z

    def _mark_used(self, pfn, order, mt, cpu):
        self._zone_of(pfn).used[pfn] = order
        if mt == MOVABLE:
            self._movable[pfn : pfn + (1 << order)] = b"\1" * (1 << order)
        self.log.append(("alloc", cpu, pfn, order))

    def _unmark_used(self, pfn, order, cpu):
        z = self._used_block(pfn, order)
        self.log.append(("free", cpu, pfn, order))
        del z.used[pfn]
        self._movable[pfn : pfn + (1 << order)] = bytes(1 << order)
        return z

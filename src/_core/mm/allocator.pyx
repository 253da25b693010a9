"""The guest's page allocator for Python: requests, frees, isolation, state in and out.

Every method checks its arguments and raises PageError before anything changes. Pages are page frame numbers (pfn),
orders are powers of two of 4 KiB pages, gfp values are in the numbering of the emulated kernel.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

import numpy as np

from hinting.errors import KernelError, PageError

from hinting._core.common cimport (
    MAX_BLOCK_PAGES,
    MAX_CPUS,
    MAX_ORDER,
    MT_ISOLATE,
    NO_PFN,
    NR_MIGRATETYPES,
    NR_ORDERS,
    NR_RESERVES,
    NR_ZONES,
    PAGEBLOCK_ORDER,
    PAGEBLOCK_PAGES,
    pfn_t,
)
from hinting._core.kernel cimport PCP_AUTO_TUNED, Kernel, kernel_t
from hinting._core.mm.alloc cimport alloc_bulk, alloc_pages, free_list, free_pages, split_used
from hinting._core.mm.arrays cimport empty_lists, map_arrays, unmap_arrays
from hinting._core.mm.buddy cimport (
    FPI_NONE, FPI_SKIP_REPORT_NOTIFY, FPI_TO_TAIL, account_list, free_block, isolate, list_add, put_back)
from hinting._core.mm.counter cimport fold, free_exact, pcp_of
from hinting._core.mm.pages cimport (
    TAG_ISOLATED, TAG_KIND, TAG_MOVABLE, TAG_ORDER, TAG_PREPARED, TAG_REPORTED, TAG_USED, block_type, covering,
    links_of, list_head, pfn_of_node, tag_get, tag_is_buddy, tag_is_pcp, tag_is_used, tag_set, zone_of)
from hinting._core.mm.pcp cimport decay_pcp_high, drain_cpu, mark_pcp, pindex_order, ring_at, ring_push_tail
from hinting._core.mm.state cimport (
    MM_NO_MEMORY, MM_STRATEGY, WM_HIGH, WM_LOW, WM_MIN, ZONE_BELOW_HIGH, ZONE_BOOSTED, ZONE_RECLAIM_ACTIVE, link_t,
    pcp_t, zone_t)
from hinting._core.mm.times cimport times_free


def _integer(name, value, low, high):
    """value as an int within [low, high], else PageError naming it."""
    try:
        number = value.__index__()
    except AttributeError:
        raise PageError(f"{name} must be an integer, got {value!r}") from None
    if not low <= number <= high:
        raise PageError(f"{name} must be between {low} and {high}, got {number}")
    return number


def _describe(uint8_t tag):
    if tag_is_buddy(tag):
        return f"free (a block of order {tag & TAG_ORDER})"
    if tag_is_used(tag):
        return f"allocated (a block of order {tag & TAG_ORDER})"
    if tag_is_pcp(tag):
        return "free (on a per-CPU list)"
    if (tag & TAG_KIND) == TAG_ISOLATED:
        return f"isolated (a block of order {tag & TAG_ORDER})"
    if (tag & TAG_KIND) == TAG_PREPARED:
        return "being freed"
    return "not memory of this guest"


cdef class Allocator:
    """Zones, free lists and per-CPU page lists of one guest, empty at first: all pages are outside the allocator.

    kernel: a profile (hinting.kernels.load). zones: one mapping a zone with the keys index (0 DMA, 1 DMA32, 2 Normal,
    3 Movable), start, end (pfns), managed (pages), watermark (min, low, high; pages), lowmem_reserve (5 values,
    pages), batch, high (or high_min and high_max), threshold (pages), and optionally present, boost, boost_factor.
    ncpus: CPUs with page lists of their own, 1 to 256.
    """

    def __cinit__(self, Kernel kernel not None, zones, int ncpus=1):
        self.kernel = kernel
        self.m.k = kernel.k

    def __init__(self, Kernel kernel, zones, int ncpus=1):
        cdef int i
        if not 1 <= ncpus <= MAX_CPUS:
            raise PageError(f"ncpus must be between 1 and {MAX_CPUS}, got {ncpus}")
        zones = list(zones)
        if not zones:
            raise PageError("zones: at least one zone is needed, got none")
        npfn = max(zone["end"] for zone in zones)
        if not 0 < npfn <= 1 << 31:
            raise PageError(f"zones: the last page frame must be between 1 and 2^31, got {npfn}")
        self.m.ncpus = ncpus
        self.m.npfn = npfn
        if not map_arrays(&self.m):
            raise MemoryError(f"no address space for a guest of {npfn} page frames")
        for i in range(NR_ZONES):
            self.m.zone[i].index = i
        for zone in zones:
            self._set_zone(zone)
        empty_lists(&self.m)

    def __dealloc__(self):
        unmap_arrays(&self.m)
        times_free(self.m.times)

    cdef zone_t *zone_at(self, pfn_t pfn) noexcept nogil:
        return zone_of(&self.m, pfn)

    def _set_zone(self, zone):
        cdef int i = _integer("zone index", zone["index"], 0, NR_ZONES - 1)
        cdef zone_t *z = &self.m.zone[i]
        cdef int k, cpu
        cdef pcp_t *p
        z.start = zone["start"]
        z.end = zone["end"]
        if not z.start < z.end:
            raise PageError(f"zone {i}: end must be above start, got [{z.start}, {z.end})")
        for other in range(NR_ZONES):
            if other != i and self.m.zone[other].end and not (
                    self.m.zone[other].end <= z.start or z.end <= self.m.zone[other].start):
                raise PageError(f"zone {i}: [{z.start}, {z.end}) overlaps zone {other}")
            if self.m.zone[other].end == z.start and z.start % MAX_BLOCK_PAGES:
                raise PageError(f"zone {i}: start {z.start} borders on a zone and must be a multiple of 1024")
        z.managed = zone["managed"]
        z.present = zone.get("present", zone["managed"])
        z.populated = z.managed > 0
        for k in range(3):
            z.watermark[k] = zone["watermark"][k]
        for k in range(NR_RESERVES):
            z.lowmem_reserve[k] = zone["lowmem_reserve"][k]
        z.boost = zone.get("boost", 0)
        z.boost_factor = zone.get("boost_factor", 15000)
        z.threshold = zone["threshold"]
        z.flags = ZONE_BELOW_HIGH if zone.get("below_high", False) else 0
        z.nr_reserved_highatomic = zone.get("nr_reserved_highatomic", 0)
        for cpu in range(self.m.ncpus):
            p = pcp_of(&self.m, z, cpu)
            p.batch = zone["batch"]
            p.high_min = zone.get("high_min", 0)
            p.high_max = zone.get("high_max", p.high_min)
            p.high = zone.get("high", 0)

    # -- pages in and out --------------------------------------------------------------------------------------

    cdef pfn_t _block(self, pfn, int order) except? 0xFFFFFFFE:
        """pfn as the first page of a block of this order inside a zone."""
        cdef zone_t *z
        first = _integer("pfn", pfn, 0, self.m.npfn - 1)
        if first & ((1 << order) - 1):
            raise PageError(f"pfn {first} is not aligned to order {order}: expected a multiple of {1 << order}")
        z = zone_of(&self.m, first)
        if z == NULL or first + (1 << order) > z.end:
            raise PageError(f"pfn {first} (order {order}) is not inside a zone of this guest")
        return first

    def _order(self, order):
        return _integer("order", order, 0, MAX_ORDER)

    def _gfp(self, gfp):
        """gfp as a number that no kernel would refuse: at most one zone by name, at most one kind of mobility."""
        cdef uint32_t bits = _integer("gfp", gfp, 0, 0xFFFFFFFF)
        cdef const kernel_t *k = &self.m.k
        if (bits & k.gfp_dma != 0) + (bits & k.gfp_dma32 != 0) + (bits & k.gfp_highmem != 0) > 1:
            raise PageError(f"gfp must name at most one of the zones DMA, DMA32 and HIGHMEM, got {bits:#x}")
        if bits & k.gfp_movable and bits & k.gfp_reclaimable:
            raise PageError(f"gfp must be MOVABLE or RECLAIMABLE or neither, got both in {bits:#x}")
        return bits

    def _cpu(self, cpu):
        return _integer("cpu", cpu, 0, self.m.ncpus - 1)

    cdef int _used(self, pfn_t pfn, int order) except -1:
        """Raise unless (pfn, order) is an allocated block."""
        cdef uint8_t tag = tag_get(&self.m, pfn, order)
        cdef pfn_t head = NO_PFN
        if tag_is_used(tag) and (tag & TAG_ORDER) == order:
            return 0
        tag = covering(&self.m, pfn, &head)
        what = _describe(tag)
        if tag_is_used(tag) and head != pfn:
            what += f" that begins at {head}"
        raise PageError(f"pfn {pfn} of order {order} cannot be freed: expected an allocated block of this order, "
                        f"it is {what}")

    cdef int _absent(self, pfn_t pfn, int order) except -1:
        """Raise unless none of these pages is in the allocator."""
        cdef pfn_t head = NO_PFN
        cdef uint8_t tag
        cdef pfn_t at
        for at in range(pfn, pfn + (<pfn_t>1 << order)):
            tag = covering(&self.m, at, &head)
            if tag:
                raise PageError(f"pfn {at} is in the allocator already: {_describe(tag)}")
        return 0

    cdef int _no_error(self) except -1:
        if self.m.error == MM_NO_MEMORY:
            self.m.error = 0
            raise MemoryError("a per-CPU page list could not grow")
        if self.m.error == MM_STRATEGY:
            self.m.error = 0
            raise self.hook_owner.fault_error()
        return 0

    def raise_errors(self):
        """Raise what went wrong inside and was not raised yet: a strategy that was stopped, or no memory."""
        self._no_error()

    def add_free(self, pfn, order, tail=False, migratetype=None):
        """Hand a block to the allocator: it enters the free lists and merges. migratetype: its pageblock's if None."""
        cdef int o = self._order(order)
        cdef pfn_t first = self._block(pfn, o)
        cdef int mt = block_type(&self.m, first) if migratetype is None else _integer(
            "migratetype", migratetype, 0, NR_MIGRATETYPES - 1)
        self._absent(first, o)
        free_block(&self.m, zone_of(&self.m, first), 0, first, o, mt, FPI_TO_TAIL if tail else FPI_NONE)
        self._no_error()

    def insert_free(self, pfn, order, migratetype):
        """Append a block to the tail of a free list as it is, without merging: to load a given state."""
        cdef int o = self._order(order)
        cdef pfn_t first = self._block(pfn, o)
        cdef int mt = _integer("migratetype", migratetype, 0, NR_MIGRATETYPES - 1)
        cdef zone_t *z = zone_of(&self.m, first)
        self._absent(first, o)
        account_list(&self.m, z, 0, <int64_t>1 << o, mt)
        list_add(&self.m, z, first, o, mt, True)

    def alloc(self, order, gfp, cpu=0):
        """First pfn of an allocated block of 2^order pages, -1 if the kernel would have to reclaim or fails."""
        cdef int o = self._order(order)
        cdef int c = self._cpu(cpu)
        cdef uint32_t bits = self._gfp(gfp)
        cdef pfn_t pfn
        with nogil:
            pfn = alloc_pages(&self.m, c, o, bits)
        self._no_error()
        return -1 if pfn == NO_PFN else pfn

    def bulk(self, gfp, n, cpu=0):
        """pfns of up to n single pages by the bulk interface (6.x).

        Raises KernelError for a kernel without it.
        """
        cdef int c = self._cpu(cpu)
        cdef uint32_t bits = self._gfp(gfp)
        cdef int64_t wanted = _integer("n", n, 0, 1 << 24)
        cdef pfn_t[::1] out
        cdef int64_t got
        if not self.m.k.has_bulk:
            raise KernelError(f"{self.kernel.name} has no bulk interface")
        if wanted == 0:
            return []
        array = np.empty(wanted, np.uint32)
        out = array
        with nogil:
            got = alloc_bulk(&self.m, c, bits, wanted, &out[0])
        self._no_error()
        return array[:got].tolist()

    def free(self, pfn, order, cpu=0):
        """Free an allocated block.

        Raises PageError, with nothing changed, unless (pfn, order) is one.
        """
        cdef int o = self._order(order)
        cdef int c = self._cpu(cpu)
        cdef pfn_t first = self._block(pfn, o)
        self._used(first, o)
        with nogil:
            free_pages(&self.m, c, first, o)
        self._no_error()

    def free_list(self, pfns, cpu=0):
        """Free single pages as one list: all pass the free hook before any reaches a per-CPU list."""
        cdef int c = self._cpu(cpu)
        cdef int64_t i
        cdef pfn_t[::1] pages
        cdef uint8_t[::1] types
        array = np.asarray([self._block(pfn, 0) for pfn in pfns], np.uint32)
        if array.size == 0:
            return
        if np.unique(array).size != array.size:
            raise PageError("free_list: a page occurs twice in the list")
        pages = array
        types = np.empty(array.size, np.uint8)
        for i in range(pages.shape[0]):
            self._used(pages[i], 0)
        with nogil:
            free_list(&self.m, c, &pages[0], pages.shape[0], &types[0])
        self._no_error()

    def split(self, pfn, order):
        """Make 2^order allocated single pages of an allocated block, to be freed one by one."""
        cdef int o = self._order(order)
        cdef pfn_t first = self._block(pfn, o)
        self._used(first, o)
        split_used(&self.m, first, o)

    def drain(self, cpu=None):
        """Empty the per-CPU lists of one CPU, or of all CPUs in ascending order."""
        cdef int c
        for number in range(self.m.ncpus) if cpu is None else [self._cpu(cpu)]:
            c = number
            drain_cpu(&self.m, c, c)
        self._no_error()

    def decay(self, cpu):
        """The once-a-second decay of a CPU's page lists (6.12)."""
        cdef int c = self._cpu(cpu)
        cdef int i
        if self.m.k.pcp_tuning != PCP_AUTO_TUNED:
            raise KernelError(f"{self.kernel.name} has no decay of per-CPU lists")
        for i in range(NR_ZONES):
            if self.m.zone[i].populated:
                decay_pcp_high(&self.m, &self.m.zone[i], c)
        self._no_error()

    def fold(self, cpu):
        """Move a CPU's counter differences into the zones' counters."""
        fold(&self.m, self._cpu(cpu))

    def isolate(self, pfn, order):
        """Take a free block of exactly this order off its list; False if the min watermark forbids it."""
        cdef int o = self._order(order)
        cdef pfn_t first = self._block(pfn, o)
        cdef pfn_t head = NO_PFN
        cdef uint8_t tag = tag_get(&self.m, first, o)
        if not (tag_is_buddy(tag) and (tag & TAG_ORDER) == o):
            tag = covering(&self.m, first, &head)
            raise PageError(f"pfn {first} of order {o} cannot be isolated: expected a free block of this order, "
                            f"it is {_describe(tag)}")
        return bool(isolate(&self.m, zone_of(&self.m, first), 0, first, o))

    def putback(self, pfn, order):
        """Return an isolated block to the tail of its list, merging it."""
        cdef int o = self._order(order)
        cdef pfn_t first = self._block(pfn, o)
        cdef pfn_t head = NO_PFN
        if tag_get(&self.m, first, o) != (TAG_ISOLATED | o):
            raise PageError(f"pfn {first} of order {o} cannot be put back: expected an isolated block of this order, "
                            f"it is {_describe(covering(&self.m, first, &head))}")
        put_back(&self.m, zone_of(&self.m, first), 0, first, o, FPI_TO_TAIL | FPI_SKIP_REPORT_NOTIFY)

    def set_block_type(self, pfn, migratetype):
        """Set the migratetype of the pageblock of pfn. Free blocks stay on the lists that they are on."""
        cdef pfn_t first = _integer("pfn", pfn, 0, self.m.npfn - 1)
        cdef int mt = _integer("migratetype", migratetype, 0, NR_MIGRATETYPES - 1)
        cdef zone_t *z = zone_of(&self.m, first)
        if z != NULL:
            z.nr_isolated_blocks += (mt == MT_ISOLATE) - (block_type(&self.m, first) == MT_ISOLATE)
        self.m.pageblock[first >> PAGEBLOCK_ORDER] = <uint8_t>mt

    # -- state in bulk -----------------------------------------------------------------------------------------

    def load_free(self, int zone, int order, int migratetype, const pfn_t[::1] pfns, const uint8_t[::1] reported):
        """Append blocks to one free list in the order given, head first, with their reported marks."""
        cdef zone_t *z = &self.m.zone[zone]
        cdef int64_t i
        for i in range(pfns.shape[0]):
            self._block(pfns[i], order)
            self._absent(pfns[i], order)
            list_add(&self.m, z, pfns[i], order, migratetype, True)
            if migratetype == 3:
                z.nr_free_highatomic += <int64_t>1 << order
            if reported[i]:
                tag_set(&self.m, pfns[i], order, TAG_REPORTED)

    def load_isolated(self, pfn, order):
        """Make a block one that is isolated: outside the lists and not counted."""
        cdef int o = self._order(order)
        cdef pfn_t first = self._block(pfn, o)
        self._absent(first, o)
        tag_set(&self.m, first, o, TAG_ISOLATED)
        self.m.isolated += <int64_t>1 << o

    def load_pcp(self, int zone, int cpu, int index, const pfn_t[::1] pfns, const uint8_t[::1] migratetypes):
        """Append pages to one per-CPU list in the order given, with their cached migratetypes (5.0, 6.1)."""
        cdef pcp_t *p = pcp_of(&self.m, &self.m.zone[zone], cpu)
        cdef int order = pindex_order(index)
        cdef int64_t i
        cdef int mt
        for i in range(pfns.shape[0]):
            self._block(pfns[i], order)
            self._absent(pfns[i], order)
            mt = block_type(&self.m, pfns[i]) if self.m.k.strict_types else migratetypes[i]
            if mt >= MT_ISOLATE:
                raise PageError(f"pfn {pfns[i]} cannot be on a per-CPU list with migratetype {mt}")
            if not ring_push_tail(&self.m, &p.list[index], pfns[i]):
                raise MemoryError("a per-CPU page list could not grow")
            mark_pcp(&self.m, pfns[i], order, mt)
            p.count += <int64_t>1 << order

    def load_used(self, const uint8_t[::1] memory):
        """Make every page with memory[pfn] != 0 that is on no list an allocated single page; 2 = counts as movable."""
        cdef pfn_t at = 0, head
        cdef uint8_t tag
        with nogil:
            while at < self.m.npfn:
                tag = covering(&self.m, at, &head)
                if tag:
                    at = head + (<pfn_t>1 << (tag & TAG_ORDER))
                    continue
                if memory[at]:
                    self.m.tag[at] = TAG_USED | (TAG_MOVABLE if memory[at] == 2 else 0)
                at += 1

    def load_pageblocks(self, const uint8_t[::1] types):
        """Migratetypes of all pageblocks from pfn 0 on."""
        cdef int64_t i
        for i in range(min(types.shape[0], 2 * self.m.nblocks)):
            self.m.pageblock[i] = types[i]

    def load_pcp_state(self, int zone, int cpu, state):
        """Set fields of one per-CPU page set: high, high_min, high_max, batch, free_factor, alloc_factor, ..., diff."""
        cdef pcp_t *p = pcp_of(&self.m, &self.m.zone[zone], self._cpu(cpu))
        for name, value in state.items():
            if name == "high":
                p.high = value
            elif name == "high_min":
                p.high_min = value
            elif name == "high_max":
                p.high_max = value
            elif name == "batch":
                p.batch = value
            elif name == "free_factor":
                p.free_factor = value
            elif name == "alloc_factor":
                p.alloc_factor = value
            elif name == "free_count":
                p.free_count = value
            elif name == "flags":
                p.flags = value
            elif name == "diff":
                p.diff = value
            else:
                raise PageError(f"per-CPU state has no field {name!r}")

    def load_zone_state(self, int zone, counter=None, boost=None, flags=None, nr_isolated_blocks=None):
        """Set the free-page counter (pages), boost (pages) and flags (1 boosted, 2 reclaim active, 4 below high)."""
        cdef zone_t *z = &self.m.zone[_integer("zone", zone, 0, NR_ZONES - 1)]
        if counter is not None:
            z.counter = counter
        if boost is not None:
            z.boost = boost
        if flags is not None:
            z.flags = flags
        if nr_isolated_blocks is not None:
            z.nr_isolated_blocks = nr_isolated_blocks

    # -- state out ---------------------------------------------------------------------------------------------

    @property
    def npfn(self):
        """One past the last page frame."""
        return self.m.npfn

    @property
    def ncpus(self):
        """CPUs with page lists of their own."""
        return self.m.ncpus

    @property
    def kswapd_wakeups(self):
        """How often kswapd was woken."""
        return self.m.kswapd_wakeups

    @property
    def allocstall(self):
        """Requests that failed where the kernel would have reclaimed directly."""
        return self.m.allocstall

    def zones(self):
        """Indices of the populated zones, ascending."""
        return [i for i in range(NR_ZONES) if self.m.zone[i].populated]

    def free_list_array(self, int zone, int order, int migratetype):
        """pfns of one free list from head to tail, uint32."""
        cdef link_t *links = links_of(&self.m, order)
        cdef uint32_t head = list_head(&self.m, zone, migratetype, order)
        cdef uint32_t node = links[head].next
        cdef int64_t n = 0
        cdef pfn_t[::1] out
        while node != head:
            n += 1
            node = links[node].next
        array = np.empty(n, np.uint32)
        out = array
        node = links[head].next
        n = 0
        while node != head:
            out[n] = pfn_of_node(node, order)
            n += 1
            node = links[node].next
        return array

    def reported_array(self, const pfn_t[::1] pfns, int order):
        """For each free block of this order, whether it carries the reported mark."""
        return np.array([(tag_get(&self.m, pfn, order) & TAG_KIND) == TAG_REPORTED for pfn in pfns], bool)

    def free_lists(self):
        """{(zone, order, migratetype): [pfn, ...] head first}, without empty lists."""
        return {
            (z, o, mt): self.free_list_array(z, o, mt).tolist()
            for z in self.zones() for o in range(NR_ORDERS) for mt in range(NR_MIGRATETYPES)
            if self.m.zone[z].nonempty[mt] >> o & 1
        }

    def pcp_list_array(self, int zone, int cpu, int index):
        """pfns of one per-CPU list from head to tail, uint32."""
        cdef pcp_t *p = pcp_of(&self.m, &self.m.zone[zone], cpu)
        cdef uint32_t i
        array = np.empty(p.list[index].len, np.uint32)
        cdef pfn_t[::1] out = array
        for i in range(p.list[index].len):
            out[i] = ring_at(&p.list[index], i)
        return array

    def pcp_lists(self):
        """{(zone, cpu, pindex): [pfn, ...] head first}, without empty lists."""
        lists = {
            (z, c, i): self.pcp_list_array(z, c, i).tolist()
            for z in self.zones() for c in range(self.m.ncpus) for i in range(self.m.k.nr_pcp_lists)
        }
        return {key: pfns for key, pfns in lists.items() if pfns}

    def pcp_state(self, int zone, int cpu):
        """Fields of one per-CPU page set as a dict; count and high in pages, diff: its part of the counter."""
        cdef pcp_t *p = pcp_of(&self.m, &self.m.zone[zone], self._cpu(cpu))
        return {
            "count": p.count, "high": p.high, "high_min": p.high_min, "high_max": p.high_max, "batch": p.batch,
            "free_factor": p.free_factor, "alloc_factor": p.alloc_factor, "free_count": p.free_count,
            "flags": p.flags, "diff": p.diff,
        }

    def zone_state(self, int zone):
        """Counters and limits of a zone as a dict; all in pages."""
        cdef zone_t *z = &self.m.zone[_integer("zone", zone, 0, NR_ZONES - 1)]
        return {
            "start": z.start, "end": z.end, "managed": z.managed, "present": z.present,
            "free": free_exact(&self.m, z), "counter": z.counter, "boost": z.boost, "boost_factor": z.boost_factor,
            "watermark": (z.watermark[WM_MIN], z.watermark[WM_LOW], z.watermark[WM_HIGH]),
            "lowmem_reserve": tuple(z.lowmem_reserve[k] for k in range(NR_RESERVES)),
            "nr_reserved_highatomic": z.nr_reserved_highatomic, "nr_free_highatomic": z.nr_free_highatomic,
            "boosted": bool(z.flags & ZONE_BOOSTED), "reclaim_active": bool(z.flags & ZONE_RECLAIM_ACTIVE),
            "below_high": bool(z.flags & ZONE_BELOW_HIGH), "nr_isolated_blocks": z.nr_isolated_blocks,
            "threshold": z.threshold, "flags": z.flags,
        }

    def block_types(self):
        """Migratetype of every pageblock up to the last page frame."""
        return [self.m.pageblock[b] for b in range((self.m.npfn + PAGEBLOCK_PAGES - 1) // PAGEBLOCK_PAGES)]

    def buddyinfo(self):
        """Free blocks by zone and order: int64 array (4, 11)."""
        cdef int i, o
        array = np.zeros((NR_ZONES, NR_ORDERS), np.int64)
        for i in range(NR_ZONES):
            for o in range(NR_ORDERS):
                array[i, o] = self.m.zone[i].nr_free[o]
        return array

    def page(self, pfn):
        """What a page is, in words: "free (a block of order 9)", "allocated (...)", ..."""
        cdef pfn_t head = NO_PFN
        return _describe(covering(&self.m, _integer("pfn", pfn, 0, self.m.npfn - 1), &head))

    # -- whole states ------------------------------------------------------------------------------------------

    def copy(self):
        """An independent allocator in exactly the same state, without hooks: no strategy is attached to it."""
        from hinting._core.mm.copying import copy_of

        return copy_of(self)

    def exchange(self, Allocator other not None):
        """Exchange the whole state with an allocator of the same kernel and size; each keeps its hooks.

        Raises PageError, with nothing changed, if kernel, CPUs or page frames differ.
        """
        from hinting._core.mm.copying import exchange

        exchange(self, other)

    def state(self):
        """The whole state as {name: NumPy array} (hinting._core.mm.snapshot describes them).

        Raises PageError if a page is just being freed.
        """
        from hinting._core.mm.snapshot import state

        return state(self)

    @staticmethod
    def from_state(kernel, state):
        """A new allocator in a state that `state()` gave.

        Raises PageError, naming array, row and reason, if the state contradicts itself.
        """
        from hinting._core.mm.restore import from_state

        return from_state(kernel, state)

    def check(self):
        """Verify every invariant by a full recount; raises CheckError naming the first that fails."""
        from hinting._core.mm.check import check

        check(self)

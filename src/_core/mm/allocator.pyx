"""The guest's page allocator for Python: requests, frees, isolation, whole states.

Every method checks its arguments and raises PageError before anything changes. Pages are page frame numbers (pfn),
orders are powers of two of 4 KiB pages, gfp values are in the numbering of the emulated kernel.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

import numpy as np

from hinting.errors import KernelError, PageError

from hinting._core.common cimport MAX_CPUS, MT_ISOLATE, NO_PFN, NR_ZONES, PAGEBLOCK_ORDER, pfn_t
from hinting._core.kernel cimport PCP_AUTO_TUNED, Kernel
from hinting._core.mm.alloc cimport alloc_bulk, alloc_pages, free_list, free_pages, split_used
from hinting._core.mm.arguments cimport (
    block_of, cpu_of, gfp_of, integer, migratetype_of, must_be_absent, must_be_used, order_of, page_in_words, pfn_of)
from hinting._core.mm.arrays cimport empty_lists, map_arrays
from hinting._core.mm.buddy cimport (
    FPI_NONE, FPI_SKIP_REPORT_NOTIFY, FPI_TO_TAIL, account_list, free_block, isolate, list_add, put_back)
from hinting._core.mm.counter cimport fold
from hinting._core.mm.loading cimport LoadableState
from hinting._core.mm.pages cimport TAG_ISOLATED, TAG_ORDER, block_type, tag_get, tag_is_buddy, zone_of
from hinting._core.mm.pcp cimport decay_pcp_high, drain_cpu
from hinting._core.mm.state cimport MM_NO_MEMORY, MM_STRATEGY, zone_t
from hinting._core.mm.zones cimport set_zone


cdef class Allocator(LoadableState):
    """Zones, free lists and per-CPU page lists of one guest, empty at first: all pages are outside the allocator.

    kernel: a profile (hinting.kernels.load). zones: one mapping a zone with the keys index (0 DMA, 1 DMA32, 2 Normal,
    3 Movable), start, end (pfns), managed (pages), watermark (min, low, high; pages), lowmem_reserve (5 values,
    pages), batch, high (or high_min and high_max), threshold (pages), and optionally present, boost, boost_factor.
    ncpus: CPUs with page lists of their own, 1 to 256.
    """

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
            set_zone(&self.m, zone)
        empty_lists(&self.m)

    cpdef raise_errors(self):
        """Raise what went wrong inside and was not raised yet: a strategy that was stopped, or no memory."""
        if self.m.error == MM_NO_MEMORY:
            self.m.error = 0
            raise MemoryError("a per-CPU page list could not grow")
        if self.m.error == MM_STRATEGY:
            self.m.error = 0
            raise self.hook_owner.fault_error()

    def add_free(self, pfn, order, tail=False, migratetype=None):
        """Hand a block to the allocator: it enters the free lists and merges. migratetype: its pageblock's if None."""
        cdef int o = order_of(order)
        cdef pfn_t first = block_of(&self.m, pfn, o)
        cdef int mt = block_type(&self.m, first) if migratetype is None else migratetype_of(migratetype)
        must_be_absent(&self.m, first, o)
        free_block(&self.m, zone_of(&self.m, first), 0, first, o, mt, FPI_TO_TAIL if tail else FPI_NONE)
        self.raise_errors()

    def insert_free(self, pfn, order, migratetype):
        """Append a block to the tail of a free list as it is, without merging: to load a given state."""
        cdef int o = order_of(order)
        cdef pfn_t first = block_of(&self.m, pfn, o)
        cdef int mt = migratetype_of(migratetype)
        cdef zone_t *z = zone_of(&self.m, first)
        must_be_absent(&self.m, first, o)
        account_list(&self.m, z, 0, <int64_t>1 << o, mt)
        list_add(&self.m, z, first, o, mt, True)

    def alloc(self, order, gfp, cpu=0):
        """First pfn of an allocated block of 2^order pages, -1 if the kernel would have to reclaim or fails."""
        cdef int o = order_of(order)
        cdef int c = cpu_of(&self.m, cpu)
        cdef uint32_t bits = gfp_of(&self.m, gfp)
        cdef pfn_t pfn
        with nogil:
            pfn = alloc_pages(&self.m, c, o, bits)
        self.raise_errors()
        return -1 if pfn == NO_PFN else pfn

    def bulk(self, gfp, n, cpu=0):
        """pfns of up to n single pages by the bulk interface (6.x).

        Raises KernelError for a kernel without it.
        """
        cdef int c = cpu_of(&self.m, cpu)
        cdef uint32_t bits = gfp_of(&self.m, gfp)
        cdef int64_t wanted = integer("n", n, 0, 1 << 24)
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
        self.raise_errors()
        return array[:got].tolist()

    def free(self, pfn, order, cpu=0):
        """Free an allocated block.

        Raises PageError, with nothing changed, unless (pfn, order) is one.
        """
        cdef int o = order_of(order)
        cdef int c = cpu_of(&self.m, cpu)
        cdef pfn_t first = block_of(&self.m, pfn, o)
        must_be_used(&self.m, first, o)
        with nogil:
            free_pages(&self.m, c, first, o)
        self.raise_errors()

    def free_list(self, pfns, cpu=0):
        """Free single pages as one list: all pass the free hook before any reaches a per-CPU list."""
        cdef int c = cpu_of(&self.m, cpu)
        cdef int64_t i
        cdef pfn_t[::1] pages
        cdef uint8_t[::1] types
        array = np.asarray([block_of(&self.m, pfn, 0) for pfn in pfns], np.uint32)
        if array.size == 0:
            return
        if np.unique(array).size != array.size:
            raise PageError("free_list: a page occurs twice in the list")
        pages = array
        types = np.empty(array.size, np.uint8)
        for i in range(pages.shape[0]):
            must_be_used(&self.m, pages[i], 0)
        with nogil:
            free_list(&self.m, c, &pages[0], pages.shape[0], &types[0])
        self.raise_errors()

    def split(self, pfn, order):
        """Make 2^order allocated single pages of an allocated block, to be freed one by one."""
        cdef int o = order_of(order)
        cdef pfn_t first = block_of(&self.m, pfn, o)
        must_be_used(&self.m, first, o)
        split_used(&self.m, first, o)

    def drain(self, cpu=None):
        """Empty the per-CPU lists of one CPU, or of all CPUs in ascending order."""
        cdef int c
        for number in range(self.m.ncpus) if cpu is None else [cpu_of(&self.m, cpu)]:
            c = number
            drain_cpu(&self.m, c, c)
        self.raise_errors()

    def decay(self, cpu):
        """The once-a-second decay of a CPU's page lists (6.12)."""
        cdef int c = cpu_of(&self.m, cpu)
        cdef int i
        if self.m.k.pcp_tuning != PCP_AUTO_TUNED:
            raise KernelError(f"{self.kernel.name} has no decay of per-CPU lists")
        for i in range(NR_ZONES):
            if self.m.zone[i].populated:
                decay_pcp_high(&self.m, &self.m.zone[i], c)
        self.raise_errors()

    def fold(self, cpu):
        """Move a CPU's counter differences into the zones' counters."""
        fold(&self.m, cpu_of(&self.m, cpu))

    def isolate(self, pfn, order):
        """Take a free block of exactly this order off its list; False if the min watermark forbids it."""
        cdef int o = order_of(order)
        cdef pfn_t first = block_of(&self.m, pfn, o)
        cdef uint8_t tag = tag_get(&self.m, first, o)
        if not (tag_is_buddy(tag) and (tag & TAG_ORDER) == o):
            raise PageError(f"pfn {first} of order {o} cannot be isolated: expected a free block of this order, "
                            f"it is {page_in_words(&self.m, first)}")
        return bool(isolate(&self.m, zone_of(&self.m, first), 0, first, o))

    def putback(self, pfn, order):
        """Return an isolated block to the tail of its list, merging it."""
        cdef int o = order_of(order)
        cdef pfn_t first = block_of(&self.m, pfn, o)
        if tag_get(&self.m, first, o) != (TAG_ISOLATED | o):
            raise PageError(f"pfn {first} of order {o} cannot be put back: expected an isolated block of this order, "
                            f"it is {page_in_words(&self.m, first)}")
        put_back(&self.m, zone_of(&self.m, first), 0, first, o, FPI_TO_TAIL | FPI_SKIP_REPORT_NOTIFY)

    def set_block_type(self, pfn, migratetype):
        """Set the migratetype of the pageblock of pfn. Free blocks stay on the lists that they are on."""
        cdef pfn_t first = pfn_of(&self.m, pfn)
        cdef int mt = migratetype_of(migratetype)
        cdef zone_t *z = zone_of(&self.m, first)
        if z != NULL:
            z.nr_isolated_blocks += (mt == MT_ISOLATE) - (block_type(&self.m, first) == MT_ISOLATE)
        self.m.pageblock[first >> PAGEBLOCK_ORDER] = <uint8_t>mt

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

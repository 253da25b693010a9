"""RAM of one guest on a host: the Python face of its backing. One method call is one event."""

from collections import namedtuple

from libc.stdint cimport int64_t, uint64_t

from hinting._core.common cimport pfn_t
from hinting._core.host.cgroup cimport usage_of
from hinting._core.host.check cimport backing_check
from hinting._core.host.checks cimport raise_check
from hinting._core.host.discard cimport backing_discard
from hinting._core.host.fault cimport backing_is_mapped, backing_is_present, backing_touch
from hinting._core.host.guest cimport backing_free, host_remove_guest
from hinting._core.host.lazy cimport backing_free_lazily, lazy_init
from hinting._core.host.migration cimport begin_round, left, migration_free, migration_new, set_range, written
from hinting._core.host.oom cimport oom_badness
from hinting._core.host.populate cimport backing_populate
from hinting._core.host.reclaim cimport reclaim_pages
from hinting._core.host.reclaim_state cimport ACTIVE, INACTIVE
from hinting._core.host.state cimport HOST_OK, NO_GROUP, RAM_ANONYMOUS, TOUCH_DISK, TOUCH_WHOLE, TOUCH_WRITES, block_t
from hinting._core.host.swapin cimport is_cached, is_swapped
from hinting._core.host.vmm_text cimport wake_vmm
from hinting._core.host.words cimport popcount_block

from hinting._core.host.arguments import MAX_FRAMES, MAX_NPFN, whole
from hinting.errors import HostError

__all__ = ["Backing", "BlockState", "Discard", "Touch"]

Touch = namedtuple("Touch", "ok stall_ns")
Discard = namedtuple("Discard", "host_ns stolen_ns")
BlockState = namedtuple("BlockState", "pmd folio ept_huge ept_table present mapped")

_PMD = ("none", "table", "huge")
_FOLIO = ("small", "huge", "huge-partial")


cdef class Backing:
    """Frames and second-level maps of one guest's RAM; made by HostMemory.add_guest.

    Page numbers are guest page frame numbers. Every method but the counters raises HostError once the guest is gone.
    """

    def __init__(self):
        raise TypeError("a Backing is made by HostMemory.add_guest")

    def __dealloc__(self):
        backing_free(&self.b)

    cdef int _range(self, pfn, npages) except -1:
        if not self.b.attached:
            raise HostError(f"guest {self.b.id} is gone")
        whole("pfn", pfn, 0, self.b.npfn - 1)
        whole("npages", npages, 1, self.b.npfn - pfn)
        return 0

    def touch(self, pfn, npages=1, *, bint writes=True, bint overwrites=False, bint disk=False):
        """Touch pages in address order.

        writes: False for a guest that reads. overwrites: of the whole page. disk: its virtual disk writes the page.

        Returns (ok, stall_ns): ok is False if a frame could not be had; the same call then goes on after a kill.
        """
        cdef double ns = 0
        cdef int result
        self._range(pfn, npages)
        cdef pfn_t at = pfn
        cdef uint64_t n = npages
        cdef int flags = TOUCH_WRITES * writes | TOUCH_WHOLE * overwrites | TOUCH_DISK * disk
        with nogil:
            result = backing_touch(self.h, &self.b, &self.costs.c, at, n, flags, &ns)
        return Touch(result == HOST_OK, ns)

    def populate(self, pfn, npages=1):
        """Back pages before the guest starts, as the VMM does it: nothing of it is mapped at the second level.

        Returns (ok, ns of the VMM): ok is False if a frame could not be had.
        """
        cdef double ns = 0
        cdef int result
        self._range(pfn, npages)
        cdef pfn_t at = pfn
        cdef uint64_t n = npages
        with nogil:
            result = backing_populate(self.h, &self.b, &self.costs.c, at, n, &ns)
        return Touch(result == HOST_OK, ns)

    def discard(self, pfn, npages=1, call_pages=None, *, running_vcpus=0):
        """Give pages back by MADV_DONTNEED.

        call_pages: pages of each call, all by default. running_vcpus: vCPUs of this guest that are in guest mode.
        Returns (host_ns, stolen_ns): kernel time of the VMM thread, and time lost by running vCPUs, summed over them.
        """
        cdef double host_ns = 0, stolen_ns = 0
        self._range(pfn, npages)
        cdef pfn_t at = pfn
        cdef uint64_t n = npages
        cdef uint64_t each = whole("call_pages", npages if call_pages is None else call_pages, 1, MAX_NPFN)
        cdef int running = whole("running_vcpus", running_vcpus, 0, 1 << 20)
        with nogil:
            backing_discard(self.h, &self.b, &self.costs.c, at, n, each, running, &host_ns, &stolen_ns)
        return Discard(host_ns, stolen_ns)

    def reclaim(self, npages):
        """Evict pages of this guest (memory.reclaim of its cgroup); returns (pages, ns of the writer).

        HostError without swap, or if the guest has no cgroup.
        """
        cdef double ns = 0
        cdef int64_t n = whole("npages", npages, 1, MAX_FRAMES)
        self._range(0, 1)
        if self.h.reclaim == NULL or self.b.group == NO_GROUP:
            raise HostError("reclaim needs a host with swap and a guest in a group of its own")
        with nogil:
            n = reclaim_pages(self.h, &self.costs.c, self.b.group, n, &ns)
        return n, ns

    def wake_vmm(self):
        """The VMM wakes up at the host's present time; how long it waits for code that reclaim has dropped, ns."""
        self._range(0, 1)
        return wake_vmm(self.h, &self.b, &self.costs.c, self.h.now)

    def free_lazily(self, pfn, npages=1, call_pages=None, *, running_vcpus=0):
        """Give pages back by MADV_FREE: they keep their frames until the host needs them or the guest writes to them.

        Arguments and result are those of discard.
        """
        cdef double host_ns = 0, stolen_ns = 0
        self._range(pfn, npages)
        cdef pfn_t at = pfn
        cdef uint64_t n = npages
        cdef uint64_t each = whole("call_pages", npages if call_pages is None else call_pages, 1, MAX_NPFN)
        cdef int running = whole("running_vcpus", running_vcpus, 0, 1 << 20)
        if self.b.made_of != RAM_ANONYMOUS:
            raise HostError("free_lazily: MADV_FREE is for anonymous memory, this guest's RAM is shared or of huge pages")
        if not lazy_init(&self.b):
            raise MemoryError()
        with nogil:
            backing_free_lazily(self.h, &self.b, &self.costs.c, at, n, each, running, &host_ns, &stolen_ns)
        return Discard(host_ns, stolen_ns)

    def start_migration(self, ram):
        """Begin to migrate the guest while it runs: writes to it are tracked from now on.

        ram: [(first pfn, end), ...], the pages that exist. Raises HostError if a migration is under way.
        """
        self._range(0, 1)
        if self.b.migration != NULL:
            raise HostError(f"guest {self.b.id} is being migrated already")
        for first, end in ram:
            self._range(first, end - first)
        self.b.migration = migration_new(self.b.npfn)
        if self.b.migration == NULL:
            raise MemoryError()
        for first, end in ram:
            set_range(self.b.migration.ram, first, end - first)

    def _migrates(self):
        if self.b.migration == NULL:
            raise HostError(f"guest {self.b.id} is not being migrated")

    def begin_round(self):
        """Synchronise the bitmap and begin a round; pages that it has to send."""
        self._migrates()
        begin_round(self.b.migration)
        return left(self.b.migration)

    def end_round(self):
        """The bitmap is about to be synchronised: hints count no more until the next round has begun."""
        self._migrates()
        self.b.migration.hints = False

    @property
    def migration(self):
        """Pages of the migration under way: sent, read from swap, zero, skipped by hints, left in this round, written since.

        rounds: begun.
        """
        self._migrates()
        m = self.b.migration
        return {"rounds": m.rounds, "sent": m.sent, "read": m.read, "zero": m.zero, "skipped": m.skipped, "left": left(m),
                "written": written(m)}

    def end_migration(self):
        """Stop tracking writes."""
        self._migrates()
        migration_free(self.b.migration)
        self.b.migration = NULL

    def is_mapped(self, pfn):
        """Whether the guest can touch the page without an exit."""
        self._range(pfn, 1)
        return backing_is_mapped(&self.b, pfn)

    def is_present(self, pfn):
        """Whether the page has a frame."""
        self._range(pfn, 1)
        return backing_is_present(&self.b, pfn)

    def is_swapped(self, pfn):
        """Whether the page lives in swap."""
        self._range(pfn, 1)
        return is_swapped(&self.b, pfn)

    def is_cached(self, pfn):
        """Whether the page lives in swap and has a frame in the swap cache."""
        self._range(pfn, 1)
        return is_swapped(&self.b, pfn) and is_cached(&self.b, pfn)

    def slot(self, pfn):
        """Swap slot of a swapped page, or of a page whose copy is still valid; None for any other."""
        self._range(pfn, 1)
        if self.b.aged == NULL:
            return None
        has_copy = self.b.aged[<uint64_t>pfn >> 9].copied[pfn >> 6 & 7] >> (pfn & 63) & 1
        return self.b.slots[<uint64_t>pfn] if has_copy or is_swapped(&self.b, pfn) else None

    def block_state(self, block):
        """State of an aligned 2 MiB block: host page table, folio, second level, and pages with a frame / mapped."""
        whole("block", block, 0, self.b.nblocks - 1)
        self._range(block << 9, 1)
        cdef block_t *p = &self.b.blocks[<uint64_t>block]
        return BlockState(
            _PMD[p.pmd],
            _FOLIO[p.folio],
            bool(p.ept_huge),
            bool(p.ept_table),
            popcount_block(p.present),
            popcount_block(p.ept),
        )

    def remove(self):
        """The VMM exits; every frame is free again."""
        self._range(0, 1)
        host_remove_guest(self.h, &self.b)
        backing_free(&self.b)

    def check(self):
        """Recount this guest; CheckError if a number or a state is wrong."""
        self._range(0, 1)
        raise_check(backing_check(self.h, &self.b))

    @property
    def id(self):
        """Number of the launch on this host, from 0."""
        return self.b.id

    @property
    def is_attached(self):
        """Whether the guest is alive."""
        return self.b.attached

    @property
    def is_dying(self):
        """Whether it was killed and still has its memory."""
        return self.b.attached and self.b.reaped_at != 0

    @property
    def is_of_pool(self):
        """Whether its RAM is made of huge pages of the host's pool."""
        return self.b.pool_blocks > 0

    @property
    def npfn(self):
        """One past the last guest page frame."""
        return self.b.npfn

    @property
    def rss_pages(self):
        """Guest pages with a frame: what ps shows of guest RAM."""
        return self.b.rss_pages

    @property
    def held_frames(self):
        """Frames that guest RAM costs the host, with those that unsplit huge folios keep."""
        return self.b.held_frames

    @property
    def vmm_frames(self):
        """Frames of the VMM itself."""
        return self.b.vmm_frames

    @property
    def table_frames(self):
        """Page-table frames: (host, second level)."""
        return self.b.host_tables, self.b.ept_tables

    @property
    def huge_blocks(self):
        """Blocks that are one mapped huge folio."""
        return self.b.huge_blocks

    @property
    def lazy_pages(self):
        """Lazily freed pages that still have their frames."""
        return self.b.lazy_pages

    @property
    def deferred(self):
        """Deferred-split queue: (folios, frames a split of all would free)."""
        return self.b.deferred_blocks, self.b.deferred_frames

    @property
    def swapped_pages(self):
        """Guest pages that live in swap."""
        return self.b.swapped_pages

    @property
    def swap_slots(self):
        """Slots of this guest: swapped pages, and valid copies of pages that came back."""
        return self.b.swap_slots

    @property
    def swap_cache_frames(self):
        """Frames of this guest in the swap cache: pages that are being written or were read ahead."""
        return self.b.swap_cache

    @property
    def charged_frames(self):
        """Frames that its cgroup is charged for: guest RAM, swap cache, VMM and page tables."""
        return usage_of(&self.b)

    @property
    def stalls(self):
        """ns that the guest waited: for direct reclaim, for reads from swap, for memory.high."""
        return {"reclaim": self.b.reclaim_stall, "swap": self.b.swap_stall, "high": self.b.high_stall}

    @property
    def lru_pages(self):
        """Pages on the LRU lists: (inactive, active)."""
        return self.b.list[INACTIVE].pages, self.b.list[ACTIVE].pages

    @property
    def oom_badness(self):
        """Score for the OOM killer, pages."""
        return oom_badness(self.h, &self.b)

    @property
    def counters(self):
        """Counters since the start of the guest, by name."""
        return <dict>self.b.n

    @property
    def map_bytes(self):
        """Address space that the emulator keeps for this backing, bytes."""
        return self.b.mapped_bytes + self.b.aged_bytes

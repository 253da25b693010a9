"""Memory of a KVM host and of its guests: the Python face of the host core.

Emulates frames, second-level and host page tables, huge folios, discards, reclaim, swap and the OOM killer of a host
(Linux 6.12). One method call is one event; the engine works on the structs and crosses to Python once a batch.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from hinting._core.costs cimport Costs
from hinting._core.host.cgroup cimport NO_LIMIT, group_swap, group_usage
from hinting._core.host.check cimport host_check
from hinting._core.host.checks cimport raise_check
from hinting._core.host.frames cimport wakes_kswapd
from hinting._core.host.guest cimport backing_free, backing_init, host_add_guest, host_set_base, vmm_frames_of
from hinting._core.host.khugepaged cimport SCAN_SLEEP_NS, khugepaged_round
from hinting._core.host.kswapd cimport kswapd_run
from hinting._core.host.oom cimport host_admits, host_oom_kill, host_oom_victim, host_reap, swap_total
from hinting._core.host.ram cimport Backing
from hinting._core.host.state cimport (
    BLOCK_PAGES,
    EFFECT_DECAY,
    EFFECT_FALSE_READ,
    EFFECT_SILENT_WRITE,
    EFFECT_STALE_READ,
    EFFECT_TEXT,
    HOST_OK,
    NO_GROUP,
    OVERCOMMIT_NEVER,
    RAM_ANONYMOUS,
    RAM_HUGETLB,
    RAM_SHARED,
    backing_t,
    group_t,
)
from hinting._core.host.swap_setup cimport DEVICE_HDD, DEVICE_NVME, DEVICE_SATA, reclaim_drop, reclaim_init
from hinting._core.host.swapcache cimport settle_writes
from hinting._core.host.swapin cimport MAX_READ

from hinting._core.host.arguments import MAX_FRAMES, MAX_NPFN, real, whole
from hinting._core.host.watermark import Watermarks, host_watermarks, host_zones
from hinting.errors import HostError

__all__ = ["HostMemory", "vmm_memory_frames"]

EFFECTS = {
    "silent-write": EFFECT_SILENT_WRITE,
    "stale-read": EFFECT_STALE_READ,
    "false-read": EFFECT_FALSE_READ,
    "decayed-sequentiality": EFFECT_DECAY,
    "false-anonymity": EFFECT_TEXT,
}
MADE_OF = {"anonymous": RAM_ANONYMOUS, "memfd": RAM_SHARED, "hugetlb": RAM_HUGETLB}
SWAP_DEVICES = {"nvme": DEVICE_NVME, "sata": DEVICE_SATA, "hdd": DEVICE_HDD}
MAX_SLOTS = (1 << 32) - 1


def vmm_memory_frames(Costs costs not None, int vcpus, int iothreads=0, bint graphics=False):
    """Frames of a QEMU process beside guest RAM and page tables."""
    return vmm_frames_of(&costs.c, vcpus, iothreads, graphics)


cdef class HostMemory:
    """Memory of one host, in 4 KiB frames.

    frames_total: managed by the page allocator. base_frames: host OS and daemons. watermarks: (min, low, high) in
    frames, by default those of an x86 host of this size. fragmentation: share of huge frames that cannot be had, 0 to
    1. fragmentation_growth: added to it when as many frames as the host has were freed by 4K discards or swapped in. seed:
    of those draws. thp: guest RAM is THP-eligible. thp_defrag: a huge fault compacts before it falls back. pt_reclaim: a discard
    of a whole block frees its empty page table (Linux 6.14 and later). ept_reclaim: a zap of a whole block frees its
    second-level table (KVM before 5.18; later ones keep it). thp_deposit: count the page-table frame that Linux keeps
    ready for the split of each huge mapping. khugepaged: its rounds happen in virtual time.

    swap_frames: slots of the swap device, 0 for none. swap_device: "nvme", "sata" or "hdd", with the latencies and
    bandwidths of the cost profile. swap_tails: latencies of reads are drawn from a log-normal distribution. swappiness:
    vm.swappiness, 0 to 200. page_cluster: vm.page-cluster, log2 of the most pages read at once. page_cache_frames: clean
    page cache that reclaim may drop. effects: what swapping without the guest's help costs, of "silent-write",
    "stale-read", "false-read", "decayed-sequentiality" and "false-anonymity"; all by default. init_on_free: frames are
    cleared when they are freed. oom_reap_ns: from a kill until the victim's memory is free. hugepages: (frames a page, 512
    or 262144; pages) of the pool for guests that are made of it.

    Raises HostError naming the argument.
    """

    def __cinit__(
        self,
        frames_total,
        base_frames=0,
        *,
        Costs costs not None,
        watermarks=None,
        fragmentation=0.1,
        fragmentation_growth=0.0,
        seed=0,
        bint thp=True,
        bint thp_defrag=True,
        bint pt_reclaim=False,
        bint ept_reclaim=True,
        bint thp_deposit=False,
        bint khugepaged=False,
        swap_frames=0,
        swap_device=None,
        bint swap_tails=False,
        swappiness=60,
        page_cluster=3,
        page_cache_frames=0,
        effects=tuple(EFFECTS),
        bint init_on_free=False,
        oom_reap_ns=0,
        hugepages=(512, 0),
    ):
        memset(&self.h, 0, sizeof(self.h))
        self.h.oom_group = NO_GROUP
        self.costs = costs
        self.backings = []
        self.h.frames_total = whole("host.frames_total", frames_total, 1, MAX_FRAMES)
        self.h.host_base_frames = whole("host.base_frames", base_frames, 0, frames_total)
        self.h.frames_free = self.h.frames_total - self.h.host_base_frames
        if watermarks is None:
            marks = host_watermarks(host_zones(frames_total), thp=thp)[1]
            watermarks = tuple(map(sum, zip(*marks, strict=True)))
        if not isinstance(watermarks, tuple) or len(watermarks) != 3 or list(watermarks) != sorted(watermarks):
            raise HostError(f"host.watermarks must be (min, low, high) in frames, ascending, got {watermarks!r}")
        self.h.wmark_min = whole("host.watermarks", watermarks[0], 0, frames_total)
        self.h.wmark_low = whole("host.watermarks", watermarks[1], 0, frames_total)
        self.h.wmark_high = whole("host.watermarks", watermarks[2], 0, frames_total)
        self.h.fragmentation = real("host.fragmentation", fragmentation, 0, 1)
        self.h.fragmentation_growth = real("host.fragmentation_growth", fragmentation_growth, 0, 1e6)
        self.h.seed = whole("host.seed", seed, 0, (1 << 64) - 1)
        self.h.thp = thp
        self.h.init_on_free = init_on_free
        self.h.oom_reap_ns = whole("host.oom_reap_ns", oom_reap_ns, 0, (1 << 62) - 1)
        self.h.thp_defrag = thp_defrag
        self.h.pt_reclaim = pt_reclaim
        self.h.ept_reclaim = ept_reclaim
        self.h.thp_deposit = thp_deposit
        if khugepaged and not thp:
            raise HostError("host.khugepaged: huge pages are off, so there is nothing to collapse into")
        self.h.khugepaged = khugepaged
        self.h.khugepaged_at = SCAN_SLEEP_NS
        self.h.page_cache = whole("host.page_cache_frames", page_cache_frames, 0, self.h.frames_free)
        self.h.frames_free -= self.h.page_cache
        if hugepages[0] not in (BLOCK_PAGES, BLOCK_PAGES << 9):
            raise HostError(f"host.hugepages must be of 512 or 262144 frames, got {hugepages[0]!r}")
        self.h.pool.blocks = hugepages[0] // BLOCK_PAGES
        self.h.pool.total = whole("host.hugepages", hugepages[1], 0, self.h.frames_free // hugepages[0])
        self.h.pool.free = self.h.pool.total
        self.h.frames_free -= self.h.pool.total * hugepages[0]
        for effect in effects:
            if effect not in EFFECTS:
                raise HostError(f"host.effects must be of {', '.join(EFFECTS)}, got {effect!r}")
            self.h.effects |= EFFECTS[effect]
        self._add_swap(swap_frames, swap_device, swap_tails, swappiness, page_cluster)

    def _add_swap(self, swap_frames, swap_device, bint tails, swappiness, page_cluster):
        cdef int64_t slots = whole("host.swap_frames", swap_frames, 0, MAX_SLOTS)
        whole("host.swappiness", swappiness, 0, 200)
        whole("host.page_cluster", page_cluster, 0, MAX_READ.bit_length() - 1)
        if swap_device is not None and swap_device not in SWAP_DEVICES:
            raise HostError(f"host.swap_device must be one of {', '.join(SWAP_DEVICES)}, got {swap_device!r}")
        if slots == 0:
            if swap_device is not None:
                raise HostError(f"host.swap_device: {swap_device!r} has no slots, give the size of swap too")
            if self.h.page_cache:
                raise HostError("host.page_cache_frames: page cache is reclaimed together with swap, give the size of swap too")
            return
        if swap_device is None:
            swap_device = "nvme"
        if tails and SWAP_DEVICES[swap_device] == DEVICE_HDD:
            raise HostError("host.swap_tails: tails are known for nvme and sata, not for hdd")
        if reclaim_init(&self.h, &self.costs.c, slots, SWAP_DEVICES[swap_device], tails, swappiness, page_cluster) != HOST_OK:
            raise MemoryError(f"no memory for {slots} swap slots")

    def __dealloc__(self):
        reclaim_drop(&self.h)
        free(self.h.groups)
        free(self.h.guests)

    @property
    def frames_total(self):
        """Frames that the page allocator manages."""
        return self.h.frames_total

    @property
    def frames_free(self):
        """Free frames."""
        return self.h.frames_free

    @property
    def watermarks(self):
        """Watermarks, in frames, all zones together."""
        return Watermarks(self.h.wmark_min, self.h.wmark_low, self.h.wmark_high)

    @property
    def base_frames(self):
        """Frames of the host OS and its daemons; HostError if more is asked for than can be had."""
        return self.h.host_base_frames

    @base_frames.setter
    def base_frames(self, frames):
        cdef double ns = 0
        whole("host.base_frames", frames, 0, self.h.frames_total)
        if host_set_base(&self.h, &self.costs.c, frames, &ns) != HOST_OK:
            most = max(0, self.h.host_base_frames + self.h.frames_free - self.h.wmark_min)
            raise HostError(f"host.base_frames must be between 0 and {most} on this host now, got {frames}")

    @property
    def fragmentation(self):
        """Share of huge frames that cannot be had, 0 to 1."""
        return self.h.fragmentation

    @fragmentation.setter
    def fragmentation(self, share):
        self.h.fragmentation = real("host.fragmentation", share, 0, 1)

    @property
    def wakes_kswapd(self):
        """Whether an allocation now wakes kswapd."""
        return wakes_kswapd(&self.h)

    @property
    def now_ns(self):
        """Time at which the next event happens, ns; whoever drives the host sets it."""
        return self.h.now

    @now_ns.setter
    def now_ns(self, t):
        self.h.now = whole("host.now_ns", t, 0, (1 << 62) - 1)
        if self.h.reclaim != NULL:
            settle_writes(&self.h, self.h.now)
        while host_reap(&self.h, self.h.now) != NULL:
            pass

    @property
    def swap(self):
        """Swap slots: (total, used)."""
        return swap_total(&self.h), self.h.reclaim.slots.used if self.h.reclaim != NULL else 0

    @property
    def pool(self):
        """Huge pages that the host has set aside: (frames a page, pages, free ones, and of these, set aside for guests)."""
        return self.h.pool.blocks * BLOCK_PAGES, self.h.pool.total, self.h.pool.free, self.h.pool.reserved

    @property
    def dying(self):
        """Guests that were killed and still have their memory."""
        return self.h.nr_dying

    @property
    def shared_frames(self):
        """Frames of guest RAM that is shared memory, what /proc/meminfo calls Shmem."""
        cdef int i
        cdef int64_t n = 0
        for i in range(self.h.nr_guests):
            if self.h.guests[i].made_of == RAM_SHARED:
                n += self.h.guests[i].held_frames
        return n

    @property
    def page_cache_frames(self):
        """Frames of clean page cache of the host."""
        return self.h.page_cache

    @property
    def vmstat(self):
        """Counters named as in /proc/vmstat."""
        return <dict>self.h.vm

    @property
    def guests(self):
        """Backings of the living guests, oldest first."""
        self.backings = [b for b in self.backings if (<Backing>b).b.attached]
        return list(self.backings)

    def add_group(self, *, max=None, high=None, low=0, min=0, swap_max=None):
        """Make a memory cgroup; returns its number, for add_guest. Amounts in frames; None: no limit."""
        cdef group_t group
        cdef void *grown
        memset(&group, 0, sizeof(group))
        group.max = NO_LIMIT if max is None else whole("group.max", max, 0, MAX_FRAMES)
        group.high = NO_LIMIT if high is None else whole("group.high", high, 0, MAX_FRAMES)
        group.low = whole("group.low", low, 0, MAX_FRAMES)
        group.min = whole("group.min", min, 0, MAX_FRAMES)
        group.swap_max = NO_LIMIT if swap_max is None else whole("group.swap_max", swap_max, 0, MAX_FRAMES)
        grown = realloc(self.h.groups, (self.h.nr_groups + 1) * sizeof(group_t))
        if grown == NULL:
            raise MemoryError()
        self.h.groups = <group_t *>grown
        self.h.groups[self.h.nr_groups] = group
        self.h.nr_groups += 1
        return self.h.nr_groups - 1

    def group(self, number):
        """State of a memory cgroup: frames and slots in use, and how often max, high and the OOM killer were met."""
        cdef int i = whole("group", number, 0, self.h.nr_groups - 1)
        cdef group_t *g = &self.h.groups[i]
        return {
            "usage": group_usage(&self.h, i), "swap": group_swap(&self.h, i),
            "max": g.hits_max, "high": g.hits_high, "oom_kill": g.oom_kill,
        }

    def add_guest(
        self, npfn, vmm_frames=0, *, ram_frames=None, oom_score_adj=0, group=None, slice=None, made_of="anonymous",
        bint locked=False,
    ):
        """Start a guest; its RAM is not backed until it is touched.

        npfn: one past the last guest page frame. vmm_frames: frames of the VMM itself, taken at once. ram_frames:
        configured RAM without holes, npfn by default. oom_score_adj: -1000 (never killed) to 1000. group: its memory
        cgroup; slice: one around it that it shares with others; both made by add_group. made_of: "anonymous", "memfd" or
        "hugetlb" (pages of the host's pool). locked: nothing of it is ever evicted or discarded.

        Raises HostError naming the argument, or if the VMM's own frames or huge pages for all RAM cannot be had.
        """
        cdef Backing backing = Backing.__new__(Backing)
        cdef double ns = 0
        whole("guest.npfn", npfn, 1, MAX_NPFN)
        ram = whole("guest.ram_frames", npfn if ram_frames is None else ram_frames, 1, npfn)
        whole("guest.vmm_frames", vmm_frames, 0, MAX_FRAMES)
        whole("guest.oom_score_adj", oom_score_adj, -1000, 1000)
        if backing_init(&backing.b, npfn, ram) != HOST_OK:
            raise MemoryError(f"no address space for a guest of {npfn} pages")
        backing.b.oom_score_adj = oom_score_adj
        for name, number in (("guest.group", group), ("guest.slice", slice)):
            if number is not None and self.h.nr_groups == 0:
                raise HostError(f"{name} must be made by add_group first, got {number!r}")
        if group is not None:
            backing.b.group = whole("guest.group", group, 0, self.h.nr_groups - 1)
        if slice is not None:
            backing.b.slice = whole("guest.slice", slice, 0, self.h.nr_groups - 1)
        backing.b.limited = group is not None or slice is not None
        if made_of not in MADE_OF:
            raise HostError(f"guest.made_of must be one of {', '.join(MADE_OF)}, got {made_of!r}")
        backing.b.made_of = MADE_OF[made_of]
        backing.b.locked = locked
        page = self.h.pool.blocks * BLOCK_PAGES
        left = (self.h.pool.free - self.h.pool.reserved) * page
        if made_of == "hugetlb" and (npfn % page or ram > left):
            raise HostError(f"guest.ram_frames must be whole huge pages of {page} frames that the host has left, at most {left} "
                            f"frames, got {ram} of {npfn}")
        if host_add_guest(&self.h, &backing.b, &self.costs.c, vmm_frames, &ns) != HOST_OK:
            most = max(0, self.h.frames_free - self.h.wmark_min)
            raise HostError(f"guest.vmm_frames must be between 0 and {most} on this host now, got {vmm_frames}")
        backing.host, backing.costs = self, self.costs
        backing.h = &self.h
        self.backings.append(backing)
        return backing

    def admits(self, ram_frames, vmm_frames=0, *, overcommit=0, ratio=0.5, reservation=0.0):
        """Whether the RAM mapping of a new guest passes (criterion "admit").

        overcommit: vm.overcommit_memory, 0 to 2. ratio: vm.overcommit_ratio / 100. reservation: configured RAM of all
        guests may be at most this many times frames_total, 0 for no such rule.
        """
        return host_admits(
            &self.h,
            whole("guest.ram_frames", ram_frames, 1, MAX_NPFN),
            whole("guest.vmm_frames", vmm_frames, 0, MAX_FRAMES),
            whole("host.overcommit", overcommit, 0, OVERCOMMIT_NEVER),
            real("host.ratio", ratio, 0, 1e6),
            real("host.reservation", reservation, 0, 1e6),
        )

    def oom_victim(self):
        """Backing that the OOM killer would choose, or None."""
        cdef int i = host_oom_victim(&self.h)
        return None if i < 0 else self._owner(self.h.guests[i])

    def oom_kill(self):
        """Kill the victim; returns its backing, which is gone from the host once oom_reap_ns have passed, or None."""
        victim = self.oom_victim()
        if victim is not None:
            host_oom_kill(&self.h, self.h.now)
            if not (<Backing>victim).b.attached:
                backing_free(&(<Backing>victim).b)
        return victim

    def kswapd(self):
        """Reclaim up to the high watermark, or until nothing more can be had; returns its time, ns."""
        cdef double ns = 0
        with nogil:
            kswapd_run(&self.h, &self.costs.c, &ns)
        return ns

    def khugepaged(self):
        """One round of khugepaged now; returns (its time, how long it sleeps then), ns."""
        cdef double ns = 0
        cdef int64_t sleep
        with nogil:
            sleep = khugepaged_round(&self.h, &self.costs.c, &ns)
        return ns, sleep

    def check(self):
        """Recount everything; CheckError if a number or a state is wrong."""
        raise_check(host_check(&self.h))

    cdef Backing _owner(self, const backing_t *b):
        for backing in self.backings:
            if &(<Backing>backing).b == b:
                return backing
        return None

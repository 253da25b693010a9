"""A plain model of the host in Python sets, written to be obviously right and slow: one page, one call at a time.

Every frame is an object in a set. A small page owns one; a huge folio owns 512 and gives them back when it is split, or
when none of its pages is mapped any more. Draws for huge frames are not modelled: fragmentation is 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BLOCK = 512
GIB = 512 * BLOCK


@dataclass(eq=False)
class Folio:
    """A huge folio: the pages it still backs, and whether the PMD maps it as one."""

    block: int
    mapped: set[int]
    is_whole: bool = True


@dataclass(eq=False)
class ModelGuest:
    npfn: int
    vmm: int
    folio_of: dict[int, Folio] = field(default_factory=dict)  # page -> huge folio that backs it
    small: set[int] = field(default_factory=set)  # pages with a frame of their own
    ept: set[int] = field(default_factory=set)
    pmd_tables: set[int] = field(default_factory=set)  # blocks
    ept_tables: set[int] = field(default_factory=set)
    host_directories: set[int] = field(default_factory=set)  # GiB
    ept_directories: set[int] = field(default_factory=set)
    queue: list[Folio] = field(default_factory=list)
    folios: set[Folio] = field(default_factory=set)
    refaults: int = 0
    discarded: set[int] = field(default_factory=set)

    @property
    def present(self) -> set[int]:
        return self.small | self.folio_of.keys()

    def tables(self, deposit: bool) -> tuple[int, int]:
        whole = sum(folio.is_whole for folio in self.folios) if deposit else 0
        host = len(self.pmd_tables) + len(self.host_directories) + whole
        return host, len(self.ept_tables) + len(self.ept_directories)

    def held(self) -> int:
        return len(self.small) + BLOCK * len(self.folios)

    def whole_folio(self, block: int) -> Folio | None:
        return next((folio for folio in self.folios if folio.block == block and folio.is_whole), None)


class ModelHost:
    """Same parameters as HostMemory; costs by id."""

    def __init__(self, total, base, minimum, costs, *, thp, pt_reclaim, ept_reclaim, thp_deposit, huge_frames):
        self.total = total
        self.base = base
        self.minimum = minimum
        self.costs = costs
        self.thp = thp
        self.pt_reclaim = pt_reclaim
        self.ept_reclaim = ept_reclaim
        self.deposit = thp_deposit
        self.huge_frames = huge_frames
        self.guests: list[ModelGuest] = []
        self.splits = 0

    @property
    def free(self) -> int:
        used = sum(g.held() + g.vmm + sum(g.tables(self.deposit)) for g in self.guests)
        return self.total - self.base - used

    # Faults

    def split(self, g: ModelGuest, folio: Folio) -> None:
        g.queue.remove(folio)
        g.folios.remove(folio)
        g.small |= folio.mapped
        for page in folio.mapped:
            del g.folio_of[page]
        g.ept -= set(range(folio.block * BLOCK, (folio.block + 1) * BLOCK))
        self.splits += 1

    def reclaim(self, frames: int) -> tuple[bool, float]:
        ns = 0.0
        if frames == 0:
            return True, ns
        for g in self.guests:
            while g.queue and self.free - frames < self.minimum:
                self.split(g, g.queue[0])
                ns += self.costs["host.thp_split_folio"]
        return self.free - frames >= self.minimum, ns

    def fault(self, g: ModelGuest, page: int) -> tuple[bool, float]:
        c = self.costs
        block, gib = page // BLOCK, page // GIB
        whole = g.whole_folio(block)
        missing_ept_directory = gib not in g.ept_directories
        missing_directories = missing_ept_directory + (gib not in g.host_directories)
        if page in g.present:
            ok, ns = self.reclaim(missing_ept_directory + (not whole and block not in g.ept_tables))
            if not ok:
                return False, ns
            ns += c["virt.vm_exit_entry"] + c["fault.tdp_map"]
        else:
            ns = 0.0
            fits = (block + 1) * BLOCK <= g.npfn
            if self.thp and fits and block not in g.pmd_tables and not whole:
                need = BLOCK + missing_directories + self.deposit
                if self.huge_frames and self.free - need >= self.minimum:
                    whole = Folio(block, set(range(block * BLOCK, (block + 1) * BLOCK)))
                    g.folios.add(whole)
                    g.folio_of |= dict.fromkeys(whole.mapped, whole)
                    g.refaults += len(whole.mapped & g.discarded)
                    g.discarded -= whole.mapped
                    for part in ("virt.vm_exit_entry", "fault.gup_path_4k", "fault.thp_alloc", "mem.clear_2m"):
                        ns += c[part]
                    ns += c["fault.tdp_map"]
                else:
                    ns += c["fault.thp_alloc:high"]
            if not whole:
                need = 1 + missing_directories + (block not in g.pmd_tables) + (block not in g.ept_tables)
                ok, more = self.reclaim(need)
                ns += more
                if not ok:
                    return False, ns
                g.pmd_tables.add(block)
                g.small.add(page)
                g.refaults += page in g.discarded
                g.discarded.discard(page)
                for part in ("virt.vm_exit_entry", "fault.gup_path_4k", "guest.pcp_alloc_hit", "fault.memcg_charge"):
                    ns += c[part]
                ns += c["mem.clear_4k"] + c["fault.tdp_map"]
            g.host_directories.add(gib)
        g.ept_directories.add(gib)
        if whole:
            g.ept |= whole.mapped
            g.ept_tables.discard(block)
        else:
            g.ept.add(page)
            g.ept_tables.add(block)
        return True, ns

    def touch(self, g: ModelGuest, pfn: int, npages: int) -> tuple[bool, float]:
        total = 0.0
        for page in range(pfn, pfn + npages):
            if page not in g.ept:
                ok, ns = self.fault(g, page)
                total += ns
                if not ok:
                    return False, total
        return True, total

    # Discards

    def remove_page(self, g: ModelGuest, page: int) -> bool:
        if page not in g.present:
            return False
        g.small.discard(page)
        g.ept.discard(page)
        g.discarded.add(page)
        folio = g.folio_of.pop(page, None)
        if folio:
            folio.mapped.remove(page)
            if not folio.mapped:
                g.folios.remove(folio)
                g.queue.remove(folio)
        return True

    def call(self, g: ModelGuest, pfn: int, npages: int, running: int) -> tuple[float, float]:
        c = self.costs
        host = c["host.madvise_call_empty"] + c["host.mmu_notifier_range"]
        gather = c["host.madvise_zap_4k_single"] - c["host.madvise_call_empty"] - c["host.zap_4k_bulk"]
        removed, huge = 0, 0
        pages = set(range(pfn, pfn + npages))
        for block in range(pfn // BLOCK, (pfn + npages - 1) // BLOCK + 1):
            in_block = set(range(block * BLOCK, (block + 1) * BLOCK))
            covered = in_block <= pages
            whole = g.whole_folio(block)
            if whole and covered:
                g.folios.remove(whole)
                for page in whole.mapped:
                    del g.folio_of[page]
                g.ept -= in_block
                g.discarded |= in_block
                huge += 1
                host += c["host.zap_2m_thp"] - gather
                continue
            if whole:
                whole.is_whole = False
                g.queue.append(whole)
                g.pmd_tables.add(block)
                g.ept -= in_block
                host += c["host.thp_split_pmd"] - c["host.madvise_zap_4k_single"]
            for page in sorted(in_block & pages):
                if self.remove_page(g, page):
                    removed += 1
                    host += c["host.zap_4k_bulk"]
            if covered and self.pt_reclaim:
                g.pmd_tables.discard(block)
            if covered and self.ept_reclaim:
                g.ept_tables.discard(block)
        if removed or huge:
            host += gather
        stolen = 0.0
        if (removed or huge) and running:
            host += c["host.tlb_shootdown_base"] + running * c["host.tlb_shootdown_per_cpu"]
            stolen = running * (c["virt.vm_exit_entry"] + c["host.tlb_flush_local"])
        return host, stolen

    def discard(self, g: ModelGuest, pfn: int, npages: int, call_pages: int, running: int) -> tuple[float, float]:
        host = stolen = 0.0
        for at in range(pfn, pfn + npages, call_pages):
            more = self.call(g, at, min(call_pages, pfn + npages - at), running)
            host += more[0]
            stolen += more[1]
        return host, stolen

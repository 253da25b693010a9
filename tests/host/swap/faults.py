"""Faults: pages come back from swap with their neighbours, are mapped again, or are new."""

from host.swap.guest import BLOCK, GIB, WORD
from host.swap.reclaim import Reclaim


class Faults(Reclaim):
    def next_window(self, hits, last, adjacent):
        n = 4
        if hits == 0:
            n = 2 if adjacent else 1
        while hits and n < hits + 2:
            n *= 2
        return max(min(n, 1 << self.page_cluster), last // 2)

    def keep_ahead(self, g, page):
        g.ahead.add(page)
        g.relink(page // WORD)
        self.read += 1

    def read_around(self, g, page):
        n = self.next_window(g.hits, g.window, page in (g.last + 1, g.last - 1))
        first = page if page == g.last + 1 else page - n + 1 if page == g.last - 1 else page - (n - 1) // 2
        g.hits, g.window, g.last = 0, n, page
        block = page // BLOCK * BLOCK
        window = [p for p in range(max(first, block), min(first + n, block + BLOCK)) if p in g.swapped]
        window = [p for p in window if p not in g.ahead and p not in g.writing]
        now, mine = self.time, None
        runs: list[list[int]] = []
        for p in window:
            last = runs[-1][-1] if runs else None
            joins = last is not None and g.slot[last] + 1 == g.slot[p] and window.index(p) == window.index(last) + 1
            if p != page and not self.can_take(1):
                continue
            if p != page:
                self.keep_ahead(g, p)
            if joins:
                runs[-1].append(p)
            else:
                runs.append([p])
        for run in runs:
            done = self.device.request("read", g.slot[run[0]], len(run), now)
            mine = done if page in run else mine
        return mine

    def read_cluster(self, g, page):
        slot = g.slot[page]
        n = self.next_window(self.hits, self.window, abs(slot - self.last_slot) == 1)
        self.hits, self.window, self.last_slot = 0, n, slot
        now, mine = self.time, None
        runs: list[list[int]] = []
        first = slot - slot % n
        for at in range(first, min(first + n, self.slots.total)):
            if at not in self.slots.used:
                continue
            owner, p, _ = self.slots.used[at]
            if p not in owner.swapped or p in owner.ahead or p in owner.writing or (at != slot and not self.can_take(1)):
                continue
            if at != slot:
                self.keep_ahead(owner, p)
            if runs and runs[-1][-1] + 1 == at:
                runs[-1].append(at)
            else:
                runs.append([at])
        for run in runs:
            done = self.device.request("read", run[0], len(run), now)
            mine = done if slot in run else mine
        return mine

    def fault_swap(self, g, page, writes):
        c = self.costs
        block = page // BLOCK
        while True:
            self.settle()
            hit = page in g.ahead or page in g.writing
            tables = (block not in g.ept_tables) + (page // GIB not in g.ept_directories)
            if tables + (not hit) == 0 or self.can_take(tables + (not hit)):
                break
            if not self.reclaim(tables + (not hit)):
                return False
        g.ept_tables.add(block)
        g.ept_directories.add(page // GIB)
        becomes_active = False
        if hit:
            if page in g.writing:
                self.cancel(g, {page})
            else:
                g.leave_lists({page})
                g.ahead.discard(page)
                g.relink(page // WORD)
                g.hits, g.last = g.hits + 1, page
                self.hits += 1
            g.swapped.discard(page)
            g.present.add(page)
        else:
            g.present.add(page)  # its frame is taken before those of its neighbours, while it still counts as swapped
            done = self.read_cluster(g, page) if self.device.rotating else self.read_around(g, page)
            g.present.discard(page)
            self.ns += max(0, done - self.time)
            self.read += 1
            self.major += 1
            becomes_active = g.evictions - self.slots.used[g.slot[page]][2] <= len(g.active)
            g.evictions += becomes_active
            g.swapped.discard(page)
            g.present.add(page)
        if becomes_active:
            g.active.add(page)
        g.relink(page // WORD)
        g.accessed.add(page)
        if writes or 2 * len(self.slots.used) > self.slots.total:
            self.free_slots(g, {page})
        else:
            g.copied.add(page)
        g.ept.add(page)
        self.ns += c["virt.vm_exit_entry"] + c["swap.in_cpu_4k"] + c["fault.tdp_map"]
        return True

    def fault_map(self, g, page):
        """True, False, or None if the page was evicted meanwhile."""
        block = page // BLOCK
        while True:
            tables = (block not in g.huge and block not in g.ept_tables) + (page // GIB not in g.ept_directories)
            if tables == 0 or self.can_take(tables):
                break
            if not self.reclaim(tables):
                return False
            if page not in g.present:
                return None
        g.ept_directories.add(page // GIB)
        if block in g.huge:
            g.ept |= set(range(block * BLOCK, (block + 1) * BLOCK))
            g.ept_tables.discard(block)
        else:
            g.ept.add(page)
            g.ept_tables.add(block)
        self.ns += self.costs["virt.vm_exit_entry"] + self.costs["fault.tdp_map"]
        return True

    def fault_new(self, g, page):
        c = self.costs
        block = page // BLOCK
        gib = page // GIB
        directories = (gib not in g.directories) + (gib not in g.ept_directories)
        if block not in g.tables and block not in g.huge and (block + 1) * BLOCK <= g.npfn:
            if self.huge_frames and self.can_take(BLOCK + directories):
                g.directories.add(gib)
                g.ept_directories.add(gib)
                pages = set(range(block * BLOCK, (block + 1) * BLOCK))
                g.huge.add(block)
                g.present |= pages
                g.ept |= pages
                g.ept_tables.discard(block)
                g.accessed.add(page)
                g.relink(block * 8)
                for part in ("virt.vm_exit_entry", "fault.gup_path_4k", "fault.thp_alloc", "mem.clear_2m", "fault.tdp_map"):
                    self.ns += c[part]
                return True
            self.ns += c["fault.thp_alloc:high"]
        if not self.reclaim(1 + directories + (block not in g.tables) + (block not in g.ept_tables)):
            return False
        g.directories.add(gib)
        g.ept_directories.add(gib)
        g.tables.add(block)
        g.ept_tables.add(block)
        g.present.add(page)
        g.ept.add(page)
        g.accessed.add(page)
        g.relink(page // WORD)
        for part in ("virt.vm_exit_entry", "fault.gup_path_4k", "guest.pcp_alloc_hit", "fault.memcg_charge", "mem.clear_4k"):
            self.ns += c[part]
        self.ns += c["fault.tdp_map"]
        return True

    def note(self, g, page, writes):
        g.accessed.add(page)
        if writes and page in g.copied:
            self.free_slots(g, {page})
            g.copied.discard(page)
            self.ns += self.costs["virt.vm_exit_entry"] + self.costs["fault.tdp_map"]

    def fault(self, g, page, writes):
        if page in g.present:
            ok = self.fault_map(g, page)
            if ok:
                self.note(g, page, writes)
            if ok is not None:
                return ok
        if page in g.swapped:
            return self.fault_swap(g, page, writes)
        return self.fault_new(g, page)

    def touch(self, g, pfn, npages, writes):
        """Whether all pages could be had, and the time it took."""
        self.ns = 0.0
        page = pfn
        while page < pfn + npages:
            end = min((page // WORD + 1) * WORD, pfn + npages)
            block = page // BLOCK
            if block in g.huge and set(range(block * BLOCK, (block + 1) * BLOCK)) <= g.ept:
                self.note(g, page, writes)
                page = (block + 1) * BLOCK
                continue
            mapped = [p for p in range(page, end) if p in g.ept]
            for p in mapped:
                self.note(g, p, writes)
            done: set[int] = set()
            for p in range(page, end):
                if p not in g.ept and p not in done and not self.fault(g, p, writes):
                    return False, self.ns
            page = end
        return True, self.ns

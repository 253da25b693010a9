"""A plain model of a host that swaps, in Python sets and lists: one page at a time, obviously right and slow.

Rules are those of docs/host.md. Frames are not objects here: a page is in the sets that say what it is, and free frames
are what is left. Draws for huge frames are not modelled (fragmentation 0 or 1), and no table is ever given back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

BLOCK, WORD, GIB = 512, 64, 1 << 18
BATCH, RETRIES, CLUSTER, MAX_WRITES = 32, 16, 512, 512
TEXT = 1024  # frames of a VMM's code
EMPTY: frozenset[int] = frozenset()


class Device:
    """When requests are done; all times in ns."""

    def __init__(self, read_ns, write_ns, read_page_ns, write_page_ns, servers, rotating):
        self.latency = {"read": read_ns, "write": write_ns}
        self.page_ns = {"read": read_page_ns, "write": write_page_ns}
        self.free_at = [0] * servers
        self.ready = {"read": 0.0, "write": 0.0}
        self.rotating = rotating
        self.last_end = -1
        self.recent, self.recent_at = 0.0, 0

    def faded(self, now):
        """Pages written lately."""
        return self.recent * math.exp(-max(0, now - self.recent_at) / 1e8)

    def request(self, direction, slot, pages, now):
        latency, page_ns = self.latency[direction], self.page_ns[direction]
        transfer = pages * page_ns if self.rotating else (pages - 1) * page_ns
        if self.rotating and slot == self.last_end:
            latency = 0
        if direction == "write":
            begins = int(max(self.ready["write"], now))
            self.recent, self.recent_at = self.faded(begins) + pages, max(begins, self.recent_at)
        elif not self.rotating:
            use = min(1.0, self.faded(now) * self.page_ns["write"] / 1e8)
            latency *= 1 + 2 * max(0.0, use - 0.5)
        first = self.free_at.index(min(self.free_at))
        done = max(now, self.free_at[first]) + int(latency + transfer)
        self.free_at[first] = done
        self.ready[direction] = max(self.ready[direction], now) + pages * page_ns
        self.last_end = slot + pages
        return max(done, int(self.ready[direction]))


class Slots:
    def __init__(self, total, rotating):
        self.total, self.rotating = total, rotating
        self.used: dict[int, tuple[Guest, int, int]] = {}  # slot -> guest, page, evictions of the guest then
        self.free_clusters = [] if rotating else list(range(total // CLUSTER))
        self.at, self.current = 0, None

    def used_in(self, cluster):
        return any(slot in self.used for slot in range(cluster * CLUSTER, (cluster + 1) * CLUSTER))

    def next_slot(self):
        if len(self.used) == self.total:
            return None
        if not self.rotating:
            if self.current is not None:
                for slot in range(self.at, (self.current + 1) * CLUSTER):
                    if slot not in self.used:
                        return slot
                if not self.used_in(self.current):
                    self.free_clusters.append(self.current)
                self.current = None
            if self.free_clusters:
                self.current = self.free_clusters.pop(0)
                return self.current * CLUSTER
        order = [*range(self.at, self.total), *range(self.at)]
        return next(slot for slot in order if slot not in self.used)

    def take(self, most):
        """Contiguous slots, at least one unless swap is full."""
        slot = self.next_slot()
        if slot is None:
            return []
        limit = self.total if self.current is None else (self.current + 1) * CLUSTER
        run = [slot]
        while len(run) < most and run[-1] + 1 < limit and run[-1] + 1 not in self.used:
            run.append(run[-1] + 1)
        self.at = run[-1] + 1
        return run

    def free(self, slot):
        del self.used[slot]
        cluster = slot // CLUSTER
        whole = (cluster + 1) * CLUSTER <= self.total
        if not self.rotating and cluster != self.current and whole and not self.used_in(cluster):
            self.free_clusters.append(cluster)


@dataclass(eq=False)
class Guest:
    npfn: int
    vmm: int
    huge: set[int] = field(default_factory=set)  # blocks that are one mapped huge folio
    partial: dict[int, set[int]] = field(default_factory=dict)  # block -> pages that its folio still backs, queue order
    present: set[int] = field(default_factory=set)
    ept: set[int] = field(default_factory=set)
    tables: set[int] = field(default_factory=set)  # blocks with a host table
    ept_tables: set[int] = field(default_factory=set)
    directories: set[int] = field(default_factory=set)
    ept_directories: set[int] = field(default_factory=set)
    slot: dict[int, int] = field(default_factory=dict)  # of swapped and copied pages
    swapped: set[int] = field(default_factory=set)
    ahead: set[int] = field(default_factory=set)
    writing: set[int] = field(default_factory=set)
    copied: set[int] = field(default_factory=set)
    accessed: set[int] = field(default_factory=set)
    referenced: set[int] = field(default_factory=set)
    active: set[int] = field(default_factory=set)
    lists: dict[bool, list[int]] = field(default_factory=lambda: {False: [], True: []})  # active? -> words, oldest first
    evictions: int = 0
    window: int = 0
    hits: int = 4
    last: int = 0
    number: int = 0  # of the launch
    text_out: int = 0  # of the VMM's code
    ran: bool = False  # the VMM did, since reclaim last looked

    def frames(self):
        unmapped = sum(BLOCK - len(pages) for pages in self.partial.values())
        tables = len(self.tables) + len(self.ept_tables) + len(self.directories) + len(self.ept_directories)
        return self.vmm - self.text_out + len(self.present) + unmapped + len(self.ahead) + len(self.writing) + tables

    def listed(self):
        return self.present | self.ahead

    def of(self, word, active):
        """Pages of a unit on one of the lists."""
        first = word * WORD
        size = BLOCK if first // BLOCK in self.huge else WORD
        pages = {page for page in range(first, first + size) if page in self.present or page in self.ahead}
        return pages & self.active if active else pages - self.active

    def size(self, active):
        return len(self.active) if active else len(self.present) + len(self.ahead) - len(self.active)

    def relink(self, word):
        """Make the lists agree with the pages of a word: a word comes on a list as its newest."""
        for active in (False, True):
            words = self.lists[active]
            part_of_huge = word * WORD // BLOCK in self.huge and word % (BLOCK // WORD)
            wanted = not part_of_huge and bool(self.of(word, active))
            if wanted and word not in words:
                words.append(word)
            elif not wanted and word in words:
                words.remove(word)

    def leave_lists(self, pages):
        self.active -= pages
        self.accessed -= pages
        self.referenced -= pages

    def rotate(self, word, active):
        self.lists[active].remove(word)
        self.lists[active].append(word)

    def low(self):
        gib = (self.size(False) + self.size(True)) // GIB
        return self.size(False) * (math.isqrt(10 * gib) if gib else 1) < self.size(True)


class SwapModel:
    def __init__(self, total, base, marks, costs, slots, device, *, huge_frames, page_cluster=3):
        self.total, self.base, self.marks, self.costs = total, base, marks, costs
        self.device, self.slots = device, Slots(slots, device.rotating)
        self.huge_frames, self.page_cluster = huge_frames, page_cluster
        self.guests: list[Guest] = []
        self.writes: list[tuple[int, Guest, int, set[int]]] = []  # done, guest, word, pages
        self.now, self.ns = 0, 0.0
        self.next_guest = self.kswapd_guest = self.failures = 0
        self.window, self.hits, self.last_slot = 0, 4, -2
        self.out = self.read = self.major = self.splits = self.stalls = self.dropped = 0

    # Frames and time

    @property
    def free(self):
        return self.total - self.base - sum(g.frames() for g in self.guests)

    def can_take(self, frames):
        return self.free - frames >= self.marks[0]

    @property
    def time(self):
        return self.now + int(self.ns)

    def settle(self):
        while self.writes and self.writes[0][0] <= self.time:
            _, guest, _, pages = self.writes.pop(0)
            guest.writing -= pages

    def wait_write(self):
        wait = self.writes[0][0] - self.time
        if wait > 0:
            self.ns += wait
        self.settle()

    def write(self, g, word, pages, slot, count):
        done = self.device.request("write", slot, count, self.time)
        if self.writes:
            done = max(done, self.writes[-1][0])
        self.writes.append((done, g, word, set(pages)))

    def cancel(self, g, pages):
        for _, guest, _, waiting in self.writes:
            if guest is g:
                waiting -= pages
        g.writing -= pages

    def free_slots(self, g, pages):
        for page in sorted(pages):
            self.slots.free(g.slot.pop(page))

    # Eviction

    def own(self, g, pages, run):
        for page, slot in zip(pages, run, strict=True):
            g.slot[page] = slot
            self.slots.used[slot] = (g, page, g.evictions)
            g.evictions += 1

    def unmap(self, g, pages):
        g.leave_lists(pages)
        g.present -= pages
        g.ept -= pages
        g.swapped |= pages

    def evict(self, g, word, pages):
        """Small pages of a word, ascending, as far as there are slots."""
        clean = {page for page in pages if page in g.copied}
        ahead = pages & g.ahead
        self.unmap(g, clean)
        g.copied -= clean
        g.leave_lists(ahead)
        g.ahead -= ahead
        g.relink(word)
        evicted = len(clean) + len(ahead)
        self.dropped += len(clean)
        dirty = sorted(pages - clean - ahead)
        while dirty:
            while len(self.writes) + 1 > MAX_WRITES:
                self.wait_write()
            run = self.slots.take(len(dirty))
            if not run:
                break
            part, dirty = dirty[: len(run)], dirty[len(run) :]
            self.own(g, part, run)
            self.unmap(g, set(part))
            g.writing |= set(part)
            g.relink(word)
            self.out += len(part)
            evicted += len(part)
            self.ns += len(part) * self.costs["swap.out_cpu_4k"]
            self.write(g, word, part, run[0], len(run))
        return evicted

    def evict_huge(self, g, block):
        """The whole folio, or nothing: then it was split if a table could be had."""
        if self.free == 0:
            return 0
        pages = list(range(block * BLOCK, (block + 1) * BLOCK))
        words = [block * 8 + w for w in range(8)]
        if self.device.rotating or not self.slots.free_clusters:
            g.huge.remove(block)
            g.tables.add(block)
            g.ept -= set(pages)
            for active in (False, True):
                if words[0] in g.lists[active]:
                    at = g.lists[active].index(words[0])
                    g.lists[active][at : at + 1] = words
            self.splits += 1
            self.ns += self.costs["host.thp_split_folio"]
            return 0
        first = self.slots.free_clusters.pop(0) * CLUSTER
        run = list(range(first, first + CLUSTER))
        for active in (False, True):
            if words[0] in g.lists[active]:
                g.lists[active].remove(words[0])
        self.unmap(g, set(pages))
        g.huge.remove(block)
        g.tables.add(block)
        self.own(g, pages, run)
        g.writing |= set(pages)
        while len(self.writes) + 8 > MAX_WRITES:
            self.wait_write()
        self.ns += BLOCK * self.costs["swap.out_cpu_4k"]
        done = self.device.request("write", first, CLUSTER, self.time)
        for word in words:
            done = max(done, self.writes[-1][0]) if self.writes else done
            self.writes.append((done, g, word, set(range(word * WORD, (word + 1) * WORD))))
        self.out += BLOCK
        return BLOCK

    # Scan

    def split_partial(self, g, block):
        del g.partial[block]
        g.ept -= set(range(block * BLOCK, (block + 1) * BLOCK))
        self.splits += 1
        self.ns += self.costs["host.thp_split_folio"]

    def scan_inactive(self, g, counts):
        """The oldest unit of the inactive list."""
        word = g.lists[False][0]
        block = word * WORD // BLOCK
        if block in g.huge:
            pages = set(range(block * BLOCK, (block + 1) * BLOCK))
            evicted = 0
            if g.accessed & pages:
                twice = bool(g.referenced & pages)
                g.accessed -= pages
                g.referenced |= pages
                if twice:
                    g.evictions += BLOCK
                    g.active |= pages
                    g.relink(word)
                else:
                    g.rotate(word, False)
            else:
                g.referenced -= pages
                evicted = self.evict_huge(g, block)
                if evicted == 0 and block in g.huge:
                    g.rotate(word, False)
            if not evicted:
                self.ns += self.costs["swap.scan_page"]
            counts["scanned"] += BLOCK
            counts["reclaimed"] += evicted
            return
        if block in g.partial:
            before = self.free
            self.split_partial(g, block)
            counts["reclaimed"] += self.free - before
        pages = g.of(word, False)
        accessed = pages & g.accessed
        twice = accessed & g.referenced
        g.accessed -= pages
        g.referenced = (g.referenced - pages) | accessed
        g.active |= twice
        g.evictions += len(twice)
        g.relink(word)
        evicted = self.evict(g, word, pages - accessed) if pages - accessed else 0
        if word in g.lists[False]:
            g.rotate(word, False)
        self.ns += (len(pages) - evicted) * self.costs["swap.scan_page"]
        counts["scanned"] += len(pages)
        counts["reclaimed"] += evicted

    def scan_active(self, g):
        word = g.lists[True][0]
        pages = g.of(word, True)
        g.accessed -= pages
        g.active -= pages
        g.relink(word)
        huge = word * WORD // BLOCK in g.huge
        self.ns += self.costs["swap.scan_page"] * (1 if huge else len(pages))
        return len(pages)

    def drop_text(self, g, priority, counts):
        """Code of a VMM that has not run since the last look."""
        left = min(g.vmm, TEXT) - g.text_out
        if left and not g.ran:
            n = min(left, max(left >> priority, BATCH))
            g.text_out += n
            self.ns += n * self.costs["swap.scan_page"]
            counts["scanned"] += n
            counts["reclaimed"] += n
        g.ran = g.ran and left == 0

    def wake_vmm(self, g):
        """The VMM runs: its code is read again; the time it waits."""
        self.ns = 0.0
        g.ran = True
        missing = g.text_out
        if missing and self.reclaim(missing):
            end = self.time
            g.text_out -= missing
            at = self.slots.total + g.number * TEXT
            while missing:
                n = min(missing, 32)
                end = self.device.request("read", at + missing, n, end)
                self.major += 1
                missing -= n
            return end - self.now
        return int(self.ns)

    def targets(self, g, priority):
        return {active: max(g.size(active) >> priority, min(g.size(active), BATCH)) for active in (False, True)}

    def batch(self, g, todo, counts):
        if todo[True] > 0 and g.lists[True] and g.low():
            done = 0
            while done < BATCH and g.lists[True]:
                done += self.scan_active(g)
            todo[True] -= done
        elif todo[False] > 0 and g.lists[False]:
            before = counts["scanned"]
            while counts["scanned"] - before < BATCH and g.lists[False]:
                self.scan_inactive(g, counts)
            todo[False] -= counts["scanned"] - before
        else:
            return False
        return True

    @property
    def is_full(self):
        return len(self.slots.used) == self.slots.total

    def split_queue(self, goal):
        for g in self.guests:
            while g.partial and self.free < goal:
                self.split_partial(g, next(iter(g.partial)))

    def reclaim(self, frames):
        """Direct reclaim; whether the frames can be taken."""
        if frames <= 0 or self.can_take(frames):
            return True
        self.stalls += 1
        self.split_queue(self.marks[0] + frames)
        if self.can_take(frames):
            return True
        failures = 0
        while True:
            self.settle()
            if self.can_take(frames):
                self.failures = 0
                return True
            counts = {"scanned": 0, "reclaimed": 0}
            priority = 12
            while priority >= 0 and counts["reclaimed"] < BATCH and not self.can_take(frames):
                was_full = self.is_full
                for _ in range(len(self.guests)):
                    if counts["reclaimed"] >= BATCH or was_full:
                        break
                    self.next_guest %= len(self.guests)
                    g = self.guests[self.next_guest]
                    self.next_guest += 1
                    self.drop_text(g, priority, counts)
                    todo = self.targets(g, priority)
                    while counts["reclaimed"] < BATCH and self.batch(g, todo, counts):
                        pass
                priority -= 1
            if self.can_take(frames):
                continue
            if self.writes:
                self.wait_write()
            elif counts["reclaimed"] == 0:
                failures += 1
                if failures == RETRIES or counts["scanned"] == 0:
                    return False

    def in_flight(self):
        return sum(len(pages) for _, _, _, pages in self.writes)

    def kswapd(self):
        """Until it sleeps."""
        self.ns = 0.0
        total, priority, high = 0, 12, self.marks[2]
        while True:
            counts = {"scanned": 0, "reclaimed": 0}
            self.settle()
            self.split_queue(high)
            for _ in range(len(self.guests)):
                self.settle()
                if self.is_full or self.free + self.in_flight() >= high:
                    break
                self.kswapd_guest %= len(self.guests)
                g = self.guests[self.kswapd_guest]
                self.drop_text(g, priority, counts)
                todo = self.targets(g, priority)
                while self.batch(g, todo, counts):
                    self.settle()
                    if self.is_full or self.free + self.in_flight() >= high:
                        break
                else:
                    self.kswapd_guest += 1
            total += counts["reclaimed"]
            self.settle()
            while self.free < high <= self.free + self.in_flight():
                self.wait_write()
            if self.free >= high:
                self.failures = 0
                return
            if counts["scanned"] < high or counts["reclaimed"] == 0:
                priority -= 1
                if priority < 1:
                    self.failures = self.failures + 1 if total == 0 else 0
                    priority, total = 12, 0
                    if self.failures >= RETRIES:
                        return

    # Faults

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

    # Discard

    def discard(self, g, pfn, npages):
        """One call."""
        pages = set(range(pfn, pfn + npages))
        for block in range(pfn // BLOCK, (pfn + npages - 1) // BLOCK + 1):
            in_block = set(range(block * BLOCK, (block + 1) * BLOCK))
            words = range(block * 8, block * 8 + 8)
            if block in g.huge and in_block <= pages:
                g.leave_lists(in_block)
                g.present -= in_block
                g.ept -= in_block
                g.huge.remove(block)
                for active in (False, True):
                    if words[0] in g.lists[active]:
                        g.lists[active].remove(words[0])
            else:
                if block in g.huge:
                    g.huge.remove(block)
                    g.ept -= in_block
                    g.partial[block] = set(in_block)
                    for active in (False, True):
                        if words[0] in g.lists[active]:
                            at = g.lists[active].index(words[0])
                            g.lists[active][at : at + 1] = list(words)
                    was_split = True
                else:
                    was_split = False
                hit = in_block & pages
                self.cancel(g, hit & g.writing)
                for word in words:
                    of_word = hit & set(range(word * WORD, (word + 1) * WORD))
                    self.free_slots(g, of_word & g.swapped)
                    self.free_slots(g, of_word & g.copied)
                g.leave_lists(hit)
                for state in (g.present, g.ept, g.swapped, g.ahead, g.writing, g.copied):
                    state -= hit
                if block in g.partial:
                    g.partial[block] -= hit
                    if not g.partial[block]:
                        del g.partial[block]
                for word in words:
                    g.relink(word)
                if was_split:
                    if self.free == 0:
                        self.split_partial(g, block)
                    g.tables.add(block)
            if in_block <= pages:
                g.ept_tables.discard(block)

    def remove(self, g):
        self.cancel(g, set(g.writing))
        index = self.guests.index(g)
        for page in sorted(g.slot):
            self.slots.free(g.slot[page])
        del self.guests[index]
        self.next_guest -= self.next_guest > index
        self.kswapd_guest -= self.kswapd_guest > index

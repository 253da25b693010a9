"""Reclaim: both lists are scanned in batches, for a fault that needs frames or by kswapd."""

from host.swap.eviction import Eviction
from host.swap.guest import BLOCK, WORD

BATCH, RETRIES = 32, 16
TEXT = 1024  # frames of a VMM's code


class Reclaim(Eviction):
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

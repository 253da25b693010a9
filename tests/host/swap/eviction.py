"""Eviction: pages of a word or a whole huge folio go to swap, or are dropped where swap has them already."""

from host.swap.frames import Frames
from host.swap.guest import BLOCK, WORD
from host.swap.slots import CLUSTER

MAX_WRITES = 512


class Eviction(Frames):
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

"""The whole host: touches and kswapd of the floors below, and discards of what guests give back."""

from host.swap.faults import Faults
from host.swap.guest import BLOCK, WORD


class SwapModel(Faults):
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

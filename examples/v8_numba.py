"""Free page hinting v8 as a user's strategy: the same decisions, counters and times as the built-in one.

    hinting run seed --strategy v8 --strategy examples/v8_numba.py:V8Numba
"""

import hinting
from hinting.strategies import PAGE_COMPOUND, PAGE_FREE, PAGE_USED

COUNTERS = {
    "total_freed": "total_freed_memory", "captured": "captued_memory", "scanned": "scanned_memory",
    "total_isolated": "total_isolated_memory", "tail_isolated": "tail_isolated_memory",
    "failed_isolation": "failed_isolation_memory", "reallocated": "reallocated_memory",
    "free_non_buddy": "free_non_buddy_memory", "guest_returned": "guest_returned_memory",
}


@hinting.strategy
class V8Numba:
    """Free page hinting v8: a per-CPU array of freed pages, scanned when full, reported by the CPU's thread."""

    name = "v8-numba"
    entries: int = hinting.parameter(1000, "entries of the captured array", low=2, high=1 << 20)

    synchronous, descriptors, call_pages, wake_latency_ns = True, 1, 1, 10_000
    counters = COUNTERS

    def state(self):
        return {"n": "i8", "pfn": ("u4", self.entries), "order": ("i1", self.entries), **dict.fromkeys(COUNTERS, "i8")}

    def on_free(self, guest, cpu, pfn, order):
        self.total_freed += 4 << order
        if self.n == self.entries:
            return                                  # the thread has not worked the array off: the page is lost
        self.pfn[self.n], self.order[self.n] = pfn, order
        self.n += 1
        self.captured += 4 << order
        guest.work(1)
        if self.n < self.entries:
            return
        guest.drain(cpu)
        for i in range(self.entries):               # an entry inside a free block becomes the block, or goes
            head, block_order = guest.block(self.pfn[i])
            if head >= 0 and head != self.pfn[i]:
                found = 0
                while found < self.entries and self.pfn[found] != head:
                    found += 1
                guest.work(0, min(found + 1, self.entries))
                self.pfn[i], self.order[i] = (head, block_order) if found == self.entries else (0, -1)
        self.n = 0
        for i in range(self.entries):
            if self.order[i] >= 0:
                self.pfn[self.n], self.order[self.n] = self.pfn[i], self.order[i]
                self.n += 1
        if self.n == self.entries:
            guest.wake()

    def on_thread(self, guest, cpu):
        if self.n < self.entries:
            return
        for i in range(self.n):
            at, end = self.pfn[i], self.pfn[i] + (1 << self.order[i])
            while at < end:
                kind, head, order = guest.page(at)
                size, step = 4 << order, head + (1 << order) - at
                if kind == PAGE_COMPOUND:
                    self.reallocated += size
                elif kind == PAGE_FREE:
                    if guest.isolate(head, order):
                        self.total_isolated += size
                        self.tail_isolated += size if head != at else 0
                    else:
                        self.failed_isolation += size
                else:
                    size, step = 4, 1
                    if kind == PAGE_USED and head == at:
                        self.reallocated += size
                    else:
                        self.free_non_buddy += size
                self.scanned += size
                at += step
        if guest.report() < 0:
            self.n = 0

    def on_host_done(self, guest, cpu, ticket):
        self.guest_returned = self.total_isolated
        guest.put_back_all(ticket)
        self.n = 0

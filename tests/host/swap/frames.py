"""Frames, time and the writes that are under way."""

from host.swap.guest import Guest
from host.swap.slots import Slots


class Frames:
    """The state of the host and its books."""

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

"""The swap device: when its requests are done."""

import math


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

"""Slots of the swap area: clusters in turn on a solid-state device, first free from where it was on a disk."""

from __future__ import annotations

from host.swap.guest import Guest

CLUSTER = 512


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

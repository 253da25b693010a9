"""Random operations on two allocators side by side; the first difference ends the run."""

from collections import deque
from random import Random

import numpy as np

from allocator.scenario import Scenario, gfp_kinds, orders
from hinting._core.mm import steps
from reference.constants import ISOLATE, MAX_ORDER, MERGEABLE, MOVABLE

__all__ = ["Difference", "Driver", "run"]

PCP_FIELDS = {
    "linux-5.0": ("count", "batch", "high", "diff"),
    "linux-6.1": ("count", "batch", "high", "free_factor", "diff"),
    "linux-6.12": ("count", "batch", "high", "high_min", "high_max", "alloc_factor", "free_count", "flags", "diff"),
}
ZONE_FIELDS = ("free", "counter", "boost", "nr_reserved_highatomic", "boosted", "below_high", "reclaim_active")


class Difference(AssertionError):
    """The two allocators disagree."""


class Driver:
    """Plays one seed. `oracle` must be the plain model (the driver looks into it for free blocks), `other` the core.

    record: makes the core's hooks write their calls into a list; half of the seeds have it.
    """

    def __init__(self, kernel: str, seed: int, make_oracle, make_other, record=None):
        self.random = Random(f"{kernel} {seed}")
        self.kernel = kernel
        self.seed = seed
        scenario = self.scenario = Scenario(kernel, self.random)
        self.oracle = make_oracle(kernel, scenario.zones, scenario.ncpus)
        self.other = make_other(kernel, scenario.zones, scenario.ncpus)
        cache_flags = self.random.choice((0, 2))
        for allocator in (self.oracle, self.other):
            scenario.load(allocator)
            if kernel == "linux-6.12":
                for zone in scenario.zones:
                    allocator.load_pcp_state(zone["index"], scenario.ncpus - 1, {"flags": cache_flags})
        self.log = record(self.other) if record is not None and seed % 2 else None
        self.gfps = gfp_kinds(kernel, self.random)
        self.orders = orders(self.random)
        self.patience = self.random.choice((0.8, 0.99))  # chance to go on allocating after a failure
        self.pages = []  # allocated single pages
        self.blocks = []  # allocated (pfn, order) of larger blocks
        self.isolated = []
        self.recent = deque(maxlen=12)
        self.steps = 0
        self.failures = 0
        self.growing = True
        operations = {
            self.alloc: 46,
            self.alloc_reclaiming: 2,
            self.free_page: 22,
            self.free_block: 12,
            self.free_list: 4,
            self.bulk: 3,
            self.split: 3,
            self.isolate: 3,
            self.putback: 3,
            self.fold: 1,
            self.drain: 0.5,
            self.decay: 1,
            self.kswapd: 1,
            self.offline: 0.5,
            self.mark: 4,
            self.rotate: 1,
            self.drain_remote: 0.5,
            self.unreserve: 0.5,
        }
        if kernel == "linux-5.0":
            del operations[self.bulk]
        if kernel != "linux-6.12":
            del operations[self.decay]
        self.operations = [op for op, weight in operations.items() for _ in range(round(2 * weight))]

    def play(self, steps: int, compare_every: int = 50, check_every: int = 2000) -> None:
        """Do so many operations; compare results at each, all state now and then and at the end."""
        random = self.random
        self.compare()
        for _ in range(steps):
            self.steps += 1
            if self.steps % 400 == 0:
                self.growing = random.random() < 0.6
            operation = self.operations[int(random.random() * len(self.operations))]
            if self.growing and operation in (self.free_page, self.free_block) and random.random() < 0.6:
                operation = self.alloc
            try:
                operation()
                if self.steps % compare_every == 0:
                    self.compare()
                if self.steps % check_every == 0:
                    self.check()
            except Difference:
                raise
            except Exception as error:
                self.fail(f"{type(error).__name__}: {error}")
        self.compare()
        self.check()

    # One operation each

    def both(self, name, *arguments):
        """Call both, expect the same; the result."""
        self.recent.append((name, arguments))
        self.oracle.log.clear()
        expected = getattr(self.oracle, name)(*arguments)
        got = getattr(self.other, name)(*arguments)
        if expected != got and (name != "bulk" or list(expected) != list(got)):
            self.fail(f"returned {got}, expected {expected}")
        if self.log is not None:
            if self.log != self.oracle.log:
                self.fail(f"called the hooks {self.log}, expected {self.oracle.log}")
            self.log.clear()
        return expected

    def step(self, name, *arguments):
        """The same step inside both; the result."""
        self.recent.append((name, arguments))
        expected = getattr(self.oracle, name)(*arguments)
        got = getattr(steps, name)(self.other, *arguments)
        if expected != got:
            self.fail(f"returned {got}, expected {expected}")
        if self.log is not None:
            self.log.clear()
        return expected

    def cpu(self):
        return int(self.random.random() * self.scenario.ncpus)

    def pop(self, items):
        """Take a random item out of a list."""
        at = int(self.random.random() * len(items))
        items[at], items[-1] = items[-1], items[at]
        return items.pop()

    def hold(self, pfn, order):
        if order == 0:
            self.pages.append(pfn)
        else:
            self.blocks.append((pfn, order))

    def alloc(self):
        order = self.orders[int(self.random.random() * len(self.orders))]
        gfp = self.gfps[int(self.random.random() * len(self.gfps))]
        pfn = self.both("alloc", order, gfp, self.cpu())
        if pfn == -1:
            self.failures += 1
            if self.random.random() > self.patience:
                self.growing = False
        else:
            self.hold(pfn, order)

    def alloc_reclaiming(self):
        """A request for which reclaim finds some of the single pages, and others free some when it finds none."""
        random = self.random
        order = self.orders[int(random.random() * len(self.orders))]
        gfp = self.gfps[int(random.random() * len(self.gfps))]
        sizes = (random.choice((0, 5, 40, 200)), *random.choice(((), (1,), (0,) * 16 + (20, 20))))
        stock, *others = [[self.pop(self.pages) for _ in range(min(len(self.pages), size))] for size in sizes]
        pfn, freed, in_vain = self.step("alloc_reclaiming_from", order, gfp, stock, self.cpu(), others)
        for kept in (stock[freed:], *others[in_vain:]):
            self.pages += kept
        if pfn != -1:
            self.hold(pfn, order)

    def bulk(self):
        gfp = self.random.choice(self.gfps)
        self.pages += self.both("bulk", gfp, self.random.choice((1, 2, 5, 31, 64)), self.cpu())

    def free_page(self):
        if self.pages:
            self.both("free", self.pop(self.pages), 0, self.cpu())

    def free_block(self):
        if self.blocks:
            pfn, order = self.pop(self.blocks)
            self.both("free", pfn, order, self.cpu())

    def free_list(self):
        n = min(len(self.pages), self.random.choice((1, 3, 20, 60)))
        if self.random.random() < 0.5:
            pfns = [self.pop(self.pages) for _ in range(n)]
        else:
            pfns = self.pages[len(self.pages) - n :]
            del self.pages[len(self.pages) - n :]
        self.both("free_list", pfns, self.cpu())

    def split(self):
        if self.blocks:
            pfn, order = self.pop(self.blocks)
            if order > 5 and self.random.random() < 0.8:
                self.blocks.append((pfn, order))
                return
            self.both("split", pfn, order)
            self.pages += range(pfn, pfn + (1 << order))

    def drain(self):
        self.both("drain", *self.random.choice(((), (self.cpu(),))))

    def decay(self):
        self.both("decay", self.cpu())

    def fold(self):
        self.both("fold", self.cpu())

    def free_head(self):
        """A free block (pfn, order), or None."""
        zone = self.random.choice(self.oracle.zones)
        if not zone.free:
            return None
        heads = list(zone.free)
        pfn = self.random.choice(heads)
        if self.random.random() < 0.5:  # large blocks more often than their number suggests
            pfn = max(self.random.sample(heads, min(8, len(heads))), key=lambda head: zone.free[head][0])
        return pfn, zone.free[pfn][0]

    def isolate(self):
        block = self.free_head()
        if block and len(self.isolated) <= 6 and self.both("isolate", *block):
            self.isolated.append(block)

    def putback(self):
        if self.isolated:
            self.both("putback", *self.pop(self.isolated))

    def mark(self):
        """Reported to the host, perhaps not as the block that it is by now."""
        block = self.free_head()
        if block:
            pfn, order = block
            self.step("mark_reported", pfn, order if self.random.random() < 0.9 or not order else order - 1)

    def rotate(self):
        block = self.free_head()
        if block:
            self.step("rotate_to_front", *block)

    def unreserve(self):
        index = self.random.choice(self.scenario.zones)["index"]
        self.step("unreserve_highatomic", index, self.random.choice(MERGEABLE), self.random.random() < 0.5, self.cpu())

    def drain_remote(self):
        self.step("drain_remote", self.cpu(), self.cpu())

    def kswapd(self):
        """kswapd goes to work or to rest, and at rest may take back the boost."""
        index = self.random.choice(self.scenario.zones)["index"]
        state = self.oracle.zone_state(index)
        works = self.random.random() < 0.3
        boost = state["boost"] if works or self.random.random() < 0.5 else 0
        self.both("load_zone_state", index, None, boost, 2 * works + 4 * state["below_high"])

    def offline(self):
        """Isolate a pageblock that has no free blocks on lists and is no half of a larger block, or release one."""
        zone = self.random.choice(self.oracle.zones)
        pfn = self.random.randrange(zone.start, zone.end)
        first = pfn // 512 * 512
        large = pfn // 1024 * 1024
        if zone.used.get(large) == MAX_ORDER or zone.isolated.get(large) == MAX_ORDER:
            return
        if any(head < first + 512 and first < head + (1 << order) for head, (order, _) in zone.free.items()):
            return
        if zone.block_type(pfn) == ISOLATE:
            self.both("set_block_type", pfn, MOVABLE)
        elif self.random.random() < 0.2:
            self.both("set_block_type", pfn, ISOLATE)

    # Comparing

    def compare(self):
        """All lists, block types, sizes and counters."""
        for name in ("free_lists", "pcp_lists"):
            self.compare_lists(name, getattr(self.oracle, name)(), getattr(self.other, name)())
        self.compare_marks()
        for name in ("kswapd_wakeups", "allocstall"):
            expected, got = getattr(self.oracle, name), getattr(self.other, name)
            if expected != got:
                self.fail(f"{name} {got}, expected {expected}")
        expected, got = self.oracle.block_types(), self.other.block_types()
        if list(expected) != list(got):
            self.fail(f"block types {list(got)}, expected {expected}")
        for zone in self.scenario.zones:
            index = zone["index"]
            fields = (*ZONE_FIELDS, *(("nr_free_highatomic",) if self.kernel == "linux-6.12" else ()))
            self.compare_fields(f"zone {index}", fields, self.oracle.zone_state(index), self.other.zone_state(index))
            for cpu in range(self.scenario.ncpus):
                self.compare_fields(
                    f"zone {index} CPU {cpu}",
                    PCP_FIELDS[self.kernel],
                    self.oracle.pcp_state(index, cpu),
                    self.other.pcp_state(index, cpu),
                )

    def compare_lists(self, name, expected, got):
        if expected == got:
            return
        for key in sorted(set(expected) | set(got)):
            if expected.get(key, []) != list(got.get(key, [])):
                self.fail(f"{name}{list(key)} {list(got.get(key, []))}, expected {expected.get(key, [])}")

    def compare_marks(self):
        """Which free blocks were reported."""
        expected, got = self.oracle.reported(), set()
        for (_, order, _), pfns in self.other.free_lists().items():
            marked = self.other.reported_array(np.array(pfns, np.uint32), order)
            got |= {pfn for pfn, is_marked in zip(pfns, marked, strict=True) if is_marked}
        if expected != got:
            self.fail(f"reported blocks {sorted(got)}, expected {sorted(expected)}")

    def compare_fields(self, where, fields, expected, got):
        for field in fields:
            if expected[field] != got[field]:
                self.fail(f"{where}: {field} {got[field]}, expected {expected[field]}")

    def check(self):
        self.oracle.check()
        self.other.check()

    def fail(self, what):
        done = "\n".join(f"  {name}{arguments}" for name, arguments in self.recent)
        raise Difference(f"{self.kernel} seed {self.seed} operation {self.steps}: {what}\nlast operations:\n{done}")


def run(kernel: str, seed: int, steps: int, make_oracle, make_other, record=None) -> Driver:
    """Play a seed; if the states differ somewhere, play it again to name the very operation."""
    driver = Driver(kernel, seed, make_oracle, make_other, record)
    found = None
    try:
        driver.play(steps)
    except Difference as difference:
        found = difference
    if found:
        Driver(kernel, seed, make_oracle, make_other, record).play(driver.steps, compare_every=1)
        raise found
    return driver

"""Random histories of guests that swap, against the plain model: frames, lists, slots, I/O and time after each event.

Acceptance test 1: the books balance after every event, no number is negative, no page is both present and swapped.
"""

import random

import pytest

from hinting._core.host.host import HostMemory
from host.swap import BLOCK, Device, Guest, SwapModel

BLOCKS = 6
NPFN = BLOCKS * BLOCK - 100  # the last block is not whole
TOTAL = 2 * BLOCKS * BLOCK
BASE = 600
MARKS = (150, 250, 350)
VMM = 33
MIB_PAGES = 256


def model_device(kind, costs):
    page_ns = {name: 1e9 / (costs[name] * MIB_PAGES) for name in costs if name.endswith("_mib_s")}
    if kind == "hdd":
        seek, transfer = costs["dev.hdd.random"], page_ns["dev.hdd.seq_mib_s"]
        return Device(seek, seek, transfer, transfer, int(costs["dev.hdd.qd"]), True)
    if kind == "sata":
        transfer = page_ns["dev.sata.read_mib_s"]
        return Device(costs["dev.sata.read"], costs["dev.sata.write"], transfer, transfer, int(costs["dev.sata.qd"]), False)
    read, write = page_ns["dev.nvme.read_mib_s"], page_ns["dev.nvme.write_mib_s"]
    return Device(costs["dev.nvme.read"], costs["dev.nvme.write"], read, write, int(costs["dev.nvme.qd"]), False)


class Pair:
    """The compiled host and the model, given the same events."""

    def __init__(self, profile, compiled, seed, kind, slots, huge_frames):
        self.rng = random.Random(seed)
        values = dict(profile.values) | {"fault.thp_alloc:high": profile.upper_values["fault.thp_alloc"]}
        self.host = HostMemory(
            TOTAL,
            BASE,
            costs=compiled,
            watermarks=MARKS,
            fragmentation=0.0 if huge_frames else 1.0,
            swap_frames=slots,
            swap_device=kind,
        )
        self.model = SwapModel(TOTAL, BASE, MARKS, values, slots, model_device(kind, values), huge_frames=huge_frames)
        self.guests = []
        self.kills = 0
        for _ in range(3):
            self.launch()

    def launch(self):
        model = Guest(NPFN, VMM)
        self.model.ns = 0.0
        if self.model.reclaim(VMM):
            self.model.guests.append(model)
            self.guests.append((self.host.add_guest(NPFN, VMM), model))
            model.number = self.guests[-1][0].id
        self.pass_time(self.model.ns)

    def kill(self):
        scores = [len(g.present) + len(g.swapped) + g.vmm + len(g.tables) + len(g.directories) for g in self.model.guests]
        victim = scores.index(max(scores))
        assert self.host.oom_kill() is self.guests[victim][0]
        self.model.remove(self.guests[victim][1])
        del self.guests[victim]
        self.kills += 1

    def pass_time(self, ns):
        self.model.now += int(ns)
        self.host.now_ns = self.model.now
        self.model.ns = 0.0
        self.model.settle()

    def step(self):
        if not self.guests or self.rng.random() < 0.004:
            self.launch()
            return
        backing, model = self.rng.choice(self.guests)
        npages = self.rng.choice([1, 2, 9, 64, 130, BLOCK, 1100])
        pfn = self.rng.randrange(NPFN)
        pfn -= pfn % self.rng.choice([1, 64, BLOCK])
        npages = min(npages, NPFN - pfn)
        chance = self.rng.random()
        if chance < 0.72:
            writes = self.rng.random() < 0.6
            expected = self.model.touch(model, pfn, npages, writes)
            found = backing.touch(pfn, npages, writes=writes)
            assert found == (expected[0], pytest.approx(expected[1]))
            self.pass_time(found.stall_ns)
            if not found.ok:
                self.kill()
        elif chance < 0.9:
            self.model.ns = 0.0
            self.model.discard(model, pfn, npages)
            backing.discard(pfn, npages)
        elif chance < 0.92:
            expected = self.model.wake_vmm(model)
            assert backing.wake_vmm() == expected
            self.pass_time(expected)
        elif chance < 0.99:
            self.model.kswapd()
            assert self.host.kswapd() == pytest.approx(self.model.ns)
            self.pass_time(self.model.ns)
        else:
            self.pass_time(self.rng.choice([10_000, 1_000_000, 1_000_000_000]))
        self.compare()

    def compare(self):
        host, model = self.host, self.model
        host.check()
        assert host.frames_free == model.free
        vmstat = host.vmstat
        found = [vmstat[name] for name in ("pswpout", "pswpin", "pgmajfault", "thp_split_page", "allocstall")]
        assert found == [model.out, model.read, model.major, model.splits, model.stalls]
        assert host.swap[1] == len(model.slots.used)
        for backing, g in self.guests:
            assert (backing.rss_pages, backing.swapped_pages) == (len(g.present), len(g.swapped))
            assert backing.lru_pages == (g.size(False), g.size(True))
            assert backing.swap_cache_frames == len(g.ahead) + len(g.writing)
            assert backing.vmm_frames == g.vmm - g.text_out

    def compare_pages(self):
        for backing, g in self.guests:
            for page in range(NPFN):
                assert backing.is_present(page) == (page in g.present)
                assert backing.is_mapped(page) == (page in g.ept)
                assert backing.is_swapped(page) == (page in g.swapped)
                assert backing.is_cached(page) == (page in g.ahead or page in g.writing)
                assert backing.slot(page) == g.slot.get(page)


@pytest.mark.parametrize(
    ("seed", "kind", "slots", "huge_frames"),
    [
        (1, "nvme", 2_500, True),
        (2, "nvme", 2_000, False),
        (3, "sata", 6_000, True),
        (4, "hdd", 2_200, True),
        (5, "hdd", 5_000, False),
        (6, "nvme", 700, True),
    ],
)
def test_random_history(profile, compiled, seed, kind, slots, huge_frames):
    pair = Pair(profile, compiled, seed, kind, slots, huge_frames)
    for turn in range(400):
        pair.step()
        if turn % 100 == 99:
            pair.compare_pages()
    assert pair.model.out > 2_000, "the history must swap"
    assert pair.model.major > 100, "and bring pages back"
    assert pair.kills or slots > 3_600, "and reach the end of swap"
    assert pair.model.dropped == sum(backing.counters["dropped_copies"] for backing, _ in pair.guests) or pair.kills

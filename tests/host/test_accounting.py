"""Frames are conserved: after every event of a random history, against the model and by recount."""

import random
from collections import Counter

import pytest

from hinting._core.host.host import HostMemory
from host.model import BLOCK, ModelGuest, ModelHost

BLOCKS = 10
NPFN = BLOCKS * BLOCK - 100  # the last block is not whole
TOTAL = 2 * BLOCKS * BLOCK
BASE = 700
MINIMUM = 150
VMM = 33


class Pair:
    """The compiled host and the model, given the same events."""

    def __init__(self, profile, compiled, seed, **flags):
        self.rng = random.Random(seed)
        huge_frames = flags.pop("huge_frames")
        self.host = HostMemory(
            TOTAL,
            BASE,
            costs=compiled,
            watermarks=(MINIMUM, 2 * MINIMUM, 3 * MINIMUM),
            fragmentation=0.0 if huge_frames else 1.0,
            **flags,
        )
        values = dict(profile.values) | {"fault.thp_alloc:high": profile.upper_values["fault.thp_alloc"]}
        self.model = ModelHost(TOTAL, BASE, MINIMUM, values, huge_frames=huge_frames, **flags)
        self.guests = []
        self.dead = 0
        self.recent = []
        for _ in range(3):
            self.launch()

    def launch(self):
        model = ModelGuest(NPFN, VMM)
        if self.model.reclaim(VMM)[0]:
            self.guests.append((self.host.add_guest(NPFN, VMM), model))
            self.model.guests.append(model)

    def kill(self):
        scores = [len(g.present) + g.vmm + g.tables(self.model.deposit)[0] for g in self.model.guests]
        victim = scores.index(max(scores))
        killed = self.host.oom_kill()
        assert killed is self.guests[victim][0]
        assert not killed.is_attached
        del self.guests[victim], self.model.guests[victim]
        self.dead += 1

    def range(self):
        """Pages of an event: mostly few, and often those of an event before, so that a block sees many."""
        if self.recent and self.rng.random() < 0.6:
            pfn = max(0, self.rng.choice(self.recent) + self.rng.choice([-2, -1, 0, 0, 0, 1]))
        else:
            pfn = self.rng.randrange(NPFN)
            if self.rng.random() < 0.4:
                pfn -= pfn % BLOCK
        self.recent = [*self.recent[-3:], pfn]
        npages = self.rng.choice([1, 1, 2, 3, 64, 130, BLOCK, 2 * BLOCK, 1100])
        return pfn, min(npages, NPFN - pfn)

    def step(self):
        if not self.guests or self.rng.random() < 0.005:
            self.launch()
            return
        backing, model = self.rng.choice(self.guests)
        pfn, npages = self.range()
        if self.rng.random() < 0.55:
            ok, ns = self.model.touch(model, pfn, npages)
            assert backing.touch(pfn, npages) == (ok, pytest.approx(ns))
            if not ok:
                self.compare(backing, model)
                self.kill()
                self.launch()
        else:
            call_pages = self.rng.choice([1, 1, 7, BLOCK, BLOCK + 5, npages])
            running = self.rng.choice([0, 1, 4])
            expected = self.model.discard(model, pfn, npages, call_pages, running)
            assert backing.discard(pfn, npages, call_pages, running_vcpus=running) == pytest.approx(expected)
        if backing.is_attached:
            self.compare(backing, model)

    def compare(self, backing, model):
        self.host.check()
        assert self.host.frames_free == self.model.free
        assert self.host.vmstat["thp_split_page"] == self.model.splits
        assert backing.rss_pages == len(model.present)
        assert backing.held_frames == model.held()
        assert backing.table_frames == model.tables(self.model.deposit)
        assert backing.deferred[0] == len(model.queue)
        assert backing.counters["refaulted_pages"] == model.refaults
        present, mapped = (Counter(page // BLOCK for page in found) for found in (model.present, model.ept))
        for block in range(BLOCKS):
            state = backing.block_state(block)
            assert (state.present, state.mapped) == (present[block], mapped[block])

    def compare_pages(self):
        for backing, model in self.guests:
            for page in range(NPFN):
                assert backing.is_mapped(page) == (page in model.ept)
                assert backing.is_present(page) == (page in model.present)


@pytest.mark.parametrize(
    ("seed", "flags"),
    [
        (1, {"thp": True, "pt_reclaim": False, "ept_reclaim": True, "thp_deposit": False, "huge_frames": True}),
        (2, {"thp": True, "pt_reclaim": True, "ept_reclaim": True, "thp_deposit": True, "huge_frames": True}),
        (3, {"thp": True, "pt_reclaim": True, "ept_reclaim": False, "thp_deposit": True, "huge_frames": True}),
        (4, {"thp": True, "pt_reclaim": False, "ept_reclaim": False, "thp_deposit": False, "huge_frames": False}),
        (5, {"thp": False, "pt_reclaim": True, "ept_reclaim": False, "thp_deposit": False, "huge_frames": True}),
    ],
)
def test_random_history(profile, compiled, seed, flags):
    pair = Pair(profile, compiled, seed, **flags)
    for _ in range(500):
        pair.step()
    pair.compare_pages()
    assert pair.dead > 0, "the history must reach the end of memory"
    if flags["thp"] and flags["huge_frames"]:
        assert pair.model.splits > 0, "the history must split folios under pressure"


def test_a_death_gives_everything_back(make_host):
    host = make_host(100_000, 1_000)
    guest = host.add_guest(50_000, 500)
    guest.touch(0, 20_000)
    guest.discard(10, 700, 1)
    guest.remove()
    assert host.frames_free == 99_000
    assert host.guests == []
    host.check()


def test_base_frames_move_the_free_frames(make_host):
    host = make_host(10_000, 1_000)
    host.base_frames = 4_000
    assert host.frames_free == 6_000
    host.base_frames = 500
    assert host.frames_free == 9_500
    host.check()

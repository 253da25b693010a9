"""Kernel caches: objects, slabs, what shrinks them, and how they scatter over memory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hinting.errors import OpError
from hinting.workloads import KINDS, NEWEST, OLDEST, SLAB
from tests.guest_memory.harness import MIB, launch, run

DENTRY = {"proc": 3, "flags": KINDS["reclaimable"], "b": 21}
PLACES = 7


class Caches:
    """One kernel cache, slowly: a list of slabs with the ages of their objects; NEWEST and OLDEST only."""

    def __init__(self):
        self.slabs: list[list[int]] = []
        self.current: list[int] = []
        self.partial: list[list[int]] = []
        self.age = 0

    def grow(self, n):
        for _ in range(n):
            if self.current not in self.slabs or len(self.current) == PLACES:
                self.partial = [slab for slab in self.partial if 0 < len(slab) < PLACES]
                self.current = self.partial.pop(0) if self.partial else []
                if not any(slab is self.current for slab in self.slabs):
                    self.slabs.append(self.current)
            self.current.append(self.age)
            self.age += 1

    def shrink(self, n, newest):
        for _ in range(n):
            ages = [age for slab in self.slabs for age in slab]
            if not ages:
                break
            age = max(ages) if newest else min(ages)
            slab = next(slab for slab in self.slabs if age in slab)
            slab.remove(age)
            if slab is self.current:
                continue
            if not slab:
                self.slabs = [other for other in self.slabs if other is not slab]
            elif not any(other is slab for other in self.partial):
                self.partial.append(slab)
        if not any(self.slabs):
            self.slabs, self.current, self.partial = [], [], []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["grow", OLDEST, NEWEST]), st.integers(1, 60)), max_size=25))
def test_slabs_are_those_of_the_model(steps):
    sim, vm = launch(("SLAB_GROW", {"proc": 1, "order": 1, "b": PLACES}))
    model = Caches()
    for step, n in steps:
        if step == "grow":
            run(sim, vm, ("SLAB_GROW", {"proc": 1, "order": 1, "a": n, "b": PLACES}))
            model.grow(n)
        else:
            run(sim, vm, ("SLAB_SHRINK", {"proc": 1, "a": n, "flags": step}))
            model.shrink(n, step == NEWEST)
        counts = vm.counts()
        assert counts["slab_objects"] == sum(map(len, model.slabs))
        assert counts["slab_pages"] == 2 * len(model.slabs)


@pytest.mark.parametrize("flags", [0, OLDEST, NEWEST])
def test_all_of_a_cache_goes(flags):
    sim, vm = launch()
    vm.guest.drain()
    free = vm.guest.free_pages()
    run(sim, vm, ("SLAB_GROW", {**DENTRY, "a": 21_000}))
    assert vm.counts()["slab_pages"] == 1000
    run(sim, vm, ("SLAB_SHRINK", {"proc": 3, "flags": flags}))
    vm.guest.drain()
    assert vm.counts()["slab_objects"] == 0
    assert vm.guest.free_pages() == free


def test_scattered_frees_keep_nearly_all_slabs():
    kept = {}
    for name, flags in (("scattered", 0), ("oldest", OLDEST)):
        sim, vm = launch(("SLAB_GROW", {**DENTRY, "a": 21_000}), ("SLAB_SHRINK", {"proc": 3, "a": 18_900, "flags": flags}))
        sim.run()
        sim.check()
        kept[name] = vm.counts()["slab_pages"]
    assert kept["oldest"] == 100
    assert 800 < kept["scattered"] < 1000


def test_reclaim_shrinks_what_is_reclaimable():
    for kind, kills in (("reclaimable", 0), ("kernel", 1)):
        cache = {"proc": 3, "flags": KINDS[kind], "b": 21}
        sim, vm = launch(
            ("SLAB_GROW", {**cache, "a": 200 * MIB * 21}), ("SPAWN", {}), ("MMAP", {"a": 400 * MIB}), ("TOUCH", {"b": 400 * MIB})
        )
        sim.run()
        sim.check()
        assert len(vm.oom_kills()) == kills
        assert (vm.counts()["reclaimed_slab_pages"] > 50 * MIB) == (kind == "reclaimable")


def test_drop_caches_drops_kernel_caches_on_demand():
    sim, vm = launch(("SLAB_GROW", {**DENTRY, "a": 21_000}), ("READ", {"file": 1, "b": 100}), ("DROP_CACHES", {}))
    sim.run()
    assert (len(vm.page_cache()), vm.counts()["slab_pages"]) == (0, 1000)
    run(sim, vm, ("DROP_CACHES", {"flags": SLAB}))
    assert vm.counts()["slab_pages"] == 0


def blocks_of(vm):
    """Pageblocks by type, and free memory of order 9 and more, pages."""
    types = [kind for kind in vm.guest.allocator.block_types() if kind < 3]
    info = vm.guest.buddyinfo().sum(0)
    return {kind: types.count(kind) for kind in range(3)}, int(sum(info[order] << order for order in (9, 10)))


def test_kernel_memory_pollutes_pageblocks():
    """Slab, page tables and churn: unmovable memory in many blocks, and less of what is free can be had as huge pages."""

    def churn(slab):
        sim, vm = launch(memory="1GiB")
        rows = []
        for turn in range(60):
            rows += [("SPAWN", {"proc": turn}), ("MMAP", {"proc": turn, "a": 14 * MIB}), ("TOUCH", {"proc": turn, "b": 14 * MIB})]
            rows += [("SLAB_GROW", {"proc": 200, "a": 3000 * slab, "b": 16}), ("SLAB_GROW", {**DENTRY, "a": 6000 * slab})]
            rows += [("READ", {"file": turn, "b": 4 * MIB})]
        rows += [("EXIT", {"proc": turn}) for turn in range(60)]
        rows += (
            [("SLAB_SHRINK", {"proc": 200, "a": 60 * 2700 * slab}), ("SLAB_SHRINK", {"proc": 3, "a": 60 * 5400 * slab})]
            if slab
            else []
        )
        run(sim, vm, *rows, ("DROP_CACHES", {}))
        vm.guest.drain()
        return blocks_of(vm), vm.counts()["slab_pages"], vm.guest.free_pages()

    (clean, clean_huge), _, clean_free = churn(0)
    (dirty, dirty_huge), slab_pages, dirty_free = churn(1)
    assert dirty[0] + dirty[2] > clean[0] + clean[2] + 20  # unmovable and reclaimable pageblocks
    assert clean_free - dirty_free <= slab_pages + 100
    assert clean_huge - dirty_huge > 1.2 * slab_pages


BAD = [
    ([("SLAB_GROW", {"proc": 1, "order": 4, "b": 1})], "order must be between 0 and 3"),
    ([("SLAB_GROW", {"proc": 1, "flags": 1, "b": 1})], "flags must be the kind"),
    ([("SLAB_GROW", {"proc": 1})], "b: objects of a slab must be 1 to 512 a page"),
    ([("SLAB_GROW", {"proc": 1, "b": 513})], "b: objects of a slab must be 1 to 512 a page"),
    ([("SLAB_GROW", {"proc": 1, "b": 5}), ("SLAB_GROW", {"proc": 1, "b": 6})], "proc: kernel cache 1 has"),
    ([("SLAB_SHRINK", {"proc": 1})], "proc: kernel cache 1 does not exist"),
    ([("SLAB_GROW", {"proc": 1, "b": 5}), ("SLAB_SHRINK", {"proc": 1, "flags": 3})], "flags must be 0, OLDEST or NEWEST"),
    ([("DROP_CACHES", {"flags": 2})], "flags must be 0 or SLAB"),
]


@pytest.mark.parametrize(("rows", "words"), BAD)
def test_refused(rows, words):
    with pytest.raises(OpError, match=words):
        launch(*rows)


def test_a_cache_keeps_its_shape_over_submissions():
    sim, vm = launch(("SLAB_GROW", {"proc": 1, "a": 5, "b": 5}), vcpus=2)
    with pytest.raises(OpError, match="kernel cache 1 has"):
        run(sim, vm, ("SLAB_GROW", {"proc": 1, "a": 5, "b": 6}), vcpu=1)
    run(sim, vm, ("SLAB_GROW", {"proc": 1, "a": 6, "b": 5}), vcpu=1)
    assert (vm.counts()["slab_objects"], vm.counts()["slab_pages"]) == (11, 3)

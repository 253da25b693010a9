"""Pages in use that virtio-mem moves away: shared ones, huge ones in part, the page cache; nothing else notices."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hinting import strategies
from hinting._core.mm.check import isolated_pages
from hinting.workloads import KINDS
from tests.guest_memory.harness import MIB, cache_rows, launch, run
from tests.guest_memory.processes import Guest
from tests.guest_memory.test_processes import STEPS, legal

#: Memory that the kernel takes first and gives back later, so that what comes in between lies high.
FILL = ("ALLOC", {"proc": 9, "b": 600 * MIB, "flags": KINDS["kernel"]})
EMPTY = ("FREE", {"proc": 9})


def start(memory="1GiB", base="128MiB", **settings):
    sim, vm = launch(memory=memory, strategy=strategies.VirtioMem(base=base, retry="100ms", retry_max="100ms"), **settings)
    return sim, vm, vm.guest.strategy_core


def resize(sim, vm, memory):
    """Resize, and give the work item one second."""
    vm.resize(memory)
    sim.run(until=sim.now_ns + 10**9)
    sim.check()


def cached_pfns(vm):
    pages = vm.page_cache()
    return {(file, index): pfn for file, index, pfn in pages[["file", "index", "pfn"]].tolist()}


def test_the_page_cache_moves_with_its_lists_and_what_is_dirty():
    sim, vm, core = start()
    run(sim, vm, FILL, ("READ", {"file": 3, "b": 100 * MIB}), ("READ", {"file": 3, "b": 10}), ("WRITE", {"file": 4, "b": 50}),
        EMPTY)
    before, places, dirty = cache_rows(vm), cached_pfns(vm), vm.counts()["dirty_file_pages"]
    resize(sim, vm, "256MiB")
    assert core.statistics()["moved_pages"] > 90 * MIB
    assert sorted(cache_rows(vm)) == sorted(before)     # as active and as dirty as before
    assert vm.counts()["dirty_file_pages"] == dirty == 50
    after = cached_pfns(vm)
    moved = [key for key in places if after[key] != places[key]]
    assert len(moved) == core.statistics()["moved_pages"]
    reads = vm.counts()["file_read_pages"]
    run(sim, vm, ("READ", {"file": 3, "b": 100 * MIB}))
    assert vm.counts()["file_read_pages"] == reads           # all of it is still there
    run(sim, vm, ("TRUNCATE", {"file": 3}), ("TRUNCATE", {"file": 4}))
    assert vm.page_cache().size == 0


def test_the_page_cache_makes_room_where_memory_is_short():
    """As alloc_contig_range: what moves needs new pages, and reclaim finds them in the page cache."""
    sim, vm, core = start()
    run(sim, vm, ("READ", {"file": 1, "b": 900 * MIB}))
    for _ in range(3):
        resize(sim, vm, "200MiB")
    assert core.statistics()["unplugged_pages"] > 700 * MIB
    assert sum(isolated_pages(vm.guest.allocator)) == core.statistics()["unplugged_pages"]
    assert vm.page_cache().size < 200 * MIB
    run(sim, vm, ("READ", {"file": 1, "b": 10}))


@pytest.mark.parametrize("thp", ["always", "never"])
def test_shared_pages_move_once_for_all_that_map_them(thp):
    sim, vm, core = start(thp=thp)
    run(sim, vm, FILL, ("SPAWN", {"proc": 0}), ("MMAP", {"proc": 0, "a": 200 * MIB}), ("TOUCH", {"proc": 0, "b": 200 * MIB}),
        ("FORK", {"proc": 0, "a": 1}), ("FORK", {"proc": 1, "a": 2}), ("TOUCH", {"proc": 1, "a": 5 * MIB, "b": 700}), EMPTY)
    vm.guest.drain()
    free, held = vm.guest.free_pages(), vm.processes()
    resize(sim, vm, "400MiB")
    assert core.statistics()["moved_pages"] > 190 * MIB
    vm.guest.drain()
    assert free - vm.guest.free_pages() == core.statistics()["unplugged_pages"]
    assert vm.processes() == held
    run(sim, vm, ("EXIT", {"proc": 0}), ("TOUCH", {"proc": 2, "b": 200 * MIB}), ("EXIT", {"proc": 1}), ("EXIT", {"proc": 2}))
    resize(sim, vm, "1GiB")
    assert sum(isolated_pages(vm.guest.allocator)) == 0


def test_kernel_memory_stays():
    sim, vm, core = start()
    run(sim, vm, ("SLAB_GROW", {"proc": 0, "a": 2000, "b": 20}), ("ALLOC", {"proc": 0, "b": 700 * MIB, "flags": KINDS["kernel"]}))
    resize(sim, vm, "256MiB")
    assert core.statistics()["busy_ranges"] > 50
    assert core.statistics()["moved_pages"] == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(STEPS, max_size=12), st.lists(st.one_of(STEPS, st.sampled_from(["200MiB", "640MiB"])), max_size=12),
       st.sampled_from(["always", "never"]))
def test_pages_in_use_are_those_of_the_model_wherever_they_are(high, low, thp):
    sim, vm, core = start(memory="640MiB", thp=thp)
    free = vm.guest.free_pages()
    model = Guest(thp=thp == "always", copies_huge=False)
    begin = [("spawn", 0, 0, 0, 0, 0), ("mmap", 0, 0, 0, 0, 0), ("touch", 0, 0, 0, 700, 0)]
    run(sim, vm, ("ALLOC", {"proc": 9, "b": 350 * MIB, "flags": KINDS["kernel"]}))
    for step in [*begin, *high, EMPTY, "200MiB", *low]:
        if isinstance(step, str):
            resize(sim, vm, step)
        elif step is EMPTY:
            run(sim, vm, EMPTY)
        elif (found := legal(model, step[0], *step[1:])) is not None:
            run(sim, vm, found[0])
            getattr(model, step[0])(*found[1])
    vm.guest.drain()
    assert free - vm.guest.free_pages() == model.used() + core.statistics()["unplugged_pages"]
    assert vm.processes() == {n: (p.rss, len(p.tables)) for n, p in model.processes.items()}
    assert core.statistics()["moved_pages"] > 100 or high

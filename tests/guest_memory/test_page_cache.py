"""Reading, writing, cutting and dropping files: the lists are the model's, page by page."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hinting as h
from hinting.workloads import ALL_FILES
from tests.guest_memory.harness import MIB, cache_rows, launch, run
from tests.guest_memory.model import PageCache

MOVABLE = 1
FILES = st.integers(0, 3)
PAGES = st.integers(0, 60)
ROWS = st.one_of(
    st.tuples(st.just("READ"), FILES, PAGES, PAGES),
    st.tuples(st.just("WRITE"), FILES, PAGES, PAGES),
    st.tuples(st.just("SYNC"), FILES, st.just(0), st.just(0)),
    st.tuples(st.just("SYNC_ALL"), st.just(0), st.just(0), st.just(0)),
    st.tuples(st.just("TRUNCATE"), FILES, PAGES, st.just(0)),
    st.tuples(st.just("DROP_CACHES"), st.just(0), st.just(0), st.just(0)),
)


@pytest.mark.parametrize("kernel", ["linux-5.0", "linux-6.1", "linux-6.12"])
@settings(max_examples=40, deadline=None)
@given(st.lists(ROWS, max_size=25))
def test_lists_are_those_of_the_model(kernel, rows):
    sim, vm = launch(kernel=kernel)
    free = vm.guest.free_pages()
    model = PageCache()
    for name, file, a, b in rows:
        if name == "SYNC_ALL":
            run(sim, vm, ("SYNC", {"flags": ALL_FILES}))
            model.sync()
        else:
            run(sim, vm, (name, {"file": file, "a": a, "b": b}))
            arguments = {"READ": (file, a, b), "WRITE": (file, a, b), "SYNC": (file,), "TRUNCATE": (file, a)}
            getattr(model, name.lower())(*arguments.get(name, ()))
        assert cache_rows(vm) == model.rows()
    vm.guest.drain()
    assert vm.guest.free_pages() == free - len(model.flags)


def test_cached_pages_are_movable_and_read_once():
    sim, vm = launch(("READ", {"file": 7, "b": 1000}), ("READ", {"file": 7, "a": 200, "b": 100}))
    sim.run()
    counts = vm.counts()
    assert counts["file_read_pages"] == 1000
    assert (counts["inactive_file_pages"], counts["active_file_pages"]) == (900, 100)
    types = vm.guest.allocator.block_types()
    assert {types[int(pfn) >> 9] for pfn in vm.page_cache()["pfn"]} == {MOVABLE}


def test_reading_takes_the_time_of_the_disk():
    sim, vm = launch(("READ", {"file": 1, "b": 4096}))
    sim.run()
    costs = vm.guest.costs
    disk = costs["dev.nvme.read"] + 4096 * 4096e9 / 2**20 / costs["dev.nvme.read_mib_s"]
    assert vm.accounts()["guest_disk"] == pytest.approx(disk)
    scattered = [("READ", {"file": 2, "a": 2 * i, "b": 1}) for i in range(100)]
    run(sim, vm, *scattered)
    assert vm.accounts()["guest_disk"] - disk > 100 * costs["dev.nvme.read"]
    again = vm.accounts()["guest_disk"]
    run(sim, vm, ("READ", {"file": 1, "b": 4096}))
    assert vm.accounts()["guest_disk"] == again


def test_the_flusher_writes_what_is_old_or_too_much():
    sim, vm = launch(("WRITE", {"file": 1, "b": 100}), ("SLEEP", {"a": 29_000_000_000}), ("READ", {"file": 2, "b": 1}))
    sim.run()
    assert vm.counts()["dirty_file_pages"] == 100
    run(sim, vm, ("SLEEP", {"a": 2_000_000_000}), ("READ", {"file": 2, "b": 1}))
    assert vm.counts()["dirty_file_pages"] == 0
    assert vm.counts()["file_written_pages"] == 100
    before = vm.accounts()["guest_disk"]
    run(sim, vm, ("WRITE", {"file": 1, "b": 200 * MIB}))
    assert 0 < vm.counts()["dirty_file_pages"] <= 0.2 * 512 * MIB
    assert vm.accounts()["guest_disk"] > before


def test_a_full_cache_returns_nothing_until_it_is_dropped():
    """Cached file pages are not free: v8 captures, isolates and reports free blocks only."""
    sim, vm = launch(strategy=h.strategies.V8(entries=32), memory="1GiB")
    run(sim, vm, ("READ", {"file": 1, "b": 700 * MIB}))
    held, reported = vm.counts()["rss_pages"], vm.counts()["reported_pages"]
    assert held >= 700 * MIB
    run(sim, vm, ("SLEEP", {"a": 60_000_000_000}), ("READ", {"file": 1, "b": 10}))
    assert (vm.counts()["rss_pages"], vm.counts()["reported_pages"]) == (held, reported)
    run(sim, vm, ("DROP_CACHES", {}), ("SLEEP", {"a": 1_000_000_000}))
    assert len(vm.page_cache()) == 0
    assert vm.counts()["rss_pages"] < held - 600 * MIB


def test_evicted_pages_that_come_back_soon_are_activated():
    """Refault distance: a working set slightly too large for the inactive list becomes active."""
    sim, vm = launch()
    half = 200 * MIB
    run(sim, vm, ("READ", {"file": 1, "b": half}), ("READ", {"file": 1, "b": half}))
    assert vm.counts()["active_file_pages"] == half
    for _ in range(3):
        run(sim, vm, ("READ", {"file": 2, "b": 300 * MIB}))
    counts = vm.counts()
    assert counts["workingset_refault_pages"] > 0
    assert 0 < counts["workingset_activate_pages"] <= counts["workingset_refault_pages"]

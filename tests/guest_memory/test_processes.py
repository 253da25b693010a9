"""Processes: fork and copy on write, huge pages whole and in part, page tables; against the model, page by page."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hinting.errors import OpError
from hinting.workloads import program
from tests.guest_memory.harness import MIB, launch, run
from tests.guest_memory.processes import Guest

PAGES = 1200
PROCS = st.integers(0, 3)
REGIONS = st.integers(0, 1)
STEPS = st.tuples(
    st.sampled_from(["touch", "touch", "unmap", "fork", "fork", "exit", "exec", "mmap", "munmap", "spawn"]),
    PROCS,
    REGIONS,
    st.integers(0, PAGES),
    st.sampled_from([1, 2, 30, 512, 700]),
    PROCS,
)


def legal(model, name, proc, region, a, b, child):
    """The row of a step and the model's arguments, None if the step makes no sense now."""
    lives = model.processes
    if name == "spawn":
        return None if proc in lives else (("SPAWN", {"proc": proc}), (proc,))
    if proc not in lives:
        return None
    if name in ("exit", "exec"):
        return (name.upper(), {"proc": proc}), (proc,)
    if name == "fork":
        return None if child in lives else (("FORK", {"proc": proc, "a": child}), (proc, child))
    exists = region in lives[proc].mappings
    if name == "mmap":
        return None if exists else (("MMAP", {"proc": proc, "region": region, "a": PAGES}), (proc, region, PAGES))
    if not exists:
        return None
    if name == "munmap":
        return ("MUNMAP", {"proc": proc, "region": region}), (proc, region)
    b = min(b, PAGES - a)
    return (name.upper(), {"proc": proc, "region": region, "a": a, "b": b}), (proc, region, a, b)


@pytest.mark.parametrize(("kernel", "thp"), [("linux-5.0", "always"), ("linux-6.1", "always"), ("linux-6.12", "never")])
@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_pages_in_use_are_those_of_the_model(kernel, thp, steps):
    sim, vm = launch(kernel=kernel, thp=thp)
    start = vm.guest.free_pages()
    model = Guest(thp=thp == "always", copies_huge=kernel == "linux-5.0")
    for name, *arguments in [("spawn", 0, 0, 0, 0, 0), ("mmap", 0, 0, 0, 0, 0), *steps]:
        found = legal(model, name, *arguments)
        if found is None:
            continue
        row, values = found
        run(sim, vm, row)
        getattr(model, name)(*values)
        vm.guest.drain()
        assert start - vm.guest.free_pages() == model.used(), (row, vm.counts())
        assert vm.processes() == {n: (p.rss, len(p.tables)) for n, p in model.processes.items()}
    run(sim, vm, *[("EXIT", {"proc": proc}) for proc in model.processes])
    vm.guest.drain()
    assert vm.guest.free_pages() == start


def test_a_fork_costs_tables_and_writes_cost_copies():
    sim, vm = launch(("SPAWN", {}), ("MMAP", {"a": 100 * MIB}), ("TOUCH", {"b": 100 * MIB}))
    sim.run()
    free = vm.guest.free_pages()
    run(sim, vm, ("FORK", {"a": 1}))
    assert free - vm.guest.free_pages() < 100
    run(sim, vm, ("TOUCH", {"proc": 1, "b": 10 * MIB}))
    assert vm.counts()["cow_pages"] == 10 * MIB
    run(sim, vm, ("EXIT", {"proc": 1}), ("TOUCH", {"b": 100 * MIB}))
    assert vm.counts()["cow_pages"] == 10 * MIB
    assert vm.counts()["forks"] == 1


def test_a_write_after_fork_splits_or_copies_a_huge_page():
    for kernel, copied, splits in (("linux-5.0", 512, 0), ("linux-6.1", 1, 1)):
        sim, vm = launch(
            ("SPAWN", {}), ("MMAP", {"a": 1024}), ("TOUCH", {"b": 1024}), ("FORK", {"a": 1}), ("TOUCH", {"a": 100, "b": 1}),
            kernel=kernel, thp="always",
        )  # fmt: skip
        sim.run()
        sim.check()
        assert (vm.counts()["cow_pages"], vm.counts()["thp_mapping_splits"]) == (copied, splits)


def test_a_part_of_a_huge_page_is_not_free_until_reclaim_splits_it():
    sim, vm = launch(
        ("SPAWN", {}), ("MMAP", {"a": 300 * MIB}), ("TOUCH", {"b": 300 * MIB}),
        *[("UNMAP", {"a": 512 * i + 1, "b": 511}) for i in range(150)], thp="always",
    )  # fmt: skip
    sim.run()
    sim.check()
    counts = vm.counts()
    assert (counts["thp_faults"], counts["thp_split_queue"], counts["thp_page_splits"]) == (150, 150, 0)
    assert vm.processes() == {0: (150, 150)}
    run(sim, vm, ("ALLOC", {"proc": 9, "b": 470 * MIB}))
    counts = vm.counts()
    assert counts["thp_page_splits"] > 100
    assert counts["failed_allocations"] == 0
    assert counts["guest_oom_kills"] == 0
    assert vm.processes() == {0: (150, 150)}


def test_a_whole_huge_page_that_goes_in_parts_is_freed_whole():
    sim, vm = launch(("SPAWN", {}), ("MMAP", {"a": 512}), thp="always")
    sim.run()
    vm.guest.drain()
    free = vm.guest.free_pages()
    run(sim, vm, ("TOUCH", {"b": 512}), ("UNMAP", {"a": 256, "b": 256}), ("UNMAP", {"b": 256}))
    vm.guest.drain()
    assert vm.guest.free_pages() == free - 1  # its table
    assert vm.counts()["thp_split_queue"] == 0


def test_large_mappings_need_directories():
    sim, vm = launch(("SPAWN", {}), ("MMAP", {"a": 1 << 30}), *[("TOUCH", {"a": i << 18, "b": 1}) for i in range(4)])
    sim.run()
    sim.check()
    assert vm.processes() == {0: (4, 4 + 3)}


def test_fork_when_memory_runs_out():
    """A child that cannot be completed is torn down; the biggest process dies, the others live on."""
    sim, vm = launch(
        ("SPAWN", {}), ("MMAP", {"a": 200 * MIB}), ("TOUCH", {"b": 200 * MIB}), ("FORK", {"a": 1}),
        ("TOUCH", {"proc": 1, "b": 200 * MIB}), ("FORK", {"a": 2}), ("TOUCH", {"proc": 2, "b": 200 * MIB}),
        ("EXIT", {"proc": 0}), ("EXIT", {"proc": 1}), ("EXIT", {"proc": 2}),
    )  # fmt: skip
    start = vm.guest.free_pages()
    sim.run()
    sim.check()
    assert vm.counts()["guest_oom_kills"] >= 1
    assert vm.processes() == {}
    vm.guest.drain()
    assert vm.guest.free_pages() == start


def test_exec_begins_anew():
    sim, vm = launch(
        ("SPAWN", {}), ("MMAP", {"a": 1000}), ("TOUCH", {"b": 1000}), ("FORK", {"a": 1}), ("EXEC", {"proc": 1}),
        ("MMAP", {"proc": 1, "a": 10}), ("TOUCH", {"proc": 1, "b": 10}),
    )  # fmt: skip
    sim.run()
    sim.check()
    assert vm.processes() == {0: (1000, 2), 1: (10, 1)}


BAD = [
    ([("FORK", {"proc": 1, "a": 2})], "process 1 does not exist here"),
    ([("SPAWN", {"proc": 1}), ("FORK", {"proc": 1, "a": 1})], "a: a process cannot be its own child"),
    ([("SPAWN", {"proc": 1}), ("FORK", {"proc": 1, "a": 65537})], "a: a process number must not exceed 65536"),
    ([("SPAWN", {"proc": 1}), ("SPAWN", {"proc": 2}), ("FORK", {"proc": 1, "a": 2})], "a: process 2 lives already"),
    ([("SPAWN", {"proc": 1}), ("MUNMAP", {"proc": 1})], "mapping 0 of process 1 does not exist here"),
    ([("SPAWN", {}), ("MMAP", {"a": 5}), ("EXEC", {}), ("TOUCH", {"b": 1})], "mapping 0 of process 0 does not exist here"),
    ([("SPAWN", {}), ("MMAP", {"a": 5}), ("FORK", {"a": 1}), ("TOUCH", {"proc": 1, "b": 6})], "pages beyond"),
]


@pytest.mark.parametrize(("rows", "words"), BAD)
def test_refused(rows, words):
    with pytest.raises(OpError, match=words):
        launch(*rows)


def test_child_numbers_make_room():
    sim, vm = launch()
    vm.submit(program(("SPAWN", {}), ("FORK", {"a": 65536})))
    sim.run()
    assert set(vm.processes()) == {0, 65536}

"""What a host pays that swaps a guest's page cache without knowing what it is: the effects of the VSwapper study."""

import pytest

import hinting as h
from hinting.workloads import program
from tests.guest_memory.harness import MIB

FILE, DIRTY, OTHER = 1, 2, 3
EFFECTS = ("silent-write", "stale-read", "false-read")


def launch(effects=EFFECTS, host="1GiB"):
    """A guest, and another one that pushes it out when it is told to."""
    sim = h.Simulation(h.Host(host, base="64MiB", swap="4GiB", thp=False, effects=effects))
    guests = [sim.launch(h.Guest("1GiB", kernel="linux-6.1", thp="never"), boot=False) for _ in range(2)]
    return sim, *guests


def run(sim, vm, *rows):
    vm.submit(program(*rows))
    assert vm.run_until_idle()
    sim.check()


def push_out(sim, other):
    """Fill the host with another guest's memory, again and again until nothing of the first is left."""
    run(sim, other, ("SPAWN", {"proc": 0}), ("MMAP", {"proc": 0, "a": 900 * MIB}), ("TOUCH", {"proc": 0, "b": 900 * MIB}))
    run(sim, other, *[("TOUCH", {"proc": 0, "b": 900 * MIB})] * 3)


def fill_with(sim, vm, *, process=0, file=0, dirty=0):
    """Give a guest memory of a process, clean and dirty page cache, in MiB."""
    rows = [("SPAWN", {"proc": 0}), ("MMAP", {"proc": 0, "a": max(1, process) * MIB}), ("TOUCH", {"proc": 0, "b": process * MIB})]
    rows += [("READ", {"file": FILE, "b": file * MIB})] if file else []
    rows += [("WRITE", {"file": DIRTY, "b": dirty * MIB})] if dirty else []
    run(sim, vm, *rows)


def counts(vm):
    return vm.memory_counts()


def test_clean_page_cache_is_written_to_swap_silently():
    sim, vm, other = launch()
    fill_with(sim, vm, process=100, file=600)
    push_out(sim, other)
    found = counts(vm)
    assert len(vm.page_cache()) == 600 * MIB
    assert 500 * MIB < found["silent_swap_writes"] <= 600 * MIB
    assert found["swapped_out"] > found["silent_swap_writes"] + 90 * MIB


def test_without_the_effect_clean_page_cache_is_dropped():
    sim, vm, other = launch(effects=("stale-read", "false-read"))
    fill_with(sim, vm, process=100, file=600)
    push_out(sim, other)
    found = counts(vm)
    assert found["silent_swap_writes"] == 0
    assert 0 < found["swapped_out"] <= 101 * MIB


def test_dirty_page_cache_is_no_copy():
    sim, vm, other = launch()
    fill_with(sim, vm, process=600, dirty=60)
    push_out(sim, other)
    written = vm.counts()["file_written_pages"]
    assert written < 60 * MIB
    assert counts(vm)["swapped_out"] > 650 * MIB
    assert counts(vm)["silent_swap_writes"] <= written


def test_freed_pages_are_no_copies():
    sim, vm, other = launch()
    fill_with(sim, vm, file=600)
    run(sim, vm, ("TRUNCATE", {"file": FILE}))
    push_out(sim, other)
    found = counts(vm)
    assert found["silent_swap_writes"] == 0
    assert found["free_page_swap_writes"] > 500 * MIB


@pytest.mark.parametrize("effects", [EFFECTS, ("silent-write", "false-read")])
def test_a_file_read_into_swapped_memory(effects):
    """Free memory of the guest lies in swap; reading a file over it costs a read of what nobody wants."""
    sim, vm, other = launch(effects)
    fill_with(sim, vm, process=600)
    run(sim, vm, ("EXIT", {"proc": 0}))
    push_out(sim, other)
    before = counts(vm)["swapped_in"]
    run(sim, vm, ("READ", {"file": FILE, "b": 100 * MIB}))
    found = counts(vm)
    assert found["false_swap_reads"] == 0
    if "stale-read" in effects:
        assert found["stale_swap_reads"] > 10 * MIB
        assert found["swapped_in"] - before >= found["stale_swap_reads"]
    else:
        assert found["stale_swap_reads"] == 0
        assert found["swapped_in"] - before < 1 * MIB


@pytest.mark.parametrize("effects", [EFFECTS, ("silent-write", "stale-read")])
def test_a_file_written_over_swapped_memory(effects):
    sim, vm, other = launch(effects)
    fill_with(sim, vm, process=600)
    run(sim, vm, ("EXIT", {"proc": 0}))
    push_out(sim, other)
    run(sim, vm, ("WRITE", {"file": FILE, "b": 50 * MIB}))
    found = counts(vm)
    assert found["stale_swap_reads"] == 0
    assert (found["false_swap_reads"] > 5 * MIB) == ("false-read" in effects)


def test_a_dirty_page_in_swap_is_read_back_for_the_disk():
    sim, vm, other = launch()
    fill_with(sim, vm, process=600, dirty=60)
    push_out(sim, other)
    assert counts(vm)["double_paging"] == 0
    before = counts(vm)["swapped_in"]
    run(sim, vm, ("SYNC", {"file": DIRTY}))
    found = counts(vm)
    assert 0 < found["double_paging"] <= 60 * MIB
    assert found["swapped_in"] - before >= found["double_paging"]
    assert vm.accounts()["guest_disk"] > 0


def test_reading_the_cache_again_keeps_the_copy_in_swap():
    """A page that came back and was only read is dropped without a write when it is evicted once more."""
    sim, vm, other = launch()
    fill_with(sim, vm, file=500)
    push_out(sim, other)
    run(sim, vm, ("READ", {"file": FILE, "b": 500 * MIB}))
    run(sim, other, *[("TOUCH", {"proc": 0, "b": 900 * MIB})] * 3)
    assert counts(vm)["dropped_copies"] > 10 * MIB


def test_a_host_outlives_its_guests():
    sim, vm, other = launch()
    fill_with(sim, vm, file=600)
    host, backing = sim.host, vm.machine.backing
    del sim, vm, other
    assert host.memory.add_guest(1 << 18).touch(0, 1 << 18).ok
    host.check()
    assert backing.counters["silent_swap_writes"] > 0

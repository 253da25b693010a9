"""virtio-mem: what is unplugged and in which order, what is busy, what moves, what comes back."""

from itertools import pairwise

import pytest

import hinting as h
from hinting import gfp, kernels, strategies
from hinting._core.mm.allocator import Allocator
from hinting._core.mm.check import isolated_pages
from hinting.errors import StrategyError
from hinting.workloads import KINDS, program
from tests.strategies.lineage import free_pages, outside, zone

MIB = 256  # pages
BLOCK = 128 * MIB
SUB = 2 * MIB


def device(blocks, kernel="linux-6.1", **parameters):
    """(allocator, core): a free zone of so many memory blocks, all of them the device's but the first."""
    profile = kernels.load(kernel)
    spans = zone(blocks * BLOCK)
    if kernel == "linux-6.12":
        spans |= {"high_min": 0, "high_max": 0}
    allocator = Allocator(profile, [spans], 1)
    for block in range(blocks * BLOCK >> 10):
        allocator.add_free(block << 10, 10)
    core = strategies.VirtioMem(base=BLOCK * 4096, **parameters).core()
    core.attach(allocator)
    return allocator, core


def take(allocator, wanted, user=gfp.HIGHUSER_MOVABLE):
    """Allocate until one of the wanted page frames comes, and give the others back."""
    others = []
    while (pfn := allocator.alloc(0, gfp.value(user, allocator.kernel))) not in wanted:
        assert pfn >= 0
        others.append(pfn)
    for other in others:
        allocator.free(other, 0)
    allocator.drain()
    return pfn


def run_to_rest(core):
    """Answer requests until the work item sleeps or waits: [(pfn, order), ...]."""
    requests = []
    while request := core.run_thread():
        requests += request
        core.host_done()
    return requests


@pytest.mark.parametrize("kernel", ["linux-5.0", "linux-6.1", "linux-6.12"])
def test_whole_blocks_from_the_last_one_down_then_sub_blocks_from_the_end(kernel):
    allocator, core = device(4, kernel)
    before = allocator.free_lists()
    core.resize(2 * BLOCK + 3 * SUB)
    requests = run_to_rest(core)
    assert requests == [(3 * BLOCK, 15), (2 * BLOCK, 15), *((2 * BLOCK - SUB * (i + 1), 9) for i in range(3))]
    assert outside(allocator) == 2 * BLOCK + 3 * SUB
    assert free_pages(allocator) == 2 * BLOCK - 3 * SUB
    assert allocator.zone_state(2)["managed"] == free_pages(allocator)
    assert core.statistics()["removed_blocks"] == 2
    allocator.check()
    core.resize(0)
    requests = run_to_rest(core)
    assert requests == [*((2 * BLOCK - SUB * (3 - i), 9) for i in range(3)), (2 * BLOCK, 15), (3 * BLOCK, 15)]
    assert {key: sorted(pfns) for key, pfns in allocator.free_lists().items()} == {k: sorted(v) for k, v in before.items()}
    assert core.counters()["plugged_size"] == core.counters()["region_size"] == 3 * BLOCK * 4096
    allocator.check()


def test_an_unmovable_page_keeps_its_sub_block():
    allocator, core = device(3)
    held = take(allocator, range(2 * BLOCK, 3 * BLOCK), gfp.KERNEL)
    core.resize(2 * BLOCK)
    run_to_rest(core)
    plugged = [pfn for pfn, is_plugged in core.plugged().items() if is_plugged]
    assert plugged == [held - held % SUB]
    assert core.statistics()["busy_ranges"] == 2    # the whole block, and its sub-block
    assert core.statistics()["retries"] == 1
    allocator.check()
    allocator.free(held, 0)
    assert run_to_rest(core) == [(held - held % SUB, 9)]
    assert free_pages(allocator) == BLOCK


def test_granularity_decides_what_one_page_keeps():
    kept = []
    for sub_block in (2 << 20, 4 << 20, 128 << 20):
        allocator, core = device(3, sub_block=sub_block)
        take(allocator, range(2 * BLOCK, 3 * BLOCK), gfp.KERNEL)
        core.resize(2 * BLOCK)
        run_to_rest(core)
        kept.append(core.counters()["plugged_size"])
        allocator.check()
    assert kept == [2 << 20, 4 << 20, 128 << 20]


def test_pages_on_per_cpu_lists_are_drained():
    allocator, core = device(2)
    held = take(allocator, range(BLOCK, 2 * BLOCK))
    allocator.free(held, 0)
    core.resize(BLOCK)
    assert run_to_rest(core) == [(BLOCK, 15)]
    assert core.statistics()["busy_ranges"] == 0
    allocator.check()


def launch(workload=None, memory="2GiB", **parameters):
    sim = h.Simulation(h.Host("4GiB", fragmentation=0.0), seed=1)
    vm = sim.launch(h.Guest(memory, strategy=strategies.VirtioMem(base="512MiB", **parameters)), workload=workload)
    sim.run()
    return sim, vm


@pytest.mark.parametrize("thp", [True, False])
def test_what_is_in_use_moves_and_can_be_freed(thp):
    sim, vm = launch()
    vm.submit(h.workloads.memhog("500MiB", hold="20s", thp=thp))
    sim.run(until=sim.now_ns + 5 * 10**9)
    touched, used = vm.counts()["touched_pages"], sim.host.used_bytes()
    vm.resize("1GiB")
    sim.run(until=sim.now_ns + 5 * 10**9)
    statistics = vm.guest.strategy_core.statistics()
    assert statistics["moved_pages"] > 300 * MIB
    assert statistics["unplugged_pages"] == sum(isolated_pages(vm.guest.allocator)) == 1024 * MIB
    assert sim.host.used_bytes() < used + 100 * MIB * 4096
    sim.check()
    sim.run()                                       # the process ends: each page is freed where it is now
    assert vm.counts()["touched_pages"] == touched
    assert vm.counts()["guest_oom_kills"] == 0
    sim.check()
    vm.resize("2GiB")
    sim.run()
    assert sum(isolated_pages(vm.guest.allocator)) == 0
    sim.check()


def test_what_cannot_move_is_given_back():
    sim, vm = launch(memory="1GiB")
    vm.submit(h.workloads.memhog("500MiB", hold="20s", thp=False))
    sim.run(until=sim.now_ns + 5 * 10**9)
    assert vm.counts()["guest_oom_kills"] == 0
    free = vm.guest.free_pages()
    vm.resize("512MiB")
    sim.run(until=sim.now_ns + 5 * 10**9)
    statistics = vm.guest.strategy_core.statistics()
    assert statistics["undone_ranges"] > 0
    assert 0 < statistics["unplugged_pages"] < free
    assert statistics["unplugged_pages"] == sum(isolated_pages(vm.guest.allocator))
    sim.check()
    sim.run()
    sim.check()


def test_busy_ranges_are_tried_again_after_50_s_then_100_s_up_to_300():
    times = []
    sim, vm = launch(retry="50s")
    vm.submit(program(("ALLOC", {"proc": 0, "flags": KINDS["kernel"], "b": 1400 * MIB})))
    sim.run()
    vm.resize("600MiB")
    start = sim.now_ns
    retries = 0
    for second in range(0, 1200):
        sim.run(until=start + second * 10**9)
        if vm.guest.strategy_core.statistics()["retries"] > retries:
            retries += 1
            times.append(second)
    steps = [b - a for a, b in pairwise(times)]
    assert steps == [50, 100, 200, 300, 300]
    vm.submit(program(("FREE", {"proc": 0})))
    sim.run(until=start + 1600 * 10**9)
    assert vm.guest.strategy_core.statistics()["unplugged_pages"] > 1300 * MIB
    sim.check()


def test_host_memory_goes_and_comes_back_by_touching():
    sim, vm = launch(workload=h.workloads.memhog("1536MiB"))
    used = sim.host.used_bytes()
    vm.resize("1GiB")
    sim.run()
    assert used - sim.host.used_bytes() > 950 << 20
    left = sim.host.used_bytes()
    vm.resize("2GiB")
    sim.run()
    assert sim.host.used_bytes() == left
    sim.check()


def test_the_books_balance_after_every_slice():
    sim, vm = launch()
    vm.submit(h.workloads.memhog("600MiB", repeat=2, gap="200ms"))
    vm.submit(program(("RESIZE", {"a": 1200 * MIB}), ("SLEEP", {"a": 500_000_000}), ("RESIZE", {"a": 300 * MIB})))
    steps = 0
    while sim.step():
        steps += 1
        if steps % 20 == 0:
            sim.check()
            pages = vm.guest.strategy_core.statistics()["unplugged_pages"]
            assert 0 <= sum(isolated_pages(vm.guest.allocator)) - pages <= BLOCK  # at most one range is on its way
    sim.check()
    assert steps > 100


def test_same_seed_same_bytes():
    runs = []
    for _ in range(2):
        sim, vm = launch(workload=h.workloads.memhog("700MiB"), target="1GiB")
        runs.append((sim.timeline(), sim.metrics(), vm.guest.strategy_core.plugged()))
    assert runs[0][0].equals(runs[1][0])
    assert runs[0][1].equals(runs[1][1])
    assert runs[0][2] == runs[1][2]


@pytest.mark.parametrize(("parameters", "message"), [
    ({"sub_block": 1 << 20}, "sub_block must be one of 2097152, 4194304, 134217728"),
    ({"base": -1}, "base must be a whole number between 0"),
    ({"retry": "400s"}, "retry_max must be at least retry"),
    ({"retry": 0}, "retry must be a whole number between"),
])  # fmt: skip
def test_parameters_are_checked(parameters, message):
    with pytest.raises(StrategyError, match=message):
        strategies.VirtioMem(**parameters)


def test_a_guest_needs_memory_above_the_base():
    with pytest.raises(StrategyError, match="base must leave a block of 128 MiB"):
        h.Guest("1GiB", strategy=strategies.VirtioMem(base="1GiB"))

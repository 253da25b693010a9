"""Hinting v10 to v12: bitmaps, the work item, what it isolates, what waits for ever; vector T12."""

import pytest

import hinting as h
from hinting import gfp, kernels, strategies
from hinting._core.mm.allocator import Allocator
from hinting._core.mm.check import isolated_pages
from hinting.errors import StrategyError
from tests.strategies.lineage import USER, all_unused, held, outside

MOVABLE, UNMOVABLE = 1, 0
ALL = [strategies.V10(), strategies.V11(), strategies.V12()]
by_name = pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)


def with_halves(spec, blocks=40, **more):
    """Every second 2 MiB block may be freed without merging."""
    allocator, core, halves = held(spec, blocks, order=9, **more)
    return allocator, core, halves[::2]


def test_t12_one_pass_one_report():
    allocator, core, halves = with_halves(strategies.V12())
    for pfn in halves[:15]:
        allocator.free(pfn, 9)
    assert not core.is_woken()
    assert core.counts()[2] == 15
    allocator.free(halves[15], 9)
    assert core.is_woken()
    assert core.run_thread() == [(pfn, 9) for pfn in halves[:16]]
    assert outside(allocator) == 16 * 512
    core.host_done()
    assert core.run_thread() == []
    assert core.statistics()["passes"] == core.statistics()["reports"] == 1
    assert core.counts()[2] == core.bits()[2] == 0
    assert allocator.free_lists()[2, 9, MOVABLE] == halves[:16][::-1]
    allocator.check()


@by_name
def test_fifteen_blocks_wait_for_ever(spec):
    allocator, core, halves = with_halves(spec)
    for pfn in halves[:15]:
        allocator.free(pfn, 9)
    assert not core.is_woken()
    assert core.run_thread() == []
    assert core.bits()[2] == 15


@by_name
def test_never_more_than_a_batch_in_flight(spec):
    allocator, core, halves = with_halves(spec)
    for pfn in halves:
        allocator.free(pfn, 9)
    reports = []
    while reported := core.run_thread():
        reports.append(len(reported))
        assert outside(allocator) == 512 * len(reported) <= 16 * 512
        core.host_done()
    assert reports == [16, 16, 8]
    assert core.statistics()["passes"] == 1 if spec.name == "v12" else 2
    assert all_unused(allocator) == 40 * 512
    allocator.check()


@pytest.mark.parametrize(("threshold", "batch", "reports"), [(8, 16, [8]), (16, 8, [8, 8]), (16, 64, [16])])
def test_threshold_and_batch_apart(threshold, batch, reports):
    allocator, core, halves = with_halves(strategies.V12(threshold=threshold, batch=batch))
    for pfn in halves[: threshold - 1]:
        allocator.free(pfn, 9)
    assert not core.is_woken()
    allocator.free(halves[threshold - 1], 9)
    seen = []
    while reported := core.run_thread():
        seen.append(len(reported))
        core.host_done()
    assert seen == reports


@by_name
def test_bits_of_merged_and_used_blocks_are_cleared_when_met(spec):
    allocator, core, halves = held(spec, 40, order=9)
    user = gfp.value(USER, allocator.kernel)
    allocator.free(512, 9)
    allocator.free(0, 9)                # merges: the bit of 512 stays
    assert core.bits()[2] == 2
    for pfn in halves[4:30:2]:
        allocator.free(pfn, 9)
    taken = allocator.alloc(9, user)
    assert core.bits()[2] == 15         # nothing is cleared on allocation
    allocator.free(halves[30], 9)
    reported = core.run_thread()
    assert reported[0] == (0, 10)
    assert all(pfn != taken for pfn, _ in reported)
    assert core.statistics()["stale"] == 2
    assert core.bits()[2] == 0


def test_a_block_is_counted_once_until_its_bit_is_cleared():
    allocator, core, halves = with_halves(strategies.V10())
    user = gfp.value(USER, allocator.kernel)
    for _ in range(20):
        allocator.free(halves[0], 9)
        assert allocator.alloc(9, user) == halves[0]
    assert core.counts()[2] == core.bits()[2] == 1


def test_v10_is_queued_again_while_it_runs_and_v12_is_not():
    for spec, passes in ((strategies.V10(), 2), (strategies.V12(), 1)):
        allocator, core, halves = with_halves(spec)
        for pfn in halves[20:36]:
            allocator.free(pfn, 9)
        assert len(core.run_thread()) == 16
        for pfn in halves[:16]:
            allocator.free(pfn, 9)      # behind the walk
        core.host_done()
        following = core.run_thread()
        assert core.statistics()["passes"] == passes
        assert len(following) == (16 if passes == 2 else 0)
        assert core.bits()[2] == (0 if passes == 2 else 16)
        allocator.check() if passes == 1 else core.host_done()


def test_v12_starts_with_the_next_free_after_a_pass():
    allocator, core, halves = with_halves(strategies.V12())
    for pfn in halves[20:36]:
        allocator.free(pfn, 9)
    core.run_thread()
    for pfn in halves[:16]:
        allocator.free(pfn, 9)
    core.host_done()
    assert core.run_thread() == []
    assert not core.is_woken()
    allocator.free(halves[16], 9)
    assert core.is_woken()
    assert len(core.run_thread()) == 16


@pytest.mark.parametrize("kernel", ["linux-5.0", "linux-6.1", "linux-6.12"])
def test_v12_puts_the_type_of_the_pageblock_back(kernel):
    for spec, kept in ((strategies.V11(threshold=1), MOVABLE), (strategies.V12(threshold=1), UNMOVABLE)):
        allocator, core, halves = with_halves(spec, 4, kernel=kernel)
        allocator.set_block_type(halves[0], UNMOVABLE)
        allocator.free(halves[0], 9)
        if not core.is_woken():
            allocator.drain()
        assert core.run_thread() == [(halves[0], 9)]
        assert allocator.block_types()[0] == kept
        core.host_done()
        assert list(allocator.free_lists()) == [(2, 9, kept)]
        allocator.check()


@pytest.mark.parametrize(("spare", "refused"), [(0, 1), (1, 0)])
@by_name
def test_watermark(spec, spare, refused):
    """The zone must keep more than its min watermark (I4)."""
    allocator, core, halves = with_halves(type(spec)(threshold=1), 2, watermark=(0, 0, 0))
    allocator.split(512, 9)
    for i in range(spare):
        allocator.free(513 + 2 * i, 0)
    allocator.free(1024, 9)
    assert len(core.run_thread()) == 1 - refused
    assert core.statistics()["refused"] == refused
    assert core.bits()[2] == 0
    assert halves[:2] == [0, 1024]


@pytest.mark.parametrize("min_order", [8, 9, 10])
def test_bits_of_other_sizes(min_order):
    allocator, core, blocks = held(strategies.V12(min_order=min_order, threshold=2), 8, order=8)
    for pfn in blocks[: 4 * 4]:
        allocator.free(pfn, 8)
    assert core.is_woken()
    reported = core.run_thread()
    assert {order for _, order in reported} == {10}
    assert sum(core.bits().values()) == 0


@pytest.mark.parametrize("spec", [*ALL, strategies.V10(host_action="dontneed"), strategies.V12(wait="busy", worker_delay="10ms"),
                                  strategies.V12Stats(min_order=8)], ids=repr)
@pytest.mark.parametrize("thp", ["always", "never"])
@pytest.mark.parametrize("kernel", ["linux-5.0", "linux-6.12"])
def test_in_a_guest(spec, thp, kernel):
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("1GiB", vcpus=2, strategy=spec, thp=thp, kernel=kernel),
                    workload=h.workloads.memhog("700MiB", repeat=3))
    sim.run()
    sim.check()
    statistics, counts = vm.guest.strategy_core.statistics(), vm.counts()
    assert statistics["reports"] == counts["reports"] > 0
    assert statistics["not_isolated"] == 0
    assert sum(isolated_pages(vm.guest.allocator)) == 0
    assert counts["max_isolated_pages"] <= 16 << 10
    assert (counts["returned_frames"] > 0) == (spec.host_action == "dontneed")
    assert (counts["lazy_pages"] > 0) == (spec.host_action == "free")
    if spec.name == "v12-stats":
        counters = vm.counters()
        assert list(counters) == ["freed", "captured", "scanned", "isolated", "reported", "returned"]
        assert counters["isolated"] == counters["reported"] == counters["returned"] == counts["reported_pages"] * 4
        assert counters["freed"] > 2 * 700 * 1024
    else:
        assert vm.counters() == {}


def test_busy_waits_spin_and_events_do_not():
    spins = []
    for spec in (strategies.V10(), strategies.V11()):
        sim = h.Simulation(h.Host("4GiB"), seed=1)
        vm = sim.launch(h.Guest("1GiB", strategy=spec), workload=h.workloads.memhog("700MiB"))
        sim.run()
        spins.append(vm.accounts()["guest_spin"])
    assert spins[0] > 0
    assert spins[1] == 0


@pytest.mark.parametrize(("parameters", "message"), [
    ({"min_order": 7}, r"min_order must be a whole number between 8 and 10 \(order\), got 7"),
    ({"threshold": 0}, "threshold must be a whole number between 1"),
    ({"batch": 0}, "batch must be a whole number between 1"),
    ({"worker_delay": -1}, "worker_delay must be a whole number between 0"),
])  # fmt: skip
@by_name
def test_parameters_are_checked(spec, parameters, message):
    with pytest.raises(StrategyError, match=message):
        type(spec)(**parameters)


def test_v12_on_a_kernel_whose_lists_and_pageblocks_agree():
    """A block of order 10 gets the type of both pageblocks back, so that its second half may be split off."""
    kernel = kernels.load("linux-6.12")
    zone = {"index": 2, "start": 0, "end": 2048, "managed": 2048, "watermark": (0, 0, 0), "lowmem_reserve": [0] * 5,
            "batch": 1, "high_min": 0, "high_max": 0, "threshold": 0}  # fmt: skip
    allocator = Allocator(kernel, [zone])
    for pfn in (0, 512):
        allocator.set_block_type(pfn, UNMOVABLE)
    for pfn in (0, 1024):
        allocator.add_free(pfn, 10)
    core = strategies.V12(threshold=1).core()
    core.attach(allocator)
    allocator.free(allocator.alloc(10, gfp.value(gfp.KERNEL, kernel)), 10)
    assert core.run_thread() == [(0, 10)]
    core.host_done()
    assert allocator.block_types() == [UNMOVABLE, UNMOVABLE, MOVABLE, MOVABLE]
    assert allocator.alloc(9, gfp.value(gfp.KERNEL, kernel)) == 0
    allocator.check()

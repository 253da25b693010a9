"""A guest that was copied, pickled, saved or restored is the original, page by page, and goes on as it would have."""

import copy
import pickle

import numpy as np
import pytest

from hinting import Guest, Host, Simulation, Snapshot, gfp, strategies
from hinting.errors import GuestError, PageError, SnapshotError, StrategyError
from tests.snapshots.harness import KERNELS, Player, assert_same, assert_same_pages, play_until_reported, used_guest

V8 = strategies.V8(entries=64)
MID_REPORT = strategies.V8(entries=64, isolation_cap=5)


def by_file(guest, tmp_path):
    guest.snapshot().save(tmp_path / "moment")
    return Guest.from_snapshot(tmp_path / "moment")


WAYS = {
    "copy": lambda guest, _: copy.copy(guest),
    "deepcopy": lambda guest, _: copy.deepcopy(guest),
    "snapshot": lambda guest, _: Guest.from_snapshot(guest.snapshot()),
    "pickle": lambda guest, _: pickle.loads(pickle.dumps(guest)),
    "file": by_file,
}


@pytest.mark.parametrize("strategy", [None, V8, "v8-posted"], ids=["none", "v8", "v8-posted"])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("way", WAYS)
def test_the_other_is_the_same_and_makes_the_same_choices(way, kernel, strategy, tmp_path):
    guest, player = used_guest(kernel, strategy)
    other = WAYS[way](guest, tmp_path)
    assert other is not guest
    assert (other.kernel, other.vcpus, other.thp, other.memory_map) == (
        guest.kernel, guest.vcpus, guest.thp, guest.memory_map)
    assert_same(guest, other)
    player.play([guest, other], 3000)
    assert_same(guest, other)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_page_is_the_same(kernel, tmp_path):
    guest, _ = used_guest(kernel, V8, vcpus=1)
    assert_same_pages(guest, copy.copy(guest))
    assert_same_pages(guest, by_file(guest, tmp_path))


@pytest.mark.parametrize("kernel", KERNELS)
def test_guests_do_not_share_memory(kernel):
    guest, player = used_guest(kernel, V8)
    before, other = guest.snapshot(), copy.copy(guest)
    Player(2, player.held).play([other], 2000)
    assert guest.snapshot() == before
    assert other.snapshot() != before


@pytest.mark.parametrize("strategy", [None, V8], ids=["none", "v8"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_restore_goes_back_and_again(kernel, strategy):
    guest, player = used_guest(kernel, strategy)
    moment, reference = guest.snapshot(), copy.copy(guest)
    core, allocator = guest.strategy_core, guest.allocator
    for seed in (1, 2):
        Player(seed, player.held).play([guest], 2000)
        guest.restore(moment)
        assert_same(reference, guest)
    assert (guest.strategy_core, guest.allocator) == (core, allocator)
    player.play([reference, guest], 2000)
    assert_same(reference, guest)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("way", WAYS)
def test_in_the_middle_of_a_report(way, kernel, tmp_path):
    """Blocks are isolated, the thread stands in the middle of its array, and the host has not answered."""
    guest, player = used_guest(kernel, MID_REPORT)
    play_until_reported(guest, player)
    other = WAYS[way](guest, tmp_path)
    assert_same(guest, other)
    for one in (guest, other):
        one.strategy_core.settle()
        assert not one.strategy_core.in_flight()
    assert_same(guest, other)
    player.play([guest, other], 3000)
    assert_same(guest, other)


def test_a_moment_never_changes():
    guest, player = used_guest("linux-6.1", V8)
    moment = guest.snapshot()
    arrays = moment.arrays()
    player.play([guest, Guest.from_snapshot(moment)], 500)
    assert all(np.array_equal(array, moment.arrays()[name]) for name, array in arrays.items())
    for array in (*arrays.values(), *moment.strategy_arrays().values()):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    with pytest.raises(AttributeError):
        moment.kernel = "linux-5.0"
    with pytest.raises(TypeError):
        hash(moment)


def test_a_state_by_hand_is_enough():
    """`state` and `from_state` of the allocator and of the strategy, without any file."""
    guest, _ = used_guest("linux-6.12", V8)
    allocator = type(guest.allocator).from_state(guest.allocator.kernel, guest.allocator.state())
    allocator.check()
    core = V8.core()
    core.attach(allocator)
    core.set_state(guest.strategy_core.state())
    assert core.captured(0) == guest.strategy_core.captured(0)
    assert allocator.free_lists() == guest.allocator.free_lists()


def test_another_strategy_in_the_same_memory():
    guest, player = used_guest("linux-6.1")
    moment = guest.snapshot()
    plain, hinted = Guest.from_snapshot(moment), Guest.from_snapshot(moment, strategy=V8)
    assert hinted.strategy == V8
    assert hinted.allocator.free_lists() == plain.allocator.free_lists()
    assert hinted.strategy_core.captured(0) == []
    Player(3, player.held).play([hinted], 2000)
    hinted.check()
    hinted.strategy_core.settle()
    assert Guest.from_snapshot(hinted.snapshot(), strategy=None).strategy is None


def test_no_other_strategy_while_blocks_are_isolated():
    guest, player = used_guest("linux-6.1", MID_REPORT)
    play_until_reported(guest, player)
    with pytest.raises(GuestError, match=r"cannot be exchanged while .* pages are isolated"):
        Guest.from_snapshot(guest.snapshot(), strategy=None)


def test_simulation_from_a_snapshot(tmp_path):
    """A guest from a file runs like the one that was saved; once launched it cannot be restored."""
    guest = Guest("1GiB", kernel="linux-6.1", strategy=V8)
    held = guest.alloc_many(50_000, gfp=gfp.HIGHUSER_MOVABLE)
    guest.free_many(held[::3])
    while guest.strategy_core.is_woken():
        guest.strategy_core.run_thread()
        guest.strategy_core.host_done()
    other, moment = by_file(guest, tmp_path), guest.snapshot()
    results = []
    for one in (guest, other):
        simulation = Simulation(Host("4GiB"), seed=3)
        vm = simulation.launch(one)
        vm.run_until_idle("60s")
        results.append((simulation.now_ns, vm.counts(), vm.counters(), one.snapshot()))
    assert results[0] == results[1]
    with pytest.raises(GuestError, match="launched cannot be restored"):
        guest.restore(moment)
    with pytest.raises(GuestError, match="launched already"):
        Simulation(Host("4GiB")).launch(guest)


def test_simulations_are_not_copied():
    simulation = Simulation(Host("4GiB"), seed=3)
    vm = simulation.launch(Guest("1GiB", kernel="linux-6.1", strategy=V8))
    for what, message in ((simulation, "run it again with the same seed"), (simulation.host, "make a new one"),
                          (vm, r"guest\.snapshot\(\) keeps")):
        for act in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(SnapshotError, match=f"cannot be copied, pickled or saved.*{message}"):
                act(what)
    vm.run_until_idle("1s")
    moment = vm.guest.snapshot()
    assert copy.deepcopy(vm.guest).snapshot() == moment
    simulation.check()


def test_a_guest_in_the_middle_of_a_report_is_not_launched():
    guest, player = used_guest("linux-6.1", MID_REPORT, memory="1GiB")
    play_until_reported(guest, player)
    with pytest.raises(GuestError, match=r"in the middle of a report: call strategy_core\.settle\(\)"):
        Simulation(Host("4GiB")).launch(guest)
    guest.strategy_core.settle()
    vm = Simulation(Host("4GiB")).launch(guest, boot=False)
    assert vm.run_until_idle("1s")


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("kernel", {"kernel": "linux-6.12"}),
        ("vcpus", {"vcpus": 1}),
        ("memory_map", {"memory": "768MiB"}),
        ("strategy", {"strategy": None}),
        ("strategy", {"strategy": strategies.V8(entries=65)}),
    ],
)
def test_restore_refuses_another_guest(field, other):
    guest, _ = used_guest("linux-6.1", V8, steps=500)
    before = guest.snapshot()
    settings = {"memory": "512MiB", "kernel": "linux-6.1", "vcpus": 2, "strategy": V8} | other
    with pytest.raises(SnapshotError, match=f"snapshot {field}: it is of a guest with .*, this one has .*from_snapshot"):
        guest.restore(Guest(settings.pop("memory"), **settings).snapshot())
    assert guest.snapshot() == before


def test_restore_takes_snapshots_only(tmp_path):
    with pytest.raises(SnapshotError, match="restore takes a Snapshot"):
        Guest("512MiB").restore(tmp_path)


def test_exchange_refuses_another_size():
    one, other = Guest("512MiB", kernel="linux-6.1"), Guest("768MiB", kernel="linux-6.1")
    with pytest.raises(PageError, match="page frames cannot become that of a guest with"):
        one.allocator.exchange(other.allocator)
    with pytest.raises(PageError, match=r"linux-6.12 cannot become that of a guest with linux-6.1"):
        one.allocator.exchange(Guest("512MiB", kernel="linux-6.12").allocator)


def test_a_strategy_without_a_state_says_so():
    import hinting

    @hinting.strategy(numba=False)
    class CountWithoutState:
        def setup(self, n_cpus):
            self.pages = 0

        def on_free(self, guest, cpu, pfns, orders):
            self.pages += pfns.size

    guest = Guest("512MiB", strategy=CountWithoutState())
    for act in (guest.snapshot, lambda: copy.copy(guest), lambda: pickle.dumps(guest)):
        with pytest.raises(StrategyError, match=r"strategy count-without-state: .* cannot be copied or saved: .* no state\(\)"):
            act()


def test_costs_are_kept(tmp_path):
    from hinting import costs

    profile = costs.load(overrides={"guest.pcp_alloc_hit": 99}, mode="high")
    guest = Guest("1GiB", costs=profile)
    guest.snapshot().save(tmp_path / "moment")
    assert Snapshot.load(tmp_path / "moment").costs == profile


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_guests_of_these_tests_have_a_past(kernel):
    guest, player = used_guest(kernel, V8)
    state = guest.allocator.state()
    assert guest.strategy_core.statistics()["runs"] > 10
    assert guest.strategy_core.captured(0) or guest.strategy_core.captured(1)
    assert len(set(state["pageblock_types"].tolist())) >= 3
    assert state["pcp_pfn"].size > 50
    assert {tuple(row) for row in state["used"][["movable", "compound"]].tolist()} >= {(0, 0), (1, 0), (1, 1)}
    assert len(player.held) > 100

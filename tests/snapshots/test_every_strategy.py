"""Every registered strategy: a guest that was saved, copied or set back in mid-run ends with the bytes of an undisturbed one.

A strategy that cannot be saved yet must say so.
"""

import copy
import dataclasses
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hinting import Guest, Host, Simulation, strategies, workloads
from hinting._core.strategies.hooks import Strategy
from hinting.errors import StrategyError
from tests.snapshots.harness import KERNELS, Player, assert_same, play_until_reported, used_guest

#: Smaller arrays than those of the series, so that a small guest fills them.
SMALL = {"entries": 48, "threshold": 6, "capacity": 4, "batch": 4, "barrier": 0}


def small(name: str) -> strategies.StrategySpec:
    spec = strategies.find(name)
    given = {key: value for key, value in SMALL.items() if key in {field.name for field in dataclasses.fields(spec)}}
    return dataclasses.replace(spec, **given)


ALL = {name: small(name) for name in strategies.names()
       if name != "none" and type(strategies.find(name)).__module__.startswith("hinting.strategies.")}
BUILT_IN = {name: spec for name, spec in ALL.items() if type(spec.core()).state is not Strategy.state}


def restored(guest: Guest) -> Guest:
    """The same guest, back from elsewhere."""
    moment = guest.snapshot()
    player = Player(9, [])
    player.play([guest], 300)
    guest.restore(moment)
    return guest


def filed(guest: Guest, folder) -> Guest:
    guest.snapshot().save(folder / "moment")
    return Guest.from_snapshot(folder / "moment")


WAYS = {
    "copy": lambda guest, _: copy.copy(guest),
    "file": filed,
    "pickle": lambda guest, _: pickle.loads(pickle.dumps(guest)),
    "restore": lambda guest, _: restored(guest),
}


def test_most_strategies_can_be_saved():
    assert {"v1", "v7", "v8", "v8-posted", "v8-early", "v9", "v10", "v11", "v12", "page-reporting"} <= set(BUILT_IN)


def test_others_say_that_they_cannot():
    for name in set(ALL) - set(BUILT_IN):
        guest = Guest("2GiB", kernel="linux-6.1", strategy=ALL[name])
        why = f"strategy {name}: the guest cannot be copied or saved: .*holds nothing of the host"
        with pytest.raises(StrategyError, match=why):
            guest.snapshot()


def saved_bytes(guest: Guest, folder) -> bytes:
    guest.snapshot().save(folder / "end")
    return (folder / "end").read_bytes()


@pytest.mark.parametrize("name", BUILT_IN)
@settings(max_examples=4, deadline=None)
@given(
    kernel=st.sampled_from(KERNELS),
    seed=st.integers(0, 2**32),
    parts=st.lists(st.tuples(st.integers(1, 900), st.sampled_from(sorted(WAYS))), min_size=2, max_size=5),
)
def test_disturbed_runs_end_like_undisturbed_ones(name, kernel, seed, parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("moments")
    guest, player = used_guest(kernel, BUILT_IN[name], steps=1200, seed=seed)
    other = copy.copy(guest)
    for steps, way in parts:
        player.play([guest, other], steps)
        other = WAYS[way](other, folder)
        assert_same(guest, other)
    player.play([guest, other], 500)
    assert saved_bytes(guest, folder) == saved_bytes(other, folder)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BUILT_IN)
def test_in_the_middle_of_a_report(name, way, tmp_path):
    guest, player = used_guest("linux-6.1", BUILT_IN[name], steps=1200)
    play_until_reported(guest, player)
    other = WAYS[way](copy.copy(guest), tmp_path)
    assert_same(guest, other)
    for one in (guest, other):
        one.strategy_core.settle()
        assert not one.strategy_core.in_flight()
        assert not one.strategy_core.submitted()
    assert_same(guest, other)
    player.play([guest, other], 1500)
    assert saved_bytes(guest, tmp_path) == saved_bytes(other, tmp_path)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_array_is_checked(name):
    """A number that is wrong by far is refused, whichever it is, or the guest stays sound with it."""
    guest, player = used_guest("linux-6.1", BUILT_IN[name], steps=1200)
    play_until_reported(guest, player)
    state, other = guest.strategy_core.state(), copy.copy(guest)
    refused = set()
    for key, array in state.items():
        for value in (-2, 1 << 40):
            for at in {0, array.size // 2, array.size - 1} if array.size else ():
                wrong = array.copy()
                wrong.reshape(-1)[at] = value
                try:
                    other.strategy_core.set_state(state | {key: wrong})
                except StrategyError as error:
                    refused.add(key)
                    assert_same(guest, other)
                    if not str(error).startswith("state of strategy "):
                        raise
                else:
                    other.strategy_core.settle()
                    Player(1).play([other], 100)
                    other.check()
                    other = copy.copy(guest)
    assert {"wake", "work", "statistics"} < refused


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_state_of_another_guest_is_refused(name):
    guest, player = used_guest("linux-6.1", BUILT_IN[name], steps=1200)
    play_until_reported(guest, player)
    state = guest.strategy_core.state()
    other = Guest("512MiB", kernel="linux-6.1", vcpus=1, strategy=BUILT_IN[name])
    before = other.strategy_core.state()
    with pytest.raises(StrategyError, match="state of strategy"):
        other.strategy_core.set_state(state)
    with pytest.raises(StrategyError, match="'nothing' is unknown"):
        other.strategy_core.set_state(before | {"nothing": before["work"]})
    assert {key: array.tolist() for key, array in before.items()} == {
        key: array.tolist() for key, array in other.strategy_core.state().items()}


@pytest.mark.parametrize("name", BUILT_IN)
def test_in_the_middle_of_a_simulation(name, tmp_path):
    """Copies of a running guest: whatever is under way at that moment, they settle and are sound guests of their own."""
    simulation = Simulation(Host("4GiB"), seed=1)
    vm = simulation.launch(Guest("1GiB", kernel="linux-6.1", vcpus=2, strategy=BUILT_IN[name]),
                           workload=workloads.memhog("300MiB"))
    core = vm.guest.strategy_core
    under_way = 0
    while simulation.step() and under_way < 5:
        if core.in_flight():
            under_way += 1
            other = copy.copy(vm.guest)
            assert_same(vm.guest, other)
            other.strategy_core.settle()
            other.check()
    assert under_way
    last = filed(vm.guest, tmp_path)
    last.strategy_core.settle()
    after = Simulation(Host("4GiB"), seed=2)
    assert after.launch(last, boot=False, workload=workloads.memhog("100MiB")).run_until_idle("60s")
    after.check()
    vm.run_until_idle("60s")
    simulation.check()

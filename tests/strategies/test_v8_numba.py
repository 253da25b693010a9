"""v8 written by a user for Numba decides, counts and takes time exactly as the built-in one."""

from __future__ import annotations

import pytest

from hinting import Guest, Host, Simulation, workloads
from hinting.strategies import V8Stats, find

from .harness import V8_NUMBA, assert_sound, huge_pairs, whole_block

pytest.importorskip("numba")


def captured(guest: Guest) -> list[tuple[int, int]]:
    """The captured array of CPU 0, of either implementation."""
    core = guest.strategy_core
    if hasattr(core, "captured"):
        return [(pfn, order) for pfn, order, _ in core.captured(0)]
    state = core.owner.state[0]
    return list(zip(state["pfn"][: state["n"]].tolist(), state["order"][: state["n"]].tolist(), strict=True))


@pytest.fixture(params=["built-in", "numba"])
def guest(request) -> Guest:
    strategy = V8Stats() if request.param == "built-in" else find(V8_NUMBA)
    return Guest("5GiB", strategy=strategy, kernel="linux-5.0")


@pytest.mark.parametrize("thp", ["always", "never"])
@pytest.mark.parametrize("vcpus", [1, 2])
@pytest.mark.parametrize("entries", [100, 1000])
def test_a_simulation_is_the_same_to_the_byte(thp, vcpus, entries):
    results = []
    for strategy in (V8Stats(entries=entries), find(V8_NUMBA, {"entries": entries})):
        sim = Simulation(Host("8GiB"), seed=3)
        vm = sim.launch(Guest("3GiB", strategy=strategy, thp=thp, vcpus=vcpus), workload=workloads.memhog("2GiB"))
        other = sim.launch(Guest("2GiB", strategy=strategy, thp=thp, vcpus=vcpus), workload=workloads.memhog("1GiB"))
        sim.run()
        sim.check()
        results.append((
            [column.to_pylist() for column in sim.timeline().columns],
            [(each.counters(), each.counts(), each.accounts(), captured(each.guest)) for each in (vm, other)],
        ))
    assert results[0][1][0][1]["reports"] > 0
    assert results[0] == results[1]


def test_t2_single_frees_of_one_block_leave_nine_entries(guest):
    pages = whole_block(guest)
    assert captured(guest) == []
    for page in pages[:1000]:
        guest.free(page)
    entries = captured(guest)
    heads = [0, 512, 768, 896, 960, 992, 996, 998]     # of blocks of 512, 256, 128, 64, 32, 4, 2 and 1 pages
    assert [pfn - pages[0] for pfn, _ in entries] == [*heads, 999]
    assert not guest.strategy_core.is_woken(0)


def test_t3_two_lists_leave_498_entries(guest):
    pages = whole_block(guest)
    guest.free_list(pages[:510])
    guest.free_list(pages[510:1000])
    entries = captured(guest)
    assert len(entries) == 498
    heads = [0, 256, 384, 448, 480, 496, 504, 508]     # of blocks of 256, 128, 64, 32, 16, 8, 4 and 2 pages
    assert [pfn - pages[0] for pfn, _ in entries] == [*heads, *range(510, 1000)]


def test_t4_huge_frees_halve_the_room_left_and_wake_at_free_1998(guest):
    frames = huge_pairs(guest, 2000)
    left = {1000: 501, 1499: 750, 1749: 875, 1874: 938, 1936: 969,
            1967: 984, 1983: 992, 1991: 996, 1995: 998, 1997: 999}
    for n, frame in enumerate(frames[:1998], 1):
        guest.free(frame, order=9)
        if n in left:
            assert len(captured(guest)) == left[n], f"after free {n}"
        assert guest.strategy_core.is_woken(0) == (n == 1998)
    assert len(captured(guest)) == 1000


def test_a_run_of_the_thread_reports_the_same_blocks_and_puts_them_back():
    outcomes = []
    for strategy in (V8Stats(), find(V8_NUMBA)):
        guest = Guest("5GiB", strategy=strategy)
        for frame in huge_pairs(guest, 2000):
            guest.free(frame, order=9)
        blocks = guest.strategy_core.run_thread(0)
        assert len(blocks) > 900
        guest.strategy_core.host_done(0)
        assert_sound(guest)
        outcomes.append((blocks, guest.counters(), guest.buddyinfo().tolist()))
    assert outcomes[0] == outcomes[1]

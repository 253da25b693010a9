"""States that contradict themselves are refused with the array, the row and the reason, before the cores see them."""

import re

import numpy as np
import pytest

from hinting import kernels, strategies
from hinting._core.mm.allocator import Allocator
from hinting.errors import PageError, StrategyError
from tests.snapshots.harness import assert_same_arrays, used_guest

KERNEL = "linux-6.12"


@pytest.fixture(scope="module")
def guest():
    """Zone 1 has free blocks of the orders that the tests look for."""
    for seed in range(50):
        guest = used_guest(KERNEL, strategies.V8(entries=64, isolation_cap=5), steps=4000, seed=seed)[0]
        if guest.buddyinfo()[1, [0, 3, 9, 10]].all() and guest.buddyinfo()[1, 0] > 1:
            return guest
    raise AssertionError("no guest has free blocks of all these orders")


@pytest.fixture
def state(guest):
    return {name: array.copy() for name, array in guest.allocator.state().items()}


def refused(state, message):
    with pytest.raises(PageError, match=message) as error:
        Allocator.from_state(kernels.load(KERNEL), state)
    assert str(error.value).startswith(("state: ", "zone "))


def first_list(state, order):
    """Row of the first free list of an order in zone 1, and where its blocks begin."""
    lists = state["free_lists"]
    row = int(np.flatnonzero((lists["order"] == order) & (lists["zone"] == 1))[0])
    return row, int(state["free_lists"]["blocks"][:row].sum())


def put(array, column, row, value):
    array[column][row] = value


def test_array_missing(state):
    del state["pcp_pfn"]
    refused(state, "array 'pcp_pfn' is missing")


def test_array_unknown(state):
    refused(state | {"pages": state["free_pfn"]}, "unknown array 'pages', expected counters, zones, ")


def test_column_missing_and_unknown(state):
    fields = [name for name in state["zones"].dtype.names if name != "counter"]
    refused(state | {"zones": state["zones"][fields]}, "zones has no column 'counter'")
    kind = np.dtype([*state["isolated"].dtype.descr, ("age", "u1")])
    refused(state | {"isolated": np.zeros(1, kind)}, "isolated has the unknown column 'age', expected pfn, order")


def test_not_integers(state):
    refused(state | {"free_pfn": state["free_pfn"].astype(float)}, "free_pfn must be integers, got float64")
    refused(state | {"free_pfn": state["free_pfn"].reshape(1, -1)}, "free_pfn must have one dimension, got 2")
    refused(state | {"used": state["free_pfn"]}, "used must have the columns pfn, blocks, ")
    refused(state | {"free_pfn": state["free_pfn"].astype(object)}, "free_pfn must be integers, got object")


@pytest.mark.parametrize(
    ("array", "column", "value"),
    [
        ("pcp", "batch", 0), ("pcp", "free_factor", 6), ("pcp", "high", -1), ("pcp", "flags", 4),
        ("zones", "index", 4), ("zones", "flags", 8), ("zones", "threshold", 128), ("zones", "managed", -1),
        ("free_lists", "order", 11), ("free_lists", "migratetype", 5), ("free_lists", "blocks", 0),
        ("pcp_lists", "pindex", 14), ("pcp_lists", "cpu", -1), ("used", "order", 11), ("used", "movable", 2),
        ("used", "blocks", 0), ("counters", "ncpus", 257), ("counters", "kswapd_wanted", 2),
    ],
)
def test_value_out_of_range(state, array, column, value):
    put(state[array], column, 0, value)
    refused(state, f"{array}.{column} must be between .*, row 0 has {value}")


def test_plain_array_out_of_range(state):
    types = state["pageblock_types"].astype(np.int64)
    types[3] = 5
    refused(state | {"pageblock_types": types}, "pageblock_types must be between 0 and 4, row 3 has 5")
    pfns = state["free_pfn"].astype(np.int64)
    pfns[2] = -1
    refused(state | {"free_pfn": pfns}, r"free_pfn must be between 0 and 4294967295, row 2 has -1")


def test_lists_and_entries_differ(state):
    refused(state | {"free_pfn": state["free_pfn"][:-1]}, "free_pfn has .* entries, the lists of free_lists have")
    refused(state | {"pcp_migratetype": state["pcp_migratetype"][1:]},
            "pcp_migratetype has .* entries, the lists of pcp_lists have")


def test_free_block_misaligned(state):
    _, at = first_list(state, 3)
    state["free_pfn"][at] += 4
    refused(state, f"free_pfn row {at}, free list of zone ., order 3, .*: the block of order 3 at pfn .* is not aligned to")


def test_free_block_outside_its_zone(state):
    _, at = first_list(state, 0)
    state["free_pfn"][at] = 17
    refused(state, "the block of order 0 at pfn 17 is not inside its zone")
    state["free_pfn"][at] = (1 << 32) - 1
    refused(state, "the block of order 0 at pfn 4294967295 is not inside its zone")


@pytest.mark.parametrize("order", [0, 3, 9, 10])
def test_free_block_overlaps(state, order):
    """The first block of a list lies where another block is."""
    _, at = first_list(state, order)
    other = int(state["free_pfn"][first_list(state, 0)[1] + 1 if order == 0 else first_list(state, 0)[1]])
    state["free_pfn"][at] = other >> order << order
    refused(state, r"free list of .*: the block of order \d+ at pfn \d+ overlaps another block")


def test_free_block_is_used(state):
    _, at = first_list(state, 0)
    pfn = int(state["free_pfn"][at])
    state["used"] = np.append(state["used"], np.array([(pfn, 1, 0, 0, 0)], state["used"].dtype))
    refused(state, f"used row {state['used'].size - 1}: the block of order 0 at pfn {pfn} overlaps another block")
    state["used"] = state["used"][:-1]
    state["isolated"] = np.append(state["isolated"], np.array([(pfn, 0)], state["isolated"].dtype))
    refused(state, f"isolated row .*: the block of order 0 at pfn {pfn} overlaps another block")


def test_used_run_leaves_memory(state, guest):
    state["used"] = np.append(state["used"], np.array([(guest.allocator.npfn - 1, 2, 0, 0, 0)], state["used"].dtype))
    refused(state, "used row .* overlaps another block|used row .* is not inside its zone")
    put(state["used"], "pfn", -1, (1 << 32) - 1)
    refused(state, "at pfn 4294967295 is not inside its zone")


def test_free_buddies_unmerged():
    allocator = empty()
    for pfn in (2, 8, 9):
        allocator.insert_free(pfn, 0, 1)
    refused(allocator.state(), "free_pfn row 1, free list of .*: the block of order 0 at pfn 8 is free beside its free buddy")


def test_free_block_on_the_list_of_another_type():
    allocator = empty()
    allocator.insert_free(32, 3, 1)
    allocator.insert_free(8, 3, 0)
    refused(allocator.state(), "free_pfn row 0, free list of zone 1, order 3, migratetype 0: the block of order 3 at pfn 8 "
                               "is not on the list of its pageblock's type")


def empty():
    zone = {"index": 1, "start": 0, "end": 2048, "managed": 2048, "watermark": (0, 0, 0), "lowmem_reserve": [0] * 5,
            "batch": 1, "threshold": 0}
    return Allocator(kernels.load(KERNEL), [zone])


def test_list_of_no_zone_or_twice(state):
    put(state["free_lists"], "zone", 0, 2)
    refused(state, "free list of zone 2, .*: there is no such zone")
    for name in ("zone", "order", "migratetype"):
        put(state["free_lists"], name, 0, state["free_lists"][name][1])
    refused(state, "it is there twice|is not inside its zone|is not aligned")


def test_pcp_list_of_no_cpu_or_twice(state):
    put(state["pcp_lists"], "cpu", 0, 2)
    refused(state, "per-CPU list of zone ., cpu 2, pindex .*: there is no such list")
    for name in ("cpu", "pindex", "zone"):  # the first list is one of single pages: any page may be on it
        put(state["pcp_lists"], name, 0, 0 if name == "cpu" else state["pcp_lists"][name][0])
        put(state["pcp_lists"], name, 1, state["pcp_lists"][name][0])
    refused(state, "it is there twice")


def test_pcp_page_on_two_lists(state):
    state["pcp_pfn"][1] = state["pcp_pfn"][0]
    refused(state, "pcp_pfn row 1, per-CPU list of .*overlaps another block")


def test_pcp_fields(state):
    put(state["pcp"], "count", -1, state["pcp"]["count"][-1] + 1)
    refused(state, r"pcp row \d+: count is \d+ pages, the lists of zone 1, cpu 1 have \d+")
    refused(state | {"pcp": state["pcp"][:-1]}, "pcp has no row for zone 1, cpu 1")
    put(state["pcp"], "cpu", 1, 0)
    refused(state, "pcp row 1: zone 0, cpu 0 does not exist or is there twice")


def test_factor_of_another_kernel():
    guest = used_guest("linux-5.0", steps=200)[0]
    state = guest.allocator.state()
    state["pcp"]["free_factor"][0] = 1
    with pytest.raises(PageError, match=r"pcp row 0: free_factor of linux-5.0 is at most 0, got 1"):
        Allocator.from_state(guest.allocator.kernel, state)


def test_counter(state):
    put(state["zones"], "counter", 1, state["zones"]["counter"][1] + 1)
    refused(state, r"zone 1: counter \d+ and the CPUs' differences make \d+ free pages, the free lists have \d+")


def test_free_highatomic(state):
    put(state["zones"], "nr_free_highatomic", 1, 3)
    refused(state, "zone 1: nr_free_highatomic is 3 pages, the free lists have 0")


def test_zones(state):
    put(state["zones"], "index", 0, 1)
    refused(state, "zone 1 is there twice")
    put(state["zones"], "index", 0, 0)
    put(state["zones"], "end", 0, 5000)
    refused(state, "overlaps zone")
    with pytest.raises(PageError, match="at least one zone is needed"):
        Allocator.from_state(kernels.load(KERNEL), state | {"zones": state["zones"][:0]})


def test_pageblocks(state):
    refused(state | {"pageblock_skip": state["pageblock_skip"][1:]}, r"pageblock_skip has \d+ entries, the guest has \d+")


def test_other_integer_types_are_fine(state, guest):
    wide = {name: array if array.dtype.names else array.astype(np.int64) for name, array in state.items()}
    made = Allocator.from_state(kernels.load(KERNEL), wide)
    assert_same_arrays(guest.allocator.state(), made.state())


# The strategy's state


@pytest.fixture
def hinted():
    """An attached v8 and its state, with blocks isolated."""
    guest, player = used_guest("linux-6.1", strategies.V8(entries=64, isolation_cap=5), steps=500)
    while not guest.strategy_core.in_flight():
        player.play([guest], 1)
    return guest.strategy_core, guest.strategy_core.state()


def broken(hinted, message, **arrays):
    core, state = hinted
    before = core.state()
    with pytest.raises(StrategyError, match=message):
        core.set_state({key: value for key, value in (state | arrays).items() if value is not None})
    assert_same_arrays(before, core.state())


def changed(array, row, column, value):
    array = array.copy()
    array[row, column] = value
    return array


def test_strategy_arrays(hinted):
    _, state = hinted
    broken(hinted, "'cpus' is missing", cpus=None)
    broken(hinted, "'age' is unknown", age=np.zeros(1, int))
    broken(hinted, "counters must be integers, got float64", counters=state["counters"] / 2)
    broken(hinted, re.escape("counters must have shape (9,), got (8,)"), counters=state["counters"][:8])
    broken(hinted, "counters must be between 0 and", counters=-state["counters"] - 1)
    broken(hinted, "wake must be between 0 and 1", wake=np.array([0, 2]))
    broken(hinted, "a thread's ticket is its CPU's number", thread_ticket=np.array([1, 0]))


def test_strategy_captured(hinted):
    _, state = hinted
    captured = state["captured"]
    row = int(np.flatnonzero(captured[:, 2] >= 0)[0])
    broken(hinted, "no block of order .* begins at pfn 1073741824", captured=changed(captured, row, 1, 1 << 30))
    broken(hinted, "no block of order 11 begins", captured=changed(captured, row, 2, 11))
    broken(hinted, "in zone 3 of this guest", captured=changed(captured, row, 3, 3))
    broken(hinted, "captured has entries of cpu 2, the guest has 2", captured=changed(captured, row, 0, 2))
    broken(hinted, "captured entries, the array has 64", captured=np.repeat(captured, 30, axis=0))


def test_strategy_isolated(hinted):
    core, state = hinted
    isolated = state["isolated"]
    free = core.allocator.free_lists()
    pfns = next(iter(free.values()))
    broken(hinted, "is not an isolated block of the guest", isolated=changed(isolated, 0, 1, pfns[0]))
    broken(hinted, "is held twice", isolated=np.concatenate([isolated, isolated[:1]]))
    broken(hinted, "isolated has entries of cpu -1", isolated=changed(isolated, 0, 0, -1))


def test_strategy_cpus(hinted):
    _, state = hinted
    cpus, cpu = state["cpus"], int(state["isolated"][0, 0])
    broken(hinted, "does not fit", cpus=changed(cpus, cpu, 0, 65))
    broken(hinted, "does not fit", cpus=changed(cpus, cpu, 1, 66))
    broken(hinted, "does not fit", cpus=changed(cpus, cpu, 4, 2))
    broken(hinted, "which no run leaves behind", cpus=changed(cpus, cpu, 1, -1))
    broken(hinted, "is not inside entry", cpus=changed(cpus, cpu, 2, 1 << 30))

"""Snapshots of a guest: a used one of 5 GiB, and an untouched one of 1 TiB. Times are shown, none is asserted."""

import copy

import numpy as np
import pytest

from hinting import Guest, Snapshot, gfp

USED = 4 << 18  # pages of 4 GiB


def used_guest():
    """5 GiB with hinting v8: 4 GiB allocated page by page, half of it freed in random order."""
    guest = Guest("5GiB", kernel="linux-6.1", strategy="v8")
    pages = guest.alloc_many(USED, gfp=gfp.HIGHUSER_MOVABLE)
    guest.free_many(np.random.default_rng(1).permutation(pages)[: USED // 2])
    return guest


def untouched_guest():
    return Guest("1TiB", kernel="linux-6.1", strategy="v8")


@pytest.fixture(scope="module", params=[used_guest, untouched_guest], ids=["5GiB-used", "1TiB-untouched"])
def guest(request):
    return request.param()


def test_copy(benchmark, guest):
    """Also what snapshot() costs."""
    other = benchmark(copy.copy, guest)
    benchmark.extra_info["pages"] = other.memory_map.pages
    assert np.array_equal(other.buddyinfo(), guest.buddyinfo())


def test_restore(benchmark, guest):
    moment = guest.snapshot()
    benchmark(guest.restore, moment)


def test_state(benchmark, guest):
    state = benchmark(guest.allocator.state)
    benchmark.extra_info["bytes"] = sum(array.nbytes for array in state.values())


def test_from_state(benchmark, guest):
    benchmark(type(guest.allocator).from_state, guest.allocator.kernel, guest.allocator.state())


def test_save(benchmark, guest, tmp_path):
    benchmark.pedantic(guest.snapshot().save, (tmp_path / "moment",), rounds=5)
    benchmark.extra_info["bytes"] = (tmp_path / "moment").stat().st_size


def test_load(benchmark, guest, tmp_path):
    guest.snapshot().save(tmp_path / "moment")
    moment = benchmark.pedantic(Snapshot.load, (tmp_path / "moment",), rounds=5)
    assert moment == guest.snapshot()

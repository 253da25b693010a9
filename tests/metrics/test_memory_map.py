"""Samples of guests' memory against a recount page by page; taking them changes nothing."""

import numpy as np
import pytest

import hinting as h
from hinting import survey
from hinting.errors import HintingError
from hinting.metrics.memory_map import PAGES
from hinting.workloads import registry

STRATEGIES = ["none", h.strategies.V8(entries=64), "page-reporting-6.1"]


def run(strategy, memory_map, until="4s", guests=1, host="2GiB"):
    """Guests that read files, grow, shrink and free; their memory is not a whole number of pageblocks."""
    sim = h.Simulation(h.Host(host), seed=3, memory_map=memory_map)
    for _ in range(guests):
        vm = sim.launch(h.Guest("531MiB", strategy=strategy, kernel="linux-6.1"), boot=False)
        vm.submit(registry.find("file_scan").programs({"size": "40MiB"}, vcpus=1, memory_bytes=531 << 20, seed=1)[0])
        vm.submit(h.workloads.memhog("350MiB"))
    sim.run(until=until)
    return sim


def filled(table, times=None):
    """Pages by time, guest and pageblock, each row holding until the next of its pageblock."""
    rows = table.to_pydict()
    times = np.unique(rows["t_ns"]) if times is None else times
    found = np.zeros((len(times), 1 + max(rows["guest"]), 1 + max(rows["block"]), len(PAGES)), np.int64)
    for i in range(table.num_rows):
        found[np.searchsorted(times, rows["t_ns"][i]):, rows["guest"][i], rows["block"][i]] = [rows[name][i] for name in PAGES]
    return times, found


def recounted(vm):
    """Pages of each pageblock by what Guest.page says, and how many the host has a frame for."""
    guest, backing = vm.guest, vm.machine.backing
    blocks = -(-backing.npfn // 512)
    counts = np.zeros((blocks, len(PAGES)), np.int64)
    cached = set(vm.machine.page_cache()["pfn"].tolist())
    kinds = {"allocated": "used", "isolated": "isolated", "free": "free", "on": "free"}
    for pfn in range(backing.npfn):
        kind = kinds.get(guest.page(pfn).split()[0])
        present = backing.is_present(pfn)
        counts[pfn // 512, PAGES.index("backed")] += present
        if kind is None:
            continue
        counts[pfn // 512, PAGES.index("cache" if pfn in cached else kind)] += 1
        counts[pfn // 512, PAGES.index("free_backed")] += present and kind != "used"
    return counts


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_last_sample_is_what_the_pages_are(strategy):
    sim = run(strategy, "500ms")
    _, pages = filled(sim.memory_map())
    last = pages[-1, 0]
    expected = recounted(sim.vms[0])
    reported = last[:, PAGES.index("reported")]
    ours = last.copy()
    ours[:, PAGES.index("free")] += reported
    ours[:, PAGES.index("reported")] = 0
    assert expected[:, PAGES.index("cache")].sum() == 10_240
    np.testing.assert_array_equal(ours, expected[: len(ours)])
    assert not expected[len(ours):].any()
    assert bool(reported.sum() > 5_000) is (strategy != "none")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_free_blocks_are_buddyinfo(strategy):
    sim = run(strategy, "500ms")
    table = sim.fragmentation()
    last = table.slice(table.num_rows - 11).to_pydict()
    blocks = sim.vms[0].guest.buddyinfo().sum(axis=0)
    assert last["order"] == list(range(11))
    assert last["blocks"] == blocks.tolist()
    pages = blocks << np.arange(11)
    for order in range(11):
        assert last["unusable"][order] == pytest.approx(pages[:order].sum() / pages.sum())


def test_samples_change_nothing():
    with_map, without = run("v8", "7ms", guests=2), run("v8", None, guests=2)
    assert with_map.metrics().equals(without.metrics())
    assert with_map.series().equals(without.series())
    assert (with_map.engine.rows() == without.engine.rows()).all()


def test_samples_are_as_far_apart_as_asked():
    sim = run("v8", "5ms", until="100ms")
    sim.memory_map()
    times = sim.engine.survey.times()
    assert 15 < len(times) <= 22
    assert len(np.unique(times // 5_000_000)) >= len(times) - 1  # the last one is of now


@pytest.mark.parametrize("most", [3, 5, 33])
def test_every_second_sample_is_dropped_when_there_are_many(most, monkeypatch):
    monkeypatch.setattr(survey, "_AUTO_NS", 1_000_000)
    monkeypatch.setattr(survey, "_AUTO_MOST", most)
    few = run("page-reporting-6.1", "auto", guests=2)
    every = run("page-reporting-6.1", "1ms", guests=2)
    few_table, few_times = few.memory_map(), few.engine.survey.times()
    every_table, every_times = every.memory_map(), every.engine.survey.times()
    assert (most + 1) // 2 <= len(few_times) <= most
    assert len(every_times) > 50
    assert set(few_times.tolist()) <= set(every_times.tolist())
    _, thin = filled(few_table, few_times)
    _, full = filled(every_table, every_times)
    np.testing.assert_array_equal(thin, full[np.searchsorted(every_times, few_times)])
    keys = list(zip(*(few_table[name].to_pylist() for name in ("t_ns", "guest", "block")), strict=True))
    assert keys == sorted(set(keys))
    thin_free = few.fragmentation().to_pylist()
    full_free = [row for row in every.fragmentation().to_pylist() if row["t_ns"] in set(few_times.tolist())]
    assert thin_free == full_free


def test_a_killed_guest_has_no_memory_any_more():
    sim = run("none", "100ms", guests=5, host="2GiB", until="6s")
    killed = [vm for vm in sim.vms if vm.is_lost]
    assert killed
    times, pages = filled(sim.memory_map())
    for vm in killed:
        dead = np.searchsorted(times, vm.machine.lost_at_ns)
        assert pages[:dead, vm.number].any()
        assert not pages[-1, vm.number].any()
    table = sim.fragmentation()
    assert set(table["guest"].to_pylist()[-11:]) <= {vm.number for vm in sim.vms if not vm.is_lost}


@pytest.mark.parametrize("every", [0, -1, "0s", "soon", True])
def test_bad_intervals(every):
    with pytest.raises(HintingError):
        h.Simulation(h.Host("2GiB"), memory_map=every)


def test_there_is_none_unless_asked_for():
    sim = run("none", None, until="1s")
    with pytest.raises(HintingError, match="memory_map='auto'"):
        sim.memory_map()
    with pytest.raises(HintingError, match="memory_map='auto'"):
        sim.fragmentation()

"""The original experiment, on its own host and on a small one: shape of the result, and what must come out."""

import dataclasses

import pytest

import hinting as h
from hinting.errors import HintingError
from hinting.experiments import run
from hinting.units import parse_duration

SMALL = {"host.memory": "5GiB", "guests.0.memory": "1GiB", "program": "512MiB", "v8.entries": "128"}


def small_seed(*strategies, **changes):
    return h.Scenario.load("seed", SMALL | {key.replace("__", "."): value for key, value in changes.items()}, strategies or None)


@pytest.fixture(scope="module")
def small():
    return run(small_seed())


@pytest.fixture(scope="module")
def default():
    return run("seed")


def test_on_the_series_own_host(default):
    none, v8 = default.arms
    assert (none.strategy, none.guests_launched) == ("none", 3)
    assert v8.strategy == "v8"
    assert v8.guests_launched >= 5


def test_keys_of_the_document(default):
    document = default.to_json()
    assert document.keys() >= {"experiment", "host_memory_bytes", "arms"}
    assert document["experiment"] == "seed"
    assert document["host_memory_bytes"] == 15837 << 20
    assert len(document["arms"]) == 2
    for arm in document["arms"]:
        keys = {"strategy": str, "guests_launched": int, "host_used_bytes": list, "counters": dict}
        keys |= {"emulated_s": float, "wall_s": float}
        for key, kind in keys.items():
            assert type(arm[key]) is kind, key
        assert len(arm["host_used_bytes"]) == arm["guests_launched"]
        assert all(isinstance(used, int) and 0 < used <= 15837 << 20 for used in arm["host_used_bytes"])
    assert document["arms"][0]["counters"] == {}
    labels = (
        "total_freed_memory", "captued_memory", "scanned_memory", "total_isolated_memory", "tail_isolated_memory",
        "failed_isolation_memory", "reallocated_memory", "free_non_buddy_memory", "guest_returned_memory",
    )  # fmt: skip
    assert document["arms"][1]["counters"].keys() >= set(labels)


def test_hinting_fits_more_guests_on_a_small_host(small):
    none, v8 = small.arms
    assert v8.guests_launched >= none.guests_launched + 2
    assert none.lost is not None
    assert "killed" in none.stopped_by or "no memory" in none.stopped_by


def test_each_guest_that_fits_is_measured(small):
    gap_s = parse_duration(small.scenario.schedule.gap) / 1e9
    for arm in small.arms:
        assert [guest.number for guest in arm.guests] == list(range(arm.guests_launched))
        for guest in arm.guests:
            assert guest.done_s - guest.launched_s > gap_s
            assert guest.counts["touched_pages"] >= 512 << 8
            assert guest.host_used_bytes <= 5 << 30
        if arm.strategy == "none":
            assert all(guest.returned_bytes == 0 for guest in arm.guests)
            assert arm.host_used_bytes == sorted(arm.host_used_bytes)
        else:
            assert all(guest.returned_bytes > 64 << 20 for guest in arm.guests)
            assert arm.counters["guest_returned_memory"] == arm.counters["total_isolated_memory"] > 0
            assert arm.counters["captued_memory"] <= arm.counters["total_freed_memory"]


def test_the_same_setting_gives_the_same_result(small):
    again = run(small_seed())
    for one, other in zip(small.arms, again.arms, strict=True):
        assert one.timeline.equals(other.timeline)
        assert one.metrics.equals(other.metrics)
        same = {"wall_s": 0, "timeline": None, "metrics": None}
        assert dataclasses.replace(one, **same) == dataclasses.replace(other, **same)


def test_count_of_guests_and_progress():
    seen = []
    result = run(small_seed(guests__0__count="1"), progress=lambda arm, n: seen.append((arm, n)))
    assert [arm.guests_launched for arm in result.arms] == [1, 1]
    assert seen == [("none", 1), ("v8", 1)]


@pytest.mark.parametrize("vcpus", ["2", "4"])
@pytest.mark.parametrize("kernel", ["linux-6.1", "linux-6.12"])
def test_other_guests(vcpus, kernel):
    result = run(small_seed(guests__0__vcpus=vcpus, kernel=kernel, guests__0__count="2"))
    assert [arm.guests_launched for arm in result.arms] == [2, 2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"guests.0.count": 0}, "guests.0.count"),
        ({"seed": -1}, "seed"),
        ({"program": "0"}, r"workloads\.0\.size"),
        ({"strategy": "v99", "v8.entries": 5}, "no arm of this run"),
        ({"v8-stats.entries": 5}, "no arm|v8-stats"),
        ({"kernel": "linux-3"}, "linux-5.0"),
        ({"host.memory": "512MiB"}, "host"),
        ({"costs.profile": "free"}, "costs.profile"),
    ],
    ids=str,
)
def test_settings_that_cannot_run(changes, words):
    with pytest.raises(HintingError, match=words):
        run(h.Scenario.load("seed", SMALL | changes))

"""State and request level: what is counted, what is taken from the recording, and that checks along the way pass."""

import pytest

from hinting.errors import HintingError
from hinting.recordings import LEVELS, Recording, allocator_of, lists_of, replay
from tests.conftest import DATA, FULL, full_recordings

SMALL = sorted(path.parent.name for path in DATA.glob("*/meta.json"))
ALL = full_recordings()

KEYS = {
    "run", "level", "kernel", "undisturbed", "allocations", "identical", "assisted", "refused", "first_difference",
    "free_lists_identical", "free_lists", "free_lists_same", "pcp_lists_identical", "pcp_lists", "pcp_lists_same",
    "events", "events_per_s",
}  # fmt: skip


@pytest.mark.parametrize("level", ["state", "request"])
@pytest.mark.parametrize("name", SMALL)
def test_document(name, level):
    recording = Recording.open(DATA / name)
    document = replay(recording, level).to_json()
    assert document.keys() >= KEYS
    assert document["run"] == name
    assert document["level"] == level
    assert document["kernel"] == recording.meta["kernel"]
    assert document["undisturbed"] is True
    assert document["allocations"] == recording.meta["rows"]["ALLOC"] == document["identical"]
    assert document["assisted"] == 0
    assert document["first_difference"] is None
    assert document["free_lists"] == document["free_lists_same"] > 10
    assert document["pcp_lists"] == document["pcp_lists_same"] >= 3
    assert document["events"] == recording.meta["rows_total"]
    assert document["events_per_s"] > 100_000


@pytest.mark.parametrize("name", SMALL)
def test_a_loaded_state_is_the_recorded_one(name):
    recording = Recording.open(DATA / name)
    free, pcp = lists_of(recording, 0)
    allocator = allocator_of(recording)
    assert allocator.free_lists() == free
    assert allocator.pcp_lists() == pcp
    for zone in recording.meta["t0"]["zones"]:
        assert allocator.buddyinfo()[zone["zone_idx"]].tolist() == zone["nr_free"]
    allocator.check()


@pytest.mark.parametrize("level", ["state", "request"])
@pytest.mark.parametrize("name", SMALL)
def test_the_invariants_hold_along_the_way(name, level):
    assert replay(Recording.open(DATA / name), level, check_every=9973).is_identical


def test_levels():
    assert set(LEVELS) >= {"state", "request"}
    with pytest.raises(HintingError, match="level must be one of state, request"):
        replay(Recording.open(DATA / SMALL[0]), "page")


@pytest.mark.skipif(not ALL, reason=f"the full recordings are not at {FULL} (set HINTING_RECORDINGS)")
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_state_level_of_full_recordings(path):
    recording = Recording.open(path)
    result = replay(recording, "state")
    assert result.allocations == recording.meta["rows"]["ALLOC"]
    if recording.undisturbed and recording.ncpus == 1 and recording.kernel == "linux-6.1":
        assert result.is_identical
        assert result.refused == 0

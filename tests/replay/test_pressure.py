"""Recorded effects of reclaim and compaction as inputs: they change nothing where nothing acted, and suffice where it did."""

import pytest

from hinting._core.engine.replay import Events, effect_order
from hinting._core.engine.replay_request import RequestReplay
from hinting.recordings import Recording, allocator_of, lists_of, replay
from tests.conftest import DATA, FULL, full_recordings

SMALL = sorted(path.parent for path in DATA.glob("*/meta.json"))
DISTURBED = FULL / "pagecache-256m-1cpu"


def ordered(recording):
    events = Events(recording.events, recording.types)
    if recording.ncpus == 1:
        return events
    return Events(recording.events, recording.types, effect_order(events, recording.ncpus))


@pytest.mark.parametrize("path", [*SMALL, *full_recordings()], ids=lambda path: path.name)
def test_nothing_is_taken_from_an_undisturbed_recording(path):
    recording = Recording.open(path)
    if not recording.undisturbed or recording.has_reporting:
        pytest.skip("reclaim, compaction or page reporting acted")
    allocator = allocator_of(recording)
    run = RequestReplay(allocator, ordered(recording), pressure=True)
    run.advance()
    tally = run.result()
    assert tally["identical"] == tally["allocations"] > 1000
    assert tally["refused"] == 0
    assert (allocator.free_lists(), allocator.pcp_lists()) == lists_of(recording, 1)
    allocator.check()
    zones = tally["effects"].pop("zones")
    assert set(tally["effects"].values()) == {0}
    assert zones == 0 or "normal-" in path.name  # requests that Normal could not serve without mixing pageblocks


@pytest.mark.skipif(not DISTURBED.is_dir(), reason=f"the full recording is not at {FULL}")
def test_under_reclaim_and_compaction_every_page_is_the_kernels():
    recording = Recording.open(DISTURBED)
    result = replay(recording, check_every=50_001)
    assert result.is_identical
    assert result.refused == 0
    assert result.effects["rotations"] < 10
    assert result.effects["blocks"] == recording.meta["rows"]["ISOLATE"]
    assert result.assisted == sum(result.effects.values()) < result.allocations
    assert replay(recording, "state", check_every=50_001).is_identical

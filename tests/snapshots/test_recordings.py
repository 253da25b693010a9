"""A recording's moments as guests: what the real kernel had, and what it did from there on."""

import numpy as np
import pytest

from hinting import Guest, Snapshot, gfp
from hinting.errors import RecordingError, SnapshotError
from hinting.recordings import Recording, lists_of
from hinting.recordings.v8_state import captured_of
from tests.conftest import DATA, full_recordings

RECORDINGS = sorted(path.parent for path in DATA.glob("*/meta.json"))
ALL = RECORDINGS + [path for path in full_recordings() if path.name not in {small.name for small in RECORDINGS}]


@pytest.mark.parametrize("at", ["t0", "t1"])
@pytest.mark.parametrize("folder", ALL, ids=lambda path: path.name)
def test_the_guest_is_the_recorded_one(folder, at, tmp_path):
    recording = Recording.open(folder)
    moment = recording.meta[at]
    guest = Guest.from_snapshot(folder, at=at)
    guest.snapshot().save(tmp_path / "moment")
    for one in (guest, Guest.from_snapshot(tmp_path / "moment")):
        one.check()
        assert (one.allocator.free_lists(), one.allocator.pcp_lists()) == lists_of(recording, int(at[1]))
        assert (one.kernel, one.vcpus) == (recording.kernel, recording.ncpus)
        zones = one.zoneinfo()
        for zone in moment["zones"]:
            shown = zones[zone["name"]]
            assert [shown["spanned"], shown["present"], shown["managed"]] == [
                zone["spanned_pages"], zone["present_pages"], zone["managed_pages"]]
            boosted = [mark + zone["watermark_boost"] for mark in zone["watermark"]]
            assert [shown["min"], shown["low"], shown["high"], shown["promo"]] == boosted
            assert one.buddyinfo()[zone["zone_idx"]].tolist() == zone["nr_free"]
        for pcp in moment["pcp"]:
            name = next(zone["name"] for zone in moment["zones"] if zone["zone_idx"] == pcp["zone_idx"])
            shown = zones[name]["pagesets"][pcp["cpu"]]
            assert (shown["count"], shown["high"], shown["batch"]) == (pcp["count"], pcp["high"], pcp["batch"])
        if recording.has_v8:
            assert one.strategy.name == "v8"
            assert one.strategy_core.counters_by_name() == moment["hinting"]["counters_kb"]
            for cpu in range(recording.ncpus):
                assert one.strategy_core.captured(cpu) == captured_of(recording, int(at[1]), cpu)


@pytest.mark.parametrize("folder", RECORDINGS, ids=lambda path: path.name)
def test_the_memory_map_has_the_zones_without_their_holes(folder):
    recording = Recording.open(folder)
    memory = Guest.from_snapshot(folder).memory_map
    zones = recording.meta["t0"]["zones"]
    assert memory.npfn == max(zone["zone_start_pfn"] + zone["spanned_pages"] for zone in zones)
    assert memory.ram[0][0] == 1
    assert 0 <= memory.pages - sum(zone["present_pages"] for zone in zones) < 512  # the hole below 1 MiB and the like
    assert memory.ram == sorted(memory.ram)
    if any(zone["name"] == "Normal" for zone in zones):
        assert len(memory.ram) == 2


@pytest.mark.parametrize("folder", RECORDINGS, ids=lambda path: path.name)
def test_the_first_choices_are_the_kernels(folder):
    """Requests up to the first row that is no request: the guest takes the pages that the kernel took."""
    recording = Recording.open(folder)
    guest = Guest.from_snapshot(recording)
    events, names = recording.events, np.array(recording.types)
    kinds = names[events["type"]]
    rows = 0
    for row in range(len(kinds)):
        if kinds[row] in ("RMQ", "REFILL", "DRAINED", "DRAIN", "VMFOLD"):
            continue
        if kinds[row] != "ALLOC" or events["aux"][row] > 1 or not events["gfp"][row]:
            break
        pfn = guest.alloc(int(events["order"][row]), int(events["gfp"][row]), int(events["cpu"][row]))
        assert pfn == events["pfn"][row]
        rows += 1
    assert rows or kinds[0] != "ALLOC"


def test_memory_in_use_is_single_pages():
    guest = Guest.from_snapshot(DATA / "stressng-512m-1cpu")
    used = guest.allocator.state()["used"]
    assert set(used["order"].tolist()) == {0}
    assert set(used["movable"].tolist()) == {0, 1}
    first = int(used["pfn"][-1])
    guest.free(first)
    assert guest.alloc(gfp=gfp.HIGHUSER_MOVABLE) >= 0
    guest.check()


def test_huge_pages_as_linux_decides_at_boot():
    assert Guest.from_snapshot(DATA / "stressng-512m-1cpu").thp == "never"
    assert Guest.from_snapshot(DATA / "hackbench-768m-1cpu").thp == "always"


def test_a_recording_object_and_another_strategy():
    recording = Recording.open(DATA / "v8-test-5g-1cpu")
    plain = Guest.from_snapshot(recording, at="t1", strategy=None)
    assert plain.strategy is None
    assert plain.allocator.free_lists() == Guest.from_snapshot(recording, at="t1").allocator.free_lists()


def test_bad_moments(tmp_path):
    with pytest.raises(RecordingError, match="at must be one of t0, t1, got 't2'"):
        Guest.from_snapshot(DATA / "stressng-512m-1cpu", at="t2")
    Guest("1GiB").snapshot().save(tmp_path / "moment")
    for source in (tmp_path / "moment", Snapshot.load(tmp_path / "moment")):
        with pytest.raises(SnapshotError, match="at='t0' picks a moment of a recording"):
            Guest.from_snapshot(source, at="t0")

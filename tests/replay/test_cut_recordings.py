"""Recordings may begin and end at any moment: parts of full ones, from states in their middle, are replayed as exactly."""

import json

import numpy as np
import pytest

from hinting.recordings import Recording, replay
from tests.conftest import FULL
from tests.replay.cutting import cut, quiet_row

pytestmark = pytest.mark.skipif(not FULL.is_dir(), reason=f"the full recordings are not at {FULL}")


def levels(recording):
    return ("state", "request", "hinting") if recording.has_v8 or recording.has_reporting else ("state", "request")


@pytest.mark.parametrize(
    ("name", "first", "rows"),
    [
        ("k612-thpfrag-896m-1cpu", 100_000, 40_000),
        ("normal-nofrag-1024m-1cpu", 650_000, 40_000),
        ("normal-1024m-1cpu", 300_000, 40_000),
        ("highorder-512m-1cpu", 40_000, 20_000),
        ("pagecache-256m-1cpu", 430_000, 40_000),
        ("v8-nearall-384m-1cpu", 200_000, 20_000),
    ],
)
def test_a_later_beginning(name, first, rows, tmp_path):
    recording = Recording.open(FULL / name)
    first = quiet_row(recording, first)
    cut(recording, first, quiet_row(recording, first + rows), tmp_path / "part")
    part = Recording.open(tmp_path / "part")
    for level in levels(part):
        result = replay(part, level)
        assert result.is_identical
        assert result.events > 10_000


@pytest.mark.parametrize("moment", ["HINT_WAKE", "HINT_RUN", "HINT_REPORTED"])
def test_a_thread_of_v8_under_way(moment, tmp_path):
    """Woken but not started, at its first page, and with all blocks isolated and out at the host."""
    recording = Recording.open(FULL / "v8-holes-256m-1cpu")
    kinds = recording.events["type"]
    first = int(np.flatnonzero(kinds == recording.types.index(moment))[1]) + 1
    last = int(np.flatnonzero(kinds == recording.types.index("HINT_REPORTED"))[4]) + 1
    cut(recording, first, last, tmp_path / "part")
    part = Recording.open(tmp_path / "part")
    assert part.meta["t0"]["hinting"]["cpus"][0]["kvm_pt_idx"] == 1000
    assert bool(part.v8_out_at_start(0)) == (moment == "HINT_REPORTED")
    for level in levels(part):
        assert replay(part, level).is_identical


def test_captured_pages_that_are_compound_pages_at_the_start(tmp_path):
    """They were captured, and allocated again before the start; only what the thread says later tells of it."""
    recording = Recording.open(FULL / "v8-nearall-384m-1cpu")
    kinds, pfns = recording.events["type"], recording.events["pfn"]
    met = int(np.flatnonzero(kinds == recording.types.index("HINT_COMPOUND"))[0])
    head = recording.events["b"][met]
    taken = int(np.flatnonzero((kinds[:met] == recording.types.index("ALLOC")) & (pfns[:met] == head))[-1])
    cut(recording, quiet_row(recording, taken + 1), quiet_row(recording, met + 2000), tmp_path / "part")
    part = Recording.open(tmp_path / "part")
    assert part.meta["rows"]["HINT_COMPOUND"] > 0
    assert replay(part, "hinting").is_identical


def test_counters_that_lag_more_decide_no_zone(tmp_path):
    """With a second CPU, which does nothing, counters may lag twice as far: tests near a watermark would go otherwise."""
    folder = tmp_path / "two"
    folder.mkdir()
    for file in (FULL / "normal-nofrag-1024m-1cpu").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    meta = json.loads((folder / "meta.json").read_text())
    meta["cpus"] = 2
    for moment in ("t0", "t1"):
        idle = {"cpu": 1, "count": 0, "vm_stat_diff_free": 0}
        meta[moment]["pcp"] += [{**pcp, **idle} for pcp in meta[moment]["pcp"]]
    (folder / "meta.json").write_text(json.dumps(meta))
    result = replay(Recording.open(folder))
    assert result.is_identical
    assert 0 < result.assisted < 100

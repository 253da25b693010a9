"""Replay of recordings of real kernels: rows a second.

Recordings: folders below tests/data, or below the folder that HINTING_RECORDINGS names.
"""

import os
from pathlib import Path

import pytest

from hinting._core.engine.replay import Events, effect_order
from hinting._core.engine.replay_request import RequestReplay
from hinting._core.engine.replay_state import StateReplay
from hinting.recordings import Recording
from hinting.recordings.reader import is_recording
from hinting.recordings.snapshot import allocator_of

ROOT = Path(os.environ.get("HINTING_RECORDINGS") or Path(__file__).parents[1] / "tests" / "data")
RECORDINGS = sorted(path.parent for path in ROOT.rglob("meta.json") if is_recording(path.parent))
LEVELS = {"request": RequestReplay, "state": StateReplay}


@pytest.mark.skipif(not RECORDINGS, reason="no recordings: set HINTING_RECORDINGS to a folder with some")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_replay(benchmark, path, level):
    """One recording through the cores; reading it is not measured."""
    recording = Recording.open(path)
    events = Events(recording.events, recording.types)
    if level == "request" and recording.ncpus > 1:
        events = Events(recording.events, recording.types, effect_order(events, recording.ncpus))
    benchmark.extra_info["events"] = len(events)

    def start():
        return (LEVELS[level](allocator_of(recording), events),), {}

    benchmark.pedantic(LEVELS[level].advance, setup=start, rounds=5, warmup_rounds=1)
    benchmark.extra_info["events_per_s"] = len(events) / benchmark.stats.stats.median

"""Timelines for the Perfetto viewer, read back with its protobuf definitions."""

import json
import os
from collections import defaultdict

import numpy as np
import pytest

import hinting as h
from hinting.experiments import run
from hinting.metrics.timeline import HOST
from hinting.recordings import Recording
from hinting.reports.perfetto import Recorded, write_perfetto
from tests.cli.test_cli import SMALL_HOST, hinting
from tests.conftest import DATA

trace_pb2 = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")


class Timeline:
    """Tracks by name within their process, and the events of each in the order of the file."""

    def __init__(self, path):
        self.trace = trace_pb2.Trace.FromString(path.read_bytes())
        self.processes, self.names, self.parents, self.counters = {}, {}, {}, set()
        self.events = defaultdict(list)
        for packet in self.trace.packet:
            if packet.HasField("track_descriptor"):
                track = packet.track_descriptor
                assert track.uuid not in self.names
                self.names[track.uuid] = track.name or track.process.process_name
                if track.HasField("process"):
                    self.processes[track.uuid] = track.process.process_name
                else:
                    self.parents[track.uuid] = track.parent_uuid
                if track.HasField("counter"):
                    self.counters.add(track.uuid)
            else:
                assert packet.track_event.track_uuid in self.parents
                self.events[packet.track_event.track_uuid].append((packet.timestamp, packet.track_event))

    def track(self, process, name):
        """Events of all lanes of a track."""
        wanted = [uuid for uuid, parent in self.parents.items()
                  if self.processes[parent] == process and self.names[uuid].partition(" (")[0] == name]
        return [event for uuid in wanted for event in self.events[uuid]]

    def slices(self, process, name):
        return [event for _, event in self.track(process, name) if event.type == event.TYPE_SLICE_BEGIN]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One small run with spans, and its timeline."""
    scenario = h.Scenario.load("seed", {"host_memory": "6GiB", "guest_memory": "2GiB", "program": "1400MiB", "max_guests": 2,
                                        "v8.entries": 128})  # fmt: skip
    arms = run(scenario, spans=True).arms
    path = tmp_path_factory.mktemp("perfetto") / "run.pftrace"
    write_perfetto(path, [Recorded(arm.strategy, arm.spans, arm.series) for arm in arms])
    return arms, Timeline(path)


def test_tracks(small):
    _, timeline = small
    expected = {f"{arm}: {who}" for arm in ("none", "v8") for who in ("host", "guest 1", "guest 2")}
    assert set(timeline.processes.values()) == expected
    assert {timeline.names[uuid] for uuid in timeline.counters} >= {"held memory", "discarded memory", "isolated memory"}
    names = {timeline.names[uuid].partition(" (")[0] for uuid in timeline.parents}
    assert {"program", "vcpu 0", "thread 0", "virtqueue", "vmm"} <= names
    assert not timeline.track("none: guest 1", "virtqueue")


def test_slices_nest_and_times_ascend(small):
    _, timeline = small
    for uuid, events in timeline.events.items():
        times = [time for time, _ in events]
        assert times == sorted(times), timeline.names[uuid]
        depth = 0
        for _, event in events:
            depth += {event.TYPE_SLICE_BEGIN: 1, event.TYPE_SLICE_END: -1}.get(event.type, 0)
            assert 0 <= depth <= 1
        assert depth == 0


def test_it_shows_what_the_run_measured(small):
    arms, timeline = small
    for arm in arms:
        table = arm.metrics.to_pylist()
        for row in table:
            process = f"{arm.strategy}: " + ("host" if row["guest"] == HOST else f"guest {row['guest'] + 1}")
            held = timeline.track(process, "held memory")
            if row["guest"] != HOST:
                assert held[-1][1].counter_value == row["held"] * 2**30
                reports = timeline.slices(process, "virtqueue")
                assert len(reports) == len(timeline.slices(process, "vmm")) == row["reports"]
                pages = sum(one.int_value for event in reports for one in event.debug_annotations if one.name == "pages")
                assert pages * 4096 >= row["memory_returned"] * 2**30
                names = [event.name for event in timeline.slices(process, "vcpu 0")]
                assert names.count("exit") == len([one for one in timeline.slices(process, "program") if one.name == "exit"])
                assert {"touch", "sleep", "alloc", "back"} <= set(names)


def test_the_command(tmp_path):
    files = [tmp_path / name for name in ("a.pftrace", "b.pftrace", "c.pftrace")]
    hinting("run", *SMALL_HOST, "--set", "max_guests=1", "--perfetto", files[0])
    hinting("run", *SMALL_HOST, "--set", "max_guests=1", "--perfetto", files[1])
    assert files[0].read_bytes() == files[1].read_bytes()
    arguments = ["--strategy", "v8:entries=128", "--set", "max_guests=1", *SMALL_HOST[:6]]
    done = hinting("compare", *arguments, "--perfetto", files[2], "--json")
    assert done.stdout.startswith("{")
    assert "v8:entries=128: guest 1" in Timeline(files[2]).processes.values()
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in files}


def test_a_recording(tmp_path):
    folder, path = DATA / "v8-test-5g-1cpu", tmp_path / "replay.pftrace"
    done = hinting("replay", folder, "--level", "hinting", "--perfetto", path, "--json")
    assert json.loads(done.stdout)["run"] == folder.name
    timeline = Timeline(path)
    process = f"{folder.name}: guest 1"
    events = Recording.open(folder).events
    kinds = np.array(Recording.open(folder).types)[events["type"]]
    pages = np.where(kinds == "ALLOC", 1, np.where(kinds == "FREE", -1, 0)) << np.maximum(events["order"], 0).astype(int)
    assert timeline.track(process, "allocated memory")[-1][1].counter_value == pages.sum() * 4096
    assert [event.name for event in timeline.slices(process, "thread 0")] == ["run"] * int((kinds == "HINT_RUN").sum())
    assert [event.name for event in timeline.slices(process, "vcpu 0")] == ["scan"] * int((kinds == "HINT_SCAN").sum())
    assert not timeline.track(process, "replay")


def test_bad_input(tmp_path, monkeypatch):
    for path in (tmp_path, tmp_path / "nothing" / "file"):
        done = hinting("run", "--perfetto", path, status=2)
        assert done.stderr.startswith(f"hinting: --perfetto {path}: cannot be written to")
        assert done.stderr.count("\n") == 1
    (tmp_path / "perfetto.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    done = hinting("run", "--perfetto", tmp_path / "file", status=2)
    assert done.stderr == "hinting: --perfetto needs the perfetto package: pip install 'hinting[perfetto]'\n"


def test_spans_are_kept_on_request_only():
    sim = h.Simulation(h.Host("2GiB"))
    with pytest.raises(h.HintingError, match="spans=True"):
        sim.spans()

"""A run as a timeline for the Perfetto viewer (ui.perfetto.dev): guests, vCPUs, threads, virtqueue and host as tracks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hinting.errors import HintingError
from hinting.metrics.timeline import HOST

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Recorded", "check_perfetto", "write_perfetto"]

#: The one writer of all packets.
SEQUENCE = 1
#: Process numbers of one arm begin at a multiple of this.
ARM_PIDS = 10_000
#: Counters stand before other tracks; there are fewer.
COUNTERS = 100
#: Tracks of a guest in the order in which they are shown; others follow.
ORDER = ("program", "vcpu", "thread", "virtqueue", "vmm")


@dataclass(frozen=True)
class Recorded:
    """An arm to draw. name: before every track's. spans: as Simulation.spans. series: as Simulation.series."""

    name: str
    spans: pa.Table
    series: pa.Table


def _protos() -> Any:
    """The protobuf module of the perfetto package; HintingError that says how to install it."""
    try:
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2
    except ImportError as error:
        raise HintingError("--perfetto needs the perfetto package: pip install 'hinting[perfetto]'") from error
    return perfetto_trace_pb2


def check_perfetto(path: Path) -> None:
    """See before a run that its timeline can be written; HintingError naming the file or the missing package if not."""
    _protos()
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "is a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise HintingError(f"--perfetto {path}: cannot be written to: {error.strerror or error}") from None


class _Writer:
    """Packets to a file, one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        self.protos = _protos()
        self.file = file
        self.tracks = 0
        self.is_first = True

    def packet(self) -> Any:
        packet = self.protos.TracePacket(trusted_packet_sequence_id=SEQUENCE)
        if self.is_first:
            packet.sequence_flags = self.protos.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
            self.is_first = False
        return packet

    def put(self, packet: Any) -> None:
        self.file.write(self.protos.Trace(packet=[packet]).SerializeToString(deterministic=True))

    def track(self, name: str, parent: int = 0, **kind: Any) -> int:
        """A new track; returns its number. kind: process or counter and their fields, order among its siblings."""
        self.tracks += 1
        packet = self.packet()
        descriptor = packet.track_descriptor
        descriptor.uuid = self.tracks
        if parent:
            descriptor.parent_uuid = parent
            descriptor.sibling_order_rank = kind.get("rank", 0)
        if "pid" in kind:
            descriptor.process.pid = kind["pid"]
            descriptor.process.process_name = name
            descriptor.child_ordering = descriptor.EXPLICIT
        else:
            descriptor.name = name
        if kind.get("is_counter"):
            descriptor.counter.unit = descriptor.counter.UNIT_SIZE_BYTES
        self.put(packet)
        return self.tracks

    def event(self, track: int, t_ns: int, kind: str, name: str = "", **fields: int) -> None:
        packet = self.packet()
        packet.timestamp = t_ns
        event = packet.track_event
        event.track_uuid = track
        event.type = getattr(event, f"TYPE_{kind}")
        if name:
            event.name = name
        if "value" in fields:
            event.counter_value = fields.pop("value")
        for key, value in fields.items():
            event.debug_annotations.add(name=key, int_value=value)
        self.put(packet)


def write_perfetto(path: Path, arms: Iterable[Recorded]) -> None:
    """Write the timeline of one arm or several, all of it or none; HintingError naming the file if that fails."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as temporary:
            new = Path(temporary) / "timeline"
            with new.open("wb") as file:
                writer = _Writer(file)
                for number, arm in enumerate(arms):
                    _write_arm(writer, number, arm)
            os.replace(new, path)
    except OSError as error:
        raise HintingError(f"--perfetto {path}: cannot be written to: {error.strerror or error}") from None


def _write_arm(writer: _Writer, number: int, arm: Recorded) -> None:
    spans, counters = arm.spans.to_pylist(), arm.series.to_pylist()
    guests = sorted({row["guest"] for row in [*spans, *counters]})
    for guest in guests:
        what = "host" if guest == HOST else f"guest {guest + 1}"
        process = writer.track(f"{arm.name}: {what}", pid=1 + number * ARM_PIDS + guest + 1)
        _write_counters(writer, process, [row for row in counters if row["guest"] == guest])
        _write_spans(writer, process, [row for row in spans if row["guest"] == guest])


def _write_counters(writer: _Writer, process: int, rows: list[dict[str, Any]]) -> None:
    for rank, name in enumerate(dict.fromkeys(row["metric"] for row in rows)):
        track = writer.track(f"{name} memory", process, is_counter=True, rank=rank)
        for row in rows:
            if row["metric"] == name:
                writer.event(track, row["t_ns"], "COUNTER", value=row["value"])


def _rank(track: str) -> tuple[int, str]:
    kind, _, lane = track.partition(" ")
    return (ORDER.index(kind) if kind in ORDER else len(ORDER), lane.zfill(6))


def _write_spans(writer: _Writer, process: int, rows: list[dict[str, Any]]) -> None:
    names = sorted({row["track"] for row in rows}, key=_rank)
    for rank, name in enumerate(names, start=COUNTERS):
        mine = sorted((row for row in rows if row["track"] == name), key=lambda row: (row["begin_ns"], -row["end_ns"]))
        for lane, spans in enumerate(_lanes(mine)):
            track = writer.track(name if lane == 0 else f"{name} ({lane + 1})", process, rank=rank)
            for row in spans:
                amounts = {"pages": row["pages"]} if row["pages"] is not None else {}
                amounts |= {"blocks": row["blocks"]} if row["blocks"] is not None else {}
                if row["begin_ns"] == row["end_ns"]:
                    writer.event(track, row["begin_ns"], "INSTANT", row["name"], **amounts)
                    continue
                writer.event(track, row["begin_ns"], "SLICE_BEGIN", row["name"], **amounts)
                writer.event(track, row["end_ns"], "SLICE_END")


def _lanes(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Spans that overlap side by side: each in the first lane that is free at its begin."""
    lanes: list[list[dict[str, Any]]] = []
    for row in rows:
        free = next((lane for lane in lanes if lane[-1]["end_ns"] <= row["begin_ns"]), None)
        if free is None:
            lanes.append([row])
        else:
            free.append(row)
    return lanes

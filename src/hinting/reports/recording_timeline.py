"""A recording of a real kernel as a timeline, with the first decision on which a replay of it differs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hinting.errors import RecordingError
from hinting.metrics.spans import SPANS_SCHEMA
from hinting.metrics.tables import SERIES_SCHEMA
from hinting.recordings import Recording
from hinting.recordings.replay import ReplayResult
from hinting.reports.perfetto import Recorded
from hinting.units import PAGE_BYTES

__all__ = ["recording_timeline"]

#: Begin and end of what takes time: track and name.
_SPANS = {
    ("HINT_SCAN", "HINT_SCAN_END"): ("vcpu", "scan"),
    ("HINT_RUN", "HINT_RUN_END"): ("thread", "run"),
}
#: Moments: track and name.
_MOMENTS = {
    "HINT_WAKE": ("thread", "wake"),
    "HINT_REPORTED": ("thread", "reported"),
    "REPORT": ("thread", "report"),
    "REPORT_WORK": ("thread", "reporting pass"),
    "REFILL": ("vcpu", "refill"),
    "DRAIN": ("vcpu", "drain"),
    "DRAIN_CPU": ("vcpu", "drain all"),
    "DECAY": ("vcpu", "decay"),
    "EXTFRAG": ("vcpu", "fallback"),
}
#: Changes that are closer share a row, us.
_RESOLUTION_US = 1000

_Row = tuple[int, str, str, int, int, int | None, int | None]


def recording_timeline(recording: Recording, result: ReplayResult) -> Recorded:
    """Memory that was allocated since the start, and what the kernel and its strategy did on each CPU.

    Raises RecordingError for a recording without times.
    """
    events = recording.events
    if "ts_us" not in events:
        raise RecordingError(f"{recording.path}: --perfetto needs times, and events.parquet has no column ts_us")
    numbers = {name: number for number, name in enumerate(recording.types)}
    rows = [*_spans(events, numbers), *_moments(events, numbers)]
    difference = result.first_difference
    if difference is not None:
        at = int(events["ts_us"][difference.row]) * 1000
        rows.append((0, "replay", f"first difference: pfn {difference.chosen_pfn}", at, at, None, None))
    rows.sort(key=lambda row: (row[3], row[4], row[1], row[2]))
    columns = zip(*rows, strict=True) if rows else ([] for _ in SPANS_SCHEMA)
    spans = pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, SPANS_SCHEMA, strict=True)], schema=SPANS_SCHEMA
    )
    return Recorded(recording.name, spans, _allocated(events, numbers))


def _spans(events: dict[str, np.ndarray], numbers: dict[str, int]) -> list[_Row]:
    rows: list[_Row] = []
    for (first, last), (track, name) in _SPANS.items():
        if first not in numbers or last not in numbers:
            continue
        begun: dict[int, int] = {}
        for row in np.flatnonzero((events["type"] == numbers[first]) | (events["type"] == numbers[last])):
            cpu, at = int(events["cpu"][row]), int(events["ts_us"][row]) * 1000
            if events["type"][row] == numbers[first]:
                begun[cpu] = at
            elif cpu in begun:
                rows.append((0, f"{track} {cpu}", name, begun.pop(cpu), at, None, None))
    return rows


def _moments(events: dict[str, np.ndarray], numbers: dict[str, int]) -> list[_Row]:
    rows: list[_Row] = []
    for kind, (track, name) in _MOMENTS.items():
        for row in np.flatnonzero(events["type"] == numbers[kind]) if kind in numbers else ():
            at = int(events["ts_us"][row]) * 1000
            blocks = int(events["a"][row]) if kind in ("HINT_REPORTED", "REPORT") else None
            rows.append((0, f"{track} {int(events['cpu'][row])}", name, at, at, None, blocks))
    return rows


def _allocated(events: dict[str, np.ndarray], numbers: dict[str, int]) -> pa.Table:
    """Pages allocated less pages freed since the start, a row a millisecond with changes."""
    is_alloc, is_free = events["type"] == numbers["ALLOC"], events["type"] == numbers["FREE"]
    changed = is_alloc | is_free
    pages = np.where(is_alloc, 1, -1)[changed] << events["order"][changed].astype(np.int64)
    order = np.argsort(events["ts_us"][changed], kind="stable")
    times, values = events["ts_us"][changed][order], np.cumsum(pages[order])
    slots = times // _RESOLUTION_US
    is_last = np.append(slots[1:] != slots[:-1], True)[: len(slots)]
    times, values = times[is_last] * 1000, values[is_last] * PAGE_BYTES
    columns = [times, np.zeros(len(times), np.int32), pa.array(["allocated"] * len(times), pa.string()), values]
    return pa.table(columns, schema=SERIES_SCHEMA)

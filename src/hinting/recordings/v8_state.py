"""Hinting v8 as a recording has it: the strategy at the start, and what must be left at the end."""

from __future__ import annotations

import numpy as np

from hinting._core.mm.allocator import Allocator
from hinting._core.strategies.v8 import V8 as V8Core
from hinting.errors import RecordingError, StrategyError
from hinting.recordings.reader import Recording
from hinting.strategies.v8 import V8

__all__ = ["captured_of", "v8_differences", "v8_of", "v8_spec"]

Entries = list[tuple[int, int, int]]

#: Rows of the thread that examine a page, and the column that names it.
_EXAMINED = {
    "HINT_COMPOUND": "pfn", "HINT_REF": "pfn", "HINT_NONBUDDY": "pfn", "HINT_ISOLATED": "b", "HINT_FAIL": "b",
}  # fmt: skip

#: A slot that holds nothing.
_EMPTY = (0, -1, -1)


def captured_of(recording: Recording, snap: int, cpu: int) -> Entries:
    """The captured array of a CPU at one moment: [(pfn, order, zone), ...] by index."""
    table = recording.table("hintarray.parquet")
    rows = [row for row in range(len(table["idx"])) if table["snap"][row] == snap and table["cpu"][row] == cpu]
    rows.sort(key=lambda row: int(table["idx"][row]))
    if [int(table["idx"][row]) for row in rows] != list(range(len(rows))):
        raise RecordingError(
            f"{recording.path / 'hintarray.parquet'}: the entries of cpu {cpu} at t{snap} are not 0..{len(rows) - 1}"
        )
    for row in rows:
        pfn, order, zone = (int(table[name][row]) for name in ("pfn", "order", "zone"))
        if (pfn, order, zone) == _EMPTY:  # worked off by the thread already
            continue
        if not (0 <= order <= 10 and 0 <= zone <= 3 and pfn >= 0 and pfn + (1 << order) <= recording.npfn):
            raise RecordingError(
                f"{recording.path / 'hintarray.parquet'}: row {row}: no block of this guest (pfn {pfn}, order {order}, "
                f"zone {zone})"
            )
    if len(rows) > recording.meta["hinting"]["max_fgpt_entries"]:
        raise RecordingError(
            f"{recording.path / 'hintarray.parquet'}: cpu {cpu} has {len(rows)} entries at t{snap}, the array has "
            f"{recording.meta['hinting']['max_fgpt_entries']}"
        )
    return [(int(table["pfn"][row]), int(table["order"][row]), int(table["zone"][row])) for row in rows]


def _state_error(recording: Recording, error: KeyError | TypeError) -> RecordingError:
    what = f"key {error} is missing" if isinstance(error, KeyError) else f"a value has the wrong type ({error})"
    return RecordingError(f"{recording.path / 'meta.json'}: the hinting state is not as expected: {what}")


def v8_spec(recording: Recording) -> V8:
    """The parameters of the recorded build."""
    try:
        build = recording.meta["hinting"]
        return V8(
            entries=build["max_fgpt_entries"],
            isolate_min_order=build["min_order"],
            scan_drop_non_buddy=bool(build["drop_nonbuddy_in_scan"]),
        )
    except (KeyError, TypeError) as error:
        raise _state_error(recording, error) from None


def v8_of(recording: Recording, allocator: Allocator, snap: int = 0) -> V8Core:
    """The strategy as it was at the start (snap 0) or the end (snap 1), attached to the allocator."""
    core = v8_spec(recording).core()
    try:
        state = recording.meta[f"t{snap}"]["hinting"]
        counters = state["counters_kb"]
        if not isinstance(counters, dict) or not all(isinstance(kib, int) for kib in counters.values()):
            raise TypeError(f"counters_kb must be numbers by name, got {counters!r}")
        isolated = sum(cpu["hyp_idx"] for cpu in state["cpus"]) if snap else 0
    except (KeyError, TypeError) as error:
        raise _state_error(recording, error) from None
    if isolated:
        raise RecordingError(f"{recording.path / 'meta.json'}: t{snap}: {isolated} blocks are isolated and not recorded, "
                             f"expected a moment at which hyp_idx is 0")
    core.attach(allocator)
    for cpu in range(recording.ncpus):
        core.load(cpu, captured_of(recording, snap, cpu), counters)
    if not snap:
        _resume_runs(recording, core)
    return core


def _resume_runs(recording: Recording, core: V8Core) -> None:
    """Threads that were under way at the start go on where they were: at the page that their first row is about."""
    state, events = core.state(), recording.events
    for cpu in range(recording.ncpus):
        rows = recording.v8_rows_before_run(cpu)
        entries = captured_of(recording, 0, cpu)
        if not rows or not entries:
            continue
        name, row = rows[0]
        at, page, end = len(entries), 0, 0
        if name in _EXAMINED:
            at = int(events["a"][row])
            page = int(events[_EXAMINED[name]][row])
            if not 0 <= at < len(entries):
                file = recording.path / "events.parquet"
                raise RecordingError(f"{file}: row {row}: {name} is about entry {at} of {len(entries)}")
            end = entries[at][0] + (1 << max(entries[at][1], 0)) - 1
        blocks = [(cpu, pfn, order) for pfn, order in recording.v8_out_at_start(cpu)]
        state["isolated"] = np.concatenate([state["isolated"], np.array(blocks, np.int64).reshape(-1, 3)])
        state["cpus"][cpu] = (len(entries), at, page, end, 1, 0)
    try:
        core.set_state(state)
    except StrategyError as error:
        raise RecordingError(f"{recording.path}: the thread under way at the start: {error}") from None


def v8_differences(recording: Recording, _allocator: Allocator, core: V8Core) -> list[str]:
    """What of the nine counters and the captured arrays does not end as recorded, in words."""
    wrong = []
    ours, theirs = core.counters_by_name(), recording.meta["t1"]["hinting"]["counters_kb"]
    wrong += [
        f"counter {name}: {ours.get(name)} KiB, recorded {value} KiB" for name, value in theirs.items() if ours.get(name) != value
    ]
    for cpu in range(recording.ncpus):
        if core.captured(cpu) != captured_of(recording, 1, cpu):
            wrong.append(f"captured array of cpu {cpu}")
    return wrong

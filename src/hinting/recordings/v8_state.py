"""Hinting v8 as a recording has it: the strategy at the start, and what must be left at the end."""

from __future__ import annotations

from hinting._core.mm.allocator import Allocator
from hinting._core.strategies.v8 import V8 as V8Core
from hinting.errors import RecordingError
from hinting.recordings.reader import Recording
from hinting.strategies import V8

__all__ = ["captured_of", "v8_differences", "v8_of", "v8_spec"]

Entries = list[tuple[int, int, int]]


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
        isolated = sum(cpu["hyp_idx"] for cpu in state["cpus"])
    except (KeyError, TypeError) as error:
        raise _state_error(recording, error) from None
    if isolated:
        raise RecordingError(f"{recording.path / 'meta.json'}: t{snap}: {isolated} blocks are isolated and not recorded, "
                             f"expected a moment at which hyp_idx is 0")
    core.attach(allocator)
    for cpu in range(recording.ncpus):
        core.load(cpu, captured_of(recording, snap, cpu), counters)
    return core


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

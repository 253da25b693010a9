"""A moment of a recording of a real kernel as the parts of a snapshot."""

from __future__ import annotations

from typing import Any

import numpy as np

from hinting._core.limits import PAGEBLOCK_PAGES
from hinting._core.mm.boot import subtract
from hinting.costs import load as load_costs
from hinting.errors import RecordingError
from hinting.guests import THP_LEAST_PAGES, MemoryMap
from hinting.recordings.reader import NO_MEMORY, Recording
from hinting.recordings.snapshot import allocator_of
from hinting.recordings.v8_state import v8_of, v8_spec

__all__ = ["MOMENTS", "snapshot_of_recording"]

#: Moments of a recording.
MOMENTS = ("t0", "t1")


def snapshot_of_recording(recording: Recording, at: str) -> dict[str, Any]:
    """The parts of a Snapshot: the guest as it was at the start ("t0") or the end ("t1") of a recording.

    A recording does not say how pages in use were allocated: they are single pages here, those that counted as movable
    at t0 are marked so. Raises RecordingError.
    """
    if at not in MOMENTS:
        raise RecordingError(f"{recording.path}: at must be one of {', '.join(MOMENTS)}, got {at!r}")
    snap = MOMENTS.index(at)
    allocator = allocator_of(recording, snap)
    spec = v8_spec(recording) if recording.has_v8 else None
    managed = sum(allocator.zone_state(zone)["managed"] for zone in allocator.zones())
    return {
        "kernel": recording.kernel,
        "memory_map": _memory_map(recording, snap),
        "thp": "always" if managed >= THP_LEAST_PAGES else "never",
        "costs": load_costs(),
        "strategy": spec,
        "_strategy_state": v8_of(recording, allocator.copy(), snap).state() if spec is not None else None,
        "_allocator": allocator,
    }


def _memory_map(recording: Recording, snap: int) -> MemoryMap:
    """RAM is what the zones span, without pageblocks that have no memory. What boot kept is not recorded."""
    spans = sorted((int(zone["zone_start_pfn"]), int(zone["zone_start_pfn"]) + int(zone["spanned_pages"]))
                   for zone in recording.meta[f"t{snap}"]["zones"] if int(zone["spanned_pages"]))
    holes = [(int(b) * PAGEBLOCK_PAGES, (int(b) + 1) * PAGEBLOCK_PAGES)
             for b in np.flatnonzero(recording.pageblocks[f"mt_t{snap}"] == NO_MEMORY)]
    ram: list[tuple[int, int]] = []
    for first, end in subtract(spans, holes):
        if ram and ram[-1][1] == first:
            ram[-1] = (ram[-1][0], end)
        else:
            ram.append((first, end))
    if ram[-1][1] != spans[-1][1]:
        raise RecordingError(f"{recording.path / 'pageblocks.parquet'}: the last zone ends at pfn {spans[-1][1]}, "
                             f"memory at {ram[-1][1]}")
    return MemoryMap(ram=ram, free=list(ram), reserved=[], deferred=max(end for _, end in spans))

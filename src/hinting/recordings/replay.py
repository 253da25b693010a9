"""Replay a recording through the cores and say how many decisions were the kernel's."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from hinting._core.engine.replay import Events, effect_order, request_level
from hinting._core.engine.replay_state import state_level
from hinting._core.mm.allocator import Allocator
from hinting.errors import CheckError, HintingError
from hinting.recordings.explain import explain
from hinting.recordings.reader import Recording
from hinting.recordings.snapshot import allocator_of, lists_of

__all__ = ["LEVELS", "Difference", "ReplayResult", "replay"]

#: request: the cores choose. state: the recorded choices are forced, the lists must come out right.
LEVELS = ("state", "request")


@dataclass(frozen=True)
class Difference:
    """The first decision that differs: its row in events.parquet, both pages (-1: none), and why ours was chosen."""

    row: int
    expected_pfn: int
    chosen_pfn: int
    why: str
    details: str

    def to_json(self) -> dict[str, Any]:
        return {"row": self.row, "expected_pfn": self.expected_pfn, "chosen_pfn": self.chosen_pfn, "why": self.why}


@dataclass(frozen=True)
class ReplayResult:
    """What a replay gave.

    allocations, identical: choices, and those equal to the kernel's. assisted: choices for which something beyond the
    requests was taken from the recording. refused: rows that the emulated state could not follow. differing_lists: names
    of the lists that do not end as recorded.
    """

    run: str
    level: str
    kernel: str
    undisturbed: bool
    allocations: int
    identical: int
    assisted: int
    refused: int
    first_difference: Difference | None
    free_lists: int
    free_lists_same: int
    pcp_lists: int
    pcp_lists_same: int
    differing_lists: tuple[str, ...]
    events: int
    seconds: float

    @property
    def free_lists_identical(self) -> bool:
        return self.free_lists == self.free_lists_same

    @property
    def pcp_lists_identical(self) -> bool:
        return self.pcp_lists == self.pcp_lists_same

    @property
    def is_identical(self) -> bool:
        """Every choice and every list, in order."""
        return self.allocations == self.identical and self.free_lists_identical and self.pcp_lists_identical

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for `--json`."""
        return {
            "run": self.run,
            "level": self.level,
            "kernel": self.kernel,
            "undisturbed": self.undisturbed,
            "allocations": self.allocations,
            "identical": self.identical,
            "assisted": self.assisted,
            "refused": self.refused,
            "first_difference": self.first_difference.to_json() if self.first_difference is not None else None,
            "free_lists_identical": self.free_lists_identical,
            "free_lists": self.free_lists,
            "free_lists_same": self.free_lists_same,
            "pcp_lists_identical": self.pcp_lists_identical,
            "pcp_lists": self.pcp_lists,
            "pcp_lists_same": self.pcp_lists_same,
            "events": self.events,
            "events_per_s": self.events / self.seconds if self.seconds > 0 else 0.0,
        }


def _compare(ours: dict, theirs: dict, what: str) -> tuple[int, int, list[str]]:
    """Number of lists on either side, of those equal in order, and the names of the others."""
    keys = sorted(ours.keys() | theirs.keys())
    different = [key for key in keys if ours.get(key) != theirs.get(key)]
    names = {"free": "zone {} order {} type {}", "pcp": "zone {} cpu {} per-CPU list {}"}
    return len(keys), len(keys) - len(different), [names[what].format(*key) for key in different]


def _run(level: str, allocator: Allocator, events: Events, stop: int = -1) -> dict[str, int]:
    return state_level(allocator, events, stop) if level == "state" else request_level(allocator, events, stop)


def replay(recording: Recording, level: str = "request", *, check_every: int = 0) -> ReplayResult:
    """Replay one recording.

    level: one of LEVELS. check_every: verify all invariants after every so many rows (slow), 0: only at the end.
    Raises RecordingError for a recording that cannot be used.
    """
    if level not in LEVELS:
        raise HintingError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    columns = recording.events
    events, order = Events(columns, recording.types), np.arange(len(columns["type"]))
    if level == "request" and recording.ncpus > 1:
        order = effect_order(events, recording.ncpus)
        events = Events(columns, recording.types, order)
    if check_every:
        _check_along(recording, level, events, check_every)
    allocator = allocator_of(recording)
    started = time.perf_counter()
    tally = _run(level, allocator, events)
    seconds = time.perf_counter() - started
    free, pcp = lists_of(recording, 1)
    free_lists, free_same, different = _compare(allocator.free_lists(), free, "free")
    pcp_lists, pcp_same, different_pcp = _compare(allocator.pcp_lists(), pcp, "pcp")
    if not tally["refused"]:
        allocator.check()
    return ReplayResult(
        run=recording.name, level=level, kernel=recording.meta["kernel"], undisturbed=recording.undisturbed,
        allocations=tally["allocations"], identical=tally["identical"], assisted=tally.get("assisted", 0),
        refused=tally["refused"], first_difference=_difference(recording, level, events, order, tally),
        free_lists=free_lists, free_lists_same=free_same, pcp_lists=pcp_lists, pcp_lists_same=pcp_same,
        differing_lists=tuple(different + different_pcp), events=len(events), seconds=seconds,
    )


def _difference(
    recording: Recording, level: str, events: Events, order: np.ndarray, tally: dict[str, int]
) -> Difference | None:
    at = tally["first_row"]
    if at < 0 or tally["identical"] == tally["allocations"]:
        return None
    allocator = allocator_of(recording)
    _run(level, allocator, events, at)
    row = int(order[at])
    expected = int(recording.events["pfn"][row])
    why, details = explain(recording, allocator, row, tally.get("first_chosen", -1))
    return Difference(row, expected, tally.get("first_chosen", -1), why, details)


def _check_along(recording: Recording, level: str, events: Events, every: int) -> None:
    """Verify the invariants at every so many rows; CheckError names the row."""
    for stop in range(every, len(events) + every, every):
        allocator = allocator_of(recording)
        _run(level, allocator, events, min(stop, len(events)))
        try:
            allocator.check()
        except CheckError as error:
            raise CheckError(f"{recording.name}: before row {min(stop, len(events))}: {error}") from None

"""Replay a recording through the cores and say how many decisions were the kernel's."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from hinting._core.engine.replay import Events, effect_order, request_level
from hinting._core.engine.replay_state import state_level
from hinting._core.mm.allocator import Allocator
from hinting.errors import CheckError, HintingError, RecordingError
from hinting.recordings.explain import explain
from hinting.recordings.hinting_kinds import kind_of
from hinting.recordings.reader import Recording
from hinting.recordings.snapshot import allocator_of, lists_of

__all__ = ["LEVELS", "Difference", "ReplayResult", "replay"]

#: state: the recorded choices are forced, the lists must come out right. request: the cores choose every page.
#: hinting: the strategy decides as well.
LEVELS = ("state", "request", "hinting")


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
    requests was taken from the recording. effects: what was taken of reclaim and compaction, by kind. refused: rows
    that the emulated state could not follow. differing_lists: names of the lists that do not end as recorded.
    decisions, decisions_same: of the strategy (level hinting). hinting_differences: counters and arrays of the
    strategy that do not end as recorded.
    """

    run: str
    level: str
    kernel: str
    undisturbed: bool
    allocations: int
    identical: int
    assisted: int
    effects: dict[str, int]
    refused: int
    first_difference: Difference | None
    free_lists: int
    free_lists_same: int
    pcp_lists: int
    pcp_lists_same: int
    differing_lists: tuple[str, ...]
    decisions: int
    decisions_same: int
    hinting_differences: tuple[str, ...]
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
        return (
            self.allocations == self.identical
            and self.free_lists_identical
            and self.pcp_lists_identical
            and self.decisions == self.decisions_same
            and not self.hinting_differences
        )

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for `--json`."""
        document = {
            "run": self.run,
            "level": self.level,
            "kernel": self.kernel,
            "undisturbed": self.undisturbed,
            "allocations": self.allocations,
            "identical": self.identical,
            "assisted": self.assisted,
            "effects": self.effects,
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
        if self.level == "hinting":
            document |= {
                "decisions": self.decisions,
                "decisions_identical": self.decisions_same,
                "hinting_differences": list(self.hinting_differences),
            }
        return document


def _compare(ours: dict, theirs: dict, what: str) -> tuple[int, int, list[str]]:
    """Number of lists on either side, of those equal in order, and the names of the others."""
    keys = sorted(ours.keys() | theirs.keys())
    different = [key for key in keys if ours.get(key) != theirs.get(key)]
    names = {"free": "zone {} order {} type {}", "pcp": "zone {} cpu {} per-CPU list {}"}
    return len(keys), len(keys) - len(different), [names[what].format(*key) for key in different]


@dataclass
class _Run:
    """One pass over a recording's rows: the allocator at its end, the tally, and what a strategy did."""

    allocator: Allocator
    tally: dict[str, Any]
    seconds: float
    decisions: int = 0
    decisions_same: int = 0
    first_decision: int = -1
    first_decision_pfn: int = -1
    strategy_differences: tuple[str, ...] = ()


def _run(recording: Recording, level: str, events: Events, stop: int = -1) -> _Run:
    allocator = allocator_of(recording)
    if level == "hinting":
        kind = kind_of(recording)
        core = kind.core_of(recording, allocator)
        started = time.perf_counter()
        requests, answers = kind.replay(allocator, core, events, stop)
        seconds = time.perf_counter() - started
        return _Run(
            allocator,
            requests,
            seconds,
            answers["seen"],
            answers["same"],
            answers["first_row"],
            answers["first_pfn"],
            tuple(kind.differences(recording, allocator, core)),
        )
    started = time.perf_counter()
    tally: dict[str, Any]
    if level == "state":
        tally = state_level(allocator, events, stop)
    else:
        tally = request_level(allocator, events, stop, pressure=not recording.undisturbed)
    return _Run(allocator, tally, time.perf_counter() - started)


def replay(recording: Recording, level: str = "request", *, check_every: int = 0) -> ReplayResult:
    """Replay one recording.

    level: one of LEVELS. check_every: verify all invariants after every so many rows (slow), 0: only at the end.
    Raises RecordingError for a recording that cannot be used.
    """
    if level not in LEVELS:
        raise HintingError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    columns = recording.events
    events, order = Events(columns, recording.types), np.arange(len(columns["type"]))
    if level != "state" and recording.ncpus > 1:
        order = effect_order(events, recording.ncpus)
        events = Events(columns, recording.types, order)
    if check_every:
        _check_along(recording, level, events, check_every)
    run = _run(recording, level, events)
    tally = run.tally
    free, pcp = lists_of(recording, 1)
    free_lists, free_same, different = _compare(run.allocator.free_lists(), free, "free")
    pcp_lists, pcp_same, different_pcp = _compare(run.allocator.pcp_lists(), pcp, "pcp")
    if not tally["refused"]:
        _check_end(recording, level, run.allocator)
    return ReplayResult(
        run=recording.name,
        level=level,
        kernel=recording.meta["kernel"],
        undisturbed=recording.undisturbed,
        allocations=tally["allocations"],
        identical=tally["identical"],
        assisted=tally.get("assisted", 0),
        effects=tally.get("effects", {}),
        refused=tally["refused"],
        first_difference=_difference(recording, level, events, order, run),
        free_lists=free_lists,
        free_lists_same=free_same,
        pcp_lists=pcp_lists,
        pcp_lists_same=pcp_same,
        differing_lists=tuple(different + different_pcp),
        decisions=run.decisions,
        decisions_same=run.decisions_same,
        hinting_differences=run.strategy_differences,
        events=len(events),
        seconds=run.seconds,
    )


def _difference(recording: Recording, level: str, events: Events, order: np.ndarray, run: _Run) -> Difference | None:
    """The first choice or decision that differs."""
    tally = run.tally
    at = tally["first_row"] if tally["identical"] != tally["allocations"] else -1
    if run.first_decision >= 0 and (at < 0 or run.first_decision < at):
        row = int(order[run.first_decision])
        name = recording.types[recording.events["type"][row]]
        values = {key: int(recording.events[key][row]) for key in ("cpu", "pfn", "order", "mt", "aux", "a", "b", "c")}
        why = f"the strategy did not decide {name} here"
        return Difference(row, values["pfn"], run.first_decision_pfn, why, f"row {row}: {name} {values}")
    if at < 0:
        return None
    row = int(order[at])
    expected, chosen = int(recording.events["pfn"][row]), tally.get("first_chosen", -1)
    why, details = explain(recording, _run(recording, level, events, at).allocator, row, chosen)
    return Difference(row, expected, chosen, why, details)


def _check_end(recording: Recording, level: str, allocator: Allocator) -> None:
    """Verify the invariants; forced choices (state level) that break them are the recording's fault."""
    try:
        allocator.check()
    except CheckError as error:
        if level != "state":
            raise
        file = recording.path / "events.parquet"
        raise RecordingError(f"{file}: the rows lead to a state that cannot be: {error}") from None


def _check_along(recording: Recording, level: str, events: Events, every: int) -> None:
    """Verify the invariants at every so many rows; CheckError names the row."""
    for stop in range(every, len(events) + every, every):
        allocator = _run(recording, level, events, min(stop, len(events))).allocator
        try:
            allocator.check()
        except CheckError as error:
            raise CheckError(f"{recording.name}: before row {min(stop, len(events))}: {error}") from None

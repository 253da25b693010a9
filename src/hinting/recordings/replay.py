"""Replay a recording through the cores and say how many decisions were the kernel's."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from hinting._core.engine.replay import Events, Replay, effect_order
from hinting._core.engine.replay_hinting import HintingReplay
from hinting._core.engine.replay_reporting import ReportingReplay
from hinting._core.engine.replay_request import RequestReplay
from hinting._core.engine.replay_state import StateReplay
from hinting._core.mm.allocator import Allocator
from hinting._core.mm.check import check
from hinting.errors import CheckError, HintingError, RecordingError
from hinting.recordings.explain import explain, explain_decision
from hinting.recordings.hinting_kinds import KINDS, HintingKind, kind_of
from hinting.recordings.reader import NO_MEMORY, Recording
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
    pageblocks, pageblocks_same: pageblocks with memory, and those that end with the recorded type.
    decisions, decisions_same: of the strategy (level hinting). hinting_differences: counters and arrays of the
    strategy that do not end as recorded. seconds: CPU time of the replay itself, without reading and comparing.
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
    pageblocks: int
    pageblocks_same: int
    decisions: int
    decisions_same: int
    hinting_differences: tuple[str, ...]
    events: int
    seconds: float

    @property
    def free_lists_identical(self) -> bool:
        """Every free list at the end, in order."""
        return self.free_lists == self.free_lists_same

    @property
    def pcp_lists_identical(self) -> bool:
        """Every per-CPU list at the end, in order."""
        return self.pcp_lists == self.pcp_lists_same

    @property
    def is_identical(self) -> bool:
        """Every choice and every list, in order."""
        return (
            self.allocations == self.identical
            and self.free_lists_identical
            and self.pcp_lists_identical
            and self.pageblocks == self.pageblocks_same
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
            "pageblocks": self.pageblocks,
            "pageblocks_same": self.pageblocks_same,
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
    """One pass over a recording's rows: the allocator, the replay that works on it, and the strategy if it is judged."""

    recording: Recording
    allocator: Allocator
    replay: Replay
    kind: HintingKind | None
    core: Any = None
    seconds: float = 0.0

    @classmethod
    def begin(cls, recording: Recording, level: str, events: Events) -> _Run:
        allocator = allocator_of(recording)
        if level == "state":
            return cls(recording, allocator, StateReplay(allocator, events, reporting=recording.has_reporting), None)
        kind, judged = kind_of(recording), level == "hinting"
        if judged and kind is None:
            raise HintingError(
                f"{recording.path}: level hinting needs a recording of a kernel with "
                f"{' or '.join(kind.name for kind in KINDS)}, this one is of {recording.meta['kernel']} without"
            )
        if kind is None or not (judged or kind.is_own):
            return cls(recording, allocator, RequestReplay(allocator, events, pressure=not recording.undisturbed), None)
        core = kind.core_of(recording, allocator)
        return cls(recording, allocator, kind.replay(recording, allocator, core, events, judged), kind if judged else None, core)

    def advance(self, stop: int) -> None:
        started = time.thread_time()
        self.replay.advance(stop)
        self.seconds += time.thread_time() - started

    def answers(self) -> dict[str, int]:
        """What the strategy decided, where it is judged."""
        if isinstance(self.replay, HintingReplay | ReportingReplay) and self.kind is not None:
            return self.replay.answers()
        return {"seen": 0, "same": 0, "first_row": -1, "first_pfn": -1}

    def strategy_differences(self) -> tuple[str, ...]:
        return () if self.kind is None else tuple(self.kind.differences(self.recording, self.allocator, self.core))


def replay(recording: Recording, level: str = "request", *, check_every: int = 0) -> ReplayResult:
    """Replay one recording.

    level: one of LEVELS. check_every: verify all invariants after every so many rows (slow), 0: only at the end.
    Raises RecordingError for a recording that cannot be used.
    """
    if level not in LEVELS:
        raise HintingError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    columns = recording.events
    events, order = Events(columns, recording.types), np.arange(len(columns["type"]))
    if level != "state":
        order = effect_order(events, recording.ncpus)
        events = Events(columns, recording.types, order)
    run = _Run.begin(recording, level, events)
    for stop in range(check_every, len(events), check_every) if check_every else ():
        run.advance(stop)
        _check(run, level, f"before row {int(order[stop])}")
    run.advance(len(events))
    tally, answers = run.replay.result(), run.answers()
    free, pcp = lists_of(recording, 1)
    free_lists, free_same, different = _compare(run.allocator.free_lists(), free, "free")
    pcp_lists, pcp_same, different_pcp = _compare(run.allocator.pcp_lists(), pcp, "pcp")
    types = recording.pageblocks["mt_t1"]
    known = types != NO_MEMORY
    if not tally["refused"]:
        _check(run, level, "at the end")
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
        first_difference=_difference(run, level, events, order, tally, answers),
        free_lists=free_lists,
        free_lists_same=free_same,
        pcp_lists=pcp_lists,
        pcp_lists_same=pcp_same,
        differing_lists=tuple(different + different_pcp),
        pageblocks=int(known.sum()),
        pageblocks_same=int((known & (types == run.allocator.block_types())).sum()),
        decisions=answers["seen"],
        decisions_same=answers["same"],
        hinting_differences=run.strategy_differences(),
        events=len(events),
        seconds=run.seconds,
    )


def _difference(
    run: _Run, level: str, events: Events, order: np.ndarray, tally: dict[str, Any], answers: dict[str, int]
) -> Difference | None:
    """The first choice or decision that differs, with the state just before it."""
    recording = run.recording
    choice = tally["first_row"] if tally["identical"] != tally["allocations"] else -1
    decision = answers["first_row"]
    at = min((row for row in (choice, decision) if row >= 0), default=-1)
    if at < 0:
        return None
    before = _Run.begin(recording, level, events)
    before.advance(at)
    row = int(order[at])
    expected = int(recording.events["pfn"][row])
    if at == decision:
        why, details = explain_decision(recording, before.allocator, row, answers["first_pfn"])
        return Difference(row, expected, answers["first_pfn"], why, details)
    chosen = tally.get("first_chosen", -1)
    why, details = explain(recording, before.allocator, row, chosen)
    return Difference(row, expected, chosen, why, details)


def _check(run: _Run, level: str, when: str) -> None:
    """Verify the invariants; forced choices (state level) that break them are the recording's fault.

    Pages may be on their way from the free hook to a list where a recording shows the two apart.
    """
    try:
        check(run.allocator, on_their_way=level == "hinting")
    except CheckError as error:
        if level != "state":
            raise CheckError(f"{run.recording.name}: {when}: {error}") from None
        file = run.recording.path / "events.parquet"
        raise RecordingError(f"{file}: {when} the rows lead to a state that cannot be: {error}") from None

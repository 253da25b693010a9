"""The answer of an experiment: one sentence, and one table of the chief metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hinting.errors import HintingError
from hinting.metrics import metrics
from hinting.reports.best import ELASTICITY, FOOTPRINT, ROOM, memory_over_time
from hinting.reports.compare_text import best, number
from hinting.reports.page.arms import Arm
from hinting.reports.text import counted, describe
from hinting.scenarios import Scenario

__all__ = ["CHIEF", "answer", "cells", "lengths", "what_was_run"]

#: Metrics of the answer's table.
CHIEF = (
    "guests_fit", "footprint", "elasticity", "memory_returned", "time_to_return_50", "never_returned", "refaulted",
    "guest_cpu_per_gib", "host_cpu_per_gib", "slowdown", "thp_share",
)  # fmt: skip


def what_was_run(scenario: dict[str, Any], changes: Mapping[str, Any] | None = None) -> str:
    """Host and guests in one sentence, whatever the strategies were. changes: values by the paths of --set."""
    kept = {path: value for path, value in (changes or {}).items() if path != "strategy"}
    try:
        return describe(Scenario.from_document(scenario | {"strategy": "none"}, kept)) + "."
    except HintingError:
        return f"Scenario {scenario.get('name', '')}."


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _returned(arm: Arm) -> str:
    """What a strategy gave back, as a clause."""
    returned, half = arm.metrics.get("memory_returned"), arm.metrics.get("time_to_return_50")
    if not returned:
        return f"`{arm.label}` gives nothing back"
    soon = "" if half is None else f", half of what exits free within {number(half)} s"
    return f"`{arm.label}` gives back {number(returned)} GiB{soon}"


def _ends(arms: Sequence[Arm], name: str) -> tuple[list[Arm], list[Arm]]:
    """The best and the worst arms in a metric; nothing if they are equal or it was not measured everywhere."""
    values = [arm.metrics.get(name) for arm in arms]
    there = [value for value in values if value is not None]
    if len(there) < len(arms) or len(set(there)) < 2:
        return [], []
    high, low = max(there), min(there)
    first, last = (low, high) if metrics()[name].better == "less" else (high, low)
    return [arm for arm in arms if arm.metrics[name] == first], [arm for arm in arms if arm.metrics[name] == last]


def answer(arms: Sequence[Arm], scenario: dict[str, Any]) -> str:
    """The outcome in one sentence; names of strategies stand in backquotes."""
    if len(arms) == 1:
        fit = arms[0].metrics.get("guests_fit")
        guests = "" if fit is None else f"{counted(int(fit), 'guest')} held on this host; "
        text = f"{guests}{_returned(arms[0])}."
        return text[0].upper() + text[1:]
    one_by_one = scenario.get("schedule", {}).get("launch") == "one-by-one"
    first, last = _ends(arms, ROOM) if one_by_one else ([], [])
    if first:
        most, least = (counted(int(arm.metrics["guests_fit"]), "guest") for arm in (first[0], last[0]))
        text = f"{most} fit on this host with {_listed([arm.label for arm in first])}, {least.split()[0]} with " \
               f"{_listed([arm.label for arm in last])}"
        return f"{text}; {_returned(first[0])}."
    subject, fit = "Guests cost the host", arms[0].metrics.get(ROOM)
    if one_by_one and fit is not None:
        subject = f"{counted(int(fit), 'guest')} held on this host with each strategy; they cost it"
    metric = memory_over_time([arm.metrics.get("guest_seconds") for arm in arms])
    first, last = _ends(arms, metric)
    if first:
        low, high = (number(arm.metrics[metric]) for arm in (first[0], last[0]))
        amount = f"{low} GiB*min of memory over time" if metric == FOOTPRINT else f"{low} times what they use, over time"
        text = f"{subject} least with {_listed([arm.label for arm in first])}: {amount}, " \
               f"{high} with {_listed([arm.label for arm in last])}"
        return f"{text}; {_returned(first[0])}."
    return f"No difference between {_listed([arm.label for arm in arms])} in what guests cost the host."


def lengths(arms: Sequence[Arm]) -> str:
    """What to know about footprints of runs that are not equally long; empty if they are."""
    seconds = [arm.metrics.get("guest_seconds") for arm in arms]
    if memory_over_time(seconds) != ELASTICITY:
        return ""
    ends = [arm.end_ns / 1e9 for arm in arms]
    return f"Footprints grow with time, and runs ended after {number(min(ends))} to {number(max(ends))} s: " \
           "the elasticity, footprint over memory in use, compares them."


def cells(arms: Sequence[Arm], name: str) -> list[tuple[str, bool]]:
    """A metric's values as text, and whether each is the best."""
    values = [arm.metrics.get(name) for arm in arms]
    top = best(metrics()[name], values)
    return [(number(value), top is not None and value == top) for value in values]

"""Figures over time: the host's memory, what each guest costs, and what was given back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hinting.metrics.timeline import HOST
from hinting.reports.page.arms import Arm
from hinting.reports.page.theme import COLOURS, MUTED, Figure, colour_of, load_altair, shown_only
from hinting.reports.page.values import table

__all__ = ["given_back", "guest_memory", "host_memory"]

GIB = 2**30
#: Points of all lines of a figure together, and the least and the most of one line.
POINTS = 12_000
LEAST, MOST = 48, 480
_SHIFT = "[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!"


def _points(lines: int) -> int:
    return max(LEAST, min(MOST, POINTS // max(1, lines)))


def _lines(arms: Sequence[Arm], guest: int, names: dict[str, str]) -> dict[str, Any]:
    """Columns strategy, what, t (s), value (GiB) of some series of one guest or the host, of all arms."""
    parts: list[tuple[str, str, np.ndarray, np.ndarray]] = []
    points = _points(len(arms) * len(names))
    for arm in arms:
        for name, what in names.items():
            steps = arm.steps.get((guest, name))
            if steps is None or not len(steps.t_ns):
                continue
            thin = steps.thinned(points, arm.end_ns)
            times, values = np.append(thin.t_ns, arm.end_ns) / 1e9, np.append(thin.values, thin.values[-1]) / GIB
            parts.append((arm.label, what, times, values))
    return {
        "strategy": [part[0] for part in parts for _ in part[2]],
        "what": [part[1] for part in parts for _ in part[2]],
        "t": np.concatenate([part[2] for part in parts]) if parts else [],
        "value": np.concatenate([part[3] for part in parts]) if parts else [],
    }


def _zoom(alt: Any) -> Any:
    return alt.selection_interval(name="zoom", bind="scales", encodings=["x"], zoom="wheel![event.shiftKey]", translate=_SHIFT)


def _time_axis(alt: Any) -> Any:
    return alt.X("t:Q", title="emulated time (s)", scale=alt.Scale(nice=False, zero=True))


def host_memory(arms: Sequence[Arm], memory_bytes: int) -> Figure | None:
    """Host memory in use, a line a strategy; a rule shows all that the host has."""
    columns = _lines(arms, HOST, {"held": "in use"})
    if not len(columns["t"]):
        return None

    top = max(memory_bytes, GIB * float(np.max(columns["value"])))

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        names = [arm.label for arm in arms]
        shown, keep = shown_only(names)
        line = (
            alt.Chart(table(columns))
            .transform_filter(keep)
            .mark_line(interpolate="step-after", strokeWidth=1.6, clip=True)
            .encode(
                x=_time_axis(alt),
                y=alt.Y("value:Q", title="host memory in use (GiB)", scale=alt.Scale(domain=[0, 1.08 * top / GIB], nice=False)),
                color=colour_of(names, legend),
                tooltip=[
                    alt.Tooltip("strategy:N"),
                    alt.Tooltip("t:Q", format=".2f", title="time (s)"),
                    alt.Tooltip("value:Q", format=".2f", title="in use (GiB)"),
                ],
            )
            .add_params(shown, _zoom(alt))
        )
        limit = alt.Chart(table({"value": [memory_bytes / GIB], "text": [f"all of the host: {memory_bytes / GIB:.1f} GiB"]}))
        rule = limit.mark_rule(color="#c8404f", strokeWidth=1.5).encode(y="value:Q")
        text = limit.mark_text(align="left", dx=4, dy=-7, color="#c8404f", fontSize=12).encode(
            y="value:Q", x=alt.value(0), text="text:N"
        )
        return alt.layer(line, rule, text).properties(width=width, height=320)

    return Figure("host-memory", "Host memory over time",
                  "Memory in use on the host: its own needs and what all guests cost.", [make],
                  hint="Shift and drag or wheel moves and zooms.")


def given_back(arms: Sequence[Arm]) -> Figure | None:
    """Guest memory that the host has discarded so far, and how much of it was backed again."""
    columns = _lines(arms, HOST, {"discarded": "given back", "refaulted": "backed again"})
    if not any(columns["value"]):
        return None

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        names = [arm.label for arm in arms]
        shown, keep = shown_only(names)
        dash = alt.StrokeDash(
            "what:N", title=None, scale=alt.Scale(domain=["given back", "backed again"], range=[[1, 0], [5, 3]]),
            legend=alt.Legend(title=None, orient="right" if legend else "top", symbolType="stroke", symbolStrokeColor=MUTED),
        )
        return (
            alt.Chart(table(columns))
            .transform_filter(keep)
            .mark_line(interpolate="step-after", strokeWidth=1.6, clip=True)
            .encode(
                x=_time_axis(alt),
                y=alt.Y("value:Q", title="since the start (GiB)"),
                color=colour_of(names, legend),
                strokeDash=dash,
                tooltip=[
                    alt.Tooltip("strategy:N"),
                    alt.Tooltip("what:N", title="memory"),
                    alt.Tooltip("t:Q", format=".2f", title="time (s)"),
                    alt.Tooltip("value:Q", format=".2f", title="GiB"),
                ],
            )
            .add_params(shown, _zoom(alt))
            .properties(width=width, height=300)
        )

    return Figure("given-back", "Memory given back over time",
                  "Guest memory that the host backed and has discarded since the start, and what it had to back again.",
                  [make], height=300)


def guest_memory(arms: Sequence[Arm], base_bytes: int) -> Figure | None:
    """What each guest costs the host, stacked on the host's own needs, for one strategy at a time."""
    with_guests = [arm for arm in arms if arm.guests and arm.end_ns]
    if not with_guests:
        return None
    first = max(with_guests, key=lambda arm: arm.metrics.get("guests_fit") or len(arm.guests)).label
    points = min(200, _points(sum(len(arm.guests) for arm in with_guests)))
    parts: list[tuple[str, str, int, np.ndarray, np.ndarray]] = []
    for arm in with_guests:
        times = np.linspace(0, arm.end_ns, points)
        parts.append((arm.label, "the host itself", 0, times, np.full(points, base_bytes)))
        for guest in arm.guests:
            steps = arm.steps.get((guest, "held"))
            if steps is not None:
                parts.append((arm.label, f"guest {guest + 1}", guest + 1, times, steps.at(times)))
    columns: dict[str, Any] = {
        "strategy": [part[0] for part in parts for _ in part[3]],
        "guest": [part[1] for part in parts for _ in part[3]],
        "number": [part[2] for part in parts for _ in part[3]],
        "t": np.concatenate([part[3] for part in parts]) / 1e9,
        "value": np.concatenate([part[4] for part in parts]) / GIB,
    }

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        names = [arm.label for arm in with_guests]
        most = max(part[2] for part in parts)
        chosen = alt.param(name="strategy", value=first, bind=alt.binding_select(options=names, name="strategy "))
        colours = ["#80808080", *(COLOURS[i % len(COLOURS)] for i in range(most))]
        layers = ["the host itself", *(f"guest {i + 1}" for i in range(most))]
        return (
            alt.Chart(table(columns))
            .transform_filter("datum.strategy == strategy")
            .mark_area(interpolate="step-after", line=False, opacity=0.9)
            .encode(
                x=_time_axis(alt),
                y=alt.Y("value:Q", title="host memory (GiB)", stack="zero"),
                color=alt.Color("guest:N", scale=alt.Scale(domain=layers, range=colours), sort=layers,
                                legend=alt.Legend(title=None) if legend and most < 16 else None),
                order=alt.Order("number:Q"),
                tooltip=[
                    alt.Tooltip("guest:N"),
                    alt.Tooltip("t:Q", format=".2f", title="time (s)"),
                    alt.Tooltip("value:Q", format=".2f", title="costs (GiB)"),
                ],
            )
            .add_params(chosen)
            .properties(width=width, height=320)
        )

    return Figure("guest-memory", "What each guest costs the host",
                  "One layer a guest, the host's own needs in grey at the bottom: RAM that the host backs, VMM and page tables.",
                  [make])

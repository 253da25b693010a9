"""Figures that hold strategies side by side: bars of the chief metrics, and how soon memory is back against what that costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from hinting.metrics import Metric, metrics
from hinting.reports.compare_text import number
from hinting.reports.page.arms import Arm
from hinting.reports.page.theme import MUTED, Figure, colour_of, load_altair, shown_only
from hinting.reports.page.values import table
from hinting.reports.rank import RANKED, SPEEDS, cpu_per_gib, pareto_front, ranking

__all__ = ["is_log", "name_of", "return_against_cost", "side_by_side", "title_of"]

_BAR = 22


def name_of(metric: Metric) -> str:
    """Heading, or the name in words."""
    return metric.heading or metric.name.replace("_", " ").replace("cpu", "CPU")


def title_of(metric: Metric) -> str:
    """Heading and unit."""
    return f"{name_of(metric)} ({metric.unit})"


def _panel(arms: Sequence[Arm], metric: Metric) -> Callable[[Any, bool], Any]:
    """Bars of one metric, the best on top; its title stands in the panel."""

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        names = [arm.label for arm in arms]
        values = [arm.metrics.get(metric.name) for arm in arms]
        order = [names[i] for i in ranking(values, metric.better == "less")]
        most = max((value for value in values if value is not None), default=0) or 1
        shown, keep = shown_only(names)
        base = alt.Chart(
            table({"strategy": names, "value": [value or 0.0 for value in values], "text": [number(v) for v in values]})
        ).transform_filter(keep)
        bars = base.mark_bar(height={"band": 0.72}).encode(
            x=alt.X("value:Q", title=None, scale=alt.Scale(domain=[0, most * 1.3]), axis=alt.Axis(tickCount=4, format="~s")),
            y=alt.Y("strategy:N", title=None, sort=order, axis=alt.Axis(ticks=False, labelLimit=150)),
            color=colour_of(names, False),
            tooltip=[alt.Tooltip("strategy:N"), alt.Tooltip("text:N", title=title_of(metric))],
        ).add_params(shown)
        texts = base.mark_text(align="left", dx=4, color=MUTED, fontSize=12).encode(
            x="value:Q", y=alt.Y("strategy:N", sort=order), text="text:N"
        )
        return alt.layer(bars, texts).properties(
            width=width, height=_BAR * len(names), title=alt.Title(title_of(metric), anchor="start")
        )

    return make


def side_by_side(arms: Sequence[Arm]) -> Figure | None:
    """The chief metrics, a panel each."""
    there = [metrics()[name] for name in RANKED if any(arm.metrics.get(name) is not None for arm in arms)]
    if len(arms) < 2 or not there:
        return None
    return Figure("side-by-side", "Strategies side by side",
                  "The best strategy of each metric on top. “-”: nothing to measure, or that much never came back.",
                  [_panel(arms, metric) for metric in there], height=45 + _BAR * len(arms))


def is_log(values: Sequence[float]) -> bool:
    """Whether values are so far apart that a linear axis would hide most of them."""
    return min(values) > 0 and max(values) > 20 * min(values)


def _scale(alt: Any, values: Sequence[float]) -> Any:
    """From 0, or logarithmic; with room beyond the largest."""
    if is_log(values):
        factor = (max(values) / min(values)) ** 0.1
        return alt.Scale(type="log", domain=[min(values) / factor, max(values) * factor], nice=False)
    return alt.Scale(domain=[0, 1.2 * max(values) or 1], nice=False)


def _places(values: Sequence[float]) -> list[float]:
    """How far to the right each value stands, 0 to 1."""
    if is_log(values):
        return [math.log(value / min(values)) / math.log(max(values) / min(values)) for value in values]
    return [value / (max(values) or 1) for value in values]


def return_against_cost(arms: Sequence[Arm]) -> Figure | None:
    """How soon freed memory is back against the CPU time for it; a line joins what nothing else betters."""
    costs = {arm.name: cpu_per_gib(arm.metrics) for arm in arms}
    paid = [arm for arm in arms if costs[arm.name] is not None]
    speed = max(SPEEDS, key=lambda name: sum(arm.metrics.get(name) is not None for arm in paid))
    there = [arm for arm in paid if arm.metrics.get(speed) is not None]
    if len(there) < 2:
        return None
    points = [(arm.metrics[speed], float(costs[arm.name] or 0)) for arm in there]
    front = {there[i].name for i in pareto_front(points)}
    never = [arm.label for arm in paid if arm not in there]
    nothing = [arm.label for arm in arms if arm not in paid]

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        names = [arm.label for arm in arms]
        shown, keep = shown_only(names)
        base = alt.Chart(
            table({
                "strategy": [arm.label for arm in there],
                "seconds": [point[0] for point in points],
                "cost": [point[1] for point in points],
                "right": ["yes" if place > 0.6 else "no" for place in _places([point[0] for point in points])],
                "front": ["yes" if arm.name in front else "no" for arm in there],
            })
        ).transform_filter(keep)
        x = alt.X("seconds:Q", title=f"time until {speed.rpartition('_')[2]} % of freed memory is back (s)",
                  scale=_scale(alt, [point[0] for point in points]))
        y = alt.Y("cost:Q", title="CPU of guest and host (s/GiB)", scale=_scale(alt, [p[1] for p in points]))
        line = base.transform_filter("datum.front == 'yes'").mark_line(
            interpolate="step-after", color=MUTED, strokeDash=[4, 3]
        ).encode(x=x, y=y)
        dots = base.mark_point(size=130, filled=True, opacity=1).encode(
            x=x, y=y, color=colour_of(names, legend),
            tooltip=[
                alt.Tooltip("strategy:N"),
                alt.Tooltip("seconds:Q", format=".3g", title="until it is back (s)"),
                alt.Tooltip("cost:Q", format=".3g", title="CPU (s/GiB)"),
                alt.Tooltip("front:N", title="on the front"),
            ],
        ).add_params(shown)
        texts = [
            base.transform_filter(f"datum.right == '{right}'")
            .mark_text(align=align, dx=dx, dy=-8, color=MUTED, fontSize=12)
            .encode(x=x, y=y, text="strategy:N")
            for right, align, dx in (("no", "left", 10), ("yes", "right", -10))
        ]
        return alt.layer(line, dots, *texts).properties(width=width, height=340)

    note = "Lower left is better; the dashed line joins the strategies that no other one betters in both."
    if never:
        note += f" Never gave that much back: {', '.join(never)}."
    if nothing:
        note += f" Gave nothing back: {', '.join(nothing)}."
    return Figure("return-against-cost", "Return speed against its cost", note, [make], height=340)

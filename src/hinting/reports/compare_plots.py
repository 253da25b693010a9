"""Pictures of a comparison: strategies ranked by metric, how soon memory returns against what that costs, memory over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hinting.experiments.compare import ComparedArm, Comparison
from hinting.metrics import metrics
from hinting.metrics.timeline import HOST
from hinting.reports.compare_text import number
from hinting.reports.plots import load_pyplot
from hinting.reports.rank import RANKED, SPEEDS, cpu_per_gib, pareto_front, ranking

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["memory_figure", "pareto_figure", "ranked_figure"]

GIB = 2**30
_COLOURS = ("#1f6fb4", "#d1661a", "#2d8a4e", "#8b4fa3", "#b3273c", "#6b5b4b", "#c2589a", "#5f6b76", "#8d8d13", "#1799a8")
_MARKERS = "osD^vP*X<>"


def _style(index: int) -> dict[str, Any]:
    return {"color": _COLOURS[index % len(_COLOURS)], "marker": _MARKERS[index // len(_COLOURS) % len(_MARKERS)]}


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)


def _short(arm: ComparedArm) -> str:
    """The name without the folder of a file."""
    return arm.name.rpartition("/")[2]


def ranked_figure(result: Comparison) -> Figure:
    """Bars of the chief metrics, in each panel the best strategy on top; strategies without a value come last."""
    plot = load_pyplot()
    columns = 3
    lines = -(-len(RANKED) // columns)
    height = 1.1 + 0.3 * len(result.arms)
    width = 0.07 * max(len(_short(arm)) for arm in result.arms)
    figure, panels = plot.subplots(lines, columns, figsize=(columns * (3.6 + width), lines * height + 0.5), squeeze=False)
    for axes, name in zip(panels.flat, RANKED, strict=False):
        metric = metrics()[name]
        values = [arm.metrics[name] for arm in result.arms]
        order = ranking(values, metric.better == "less")
        most = max((value for value in values if value is not None), default=0) or 1
        for place, index in enumerate(order):
            length = values[index] or 0
            axes.barh(place, length, color=_style(index)["color"], height=0.65)
            axes.text(length + 0.02 * most, place, number(values[index]), va="center", fontsize=9)
        axes.set_yticks(range(len(order)), [_short(result.arms[index]) for index in order])
        axes.invert_yaxis()
        axes.set_xlim(0, most * 1.25)
        axes.set_title(f"{metric.heading or name.replace('_', ' ')} ({metric.unit})", loc="left", fontsize=10, fontweight="bold")
        _plain(axes)
    for axes in panels.flat[len(RANKED):]:
        axes.set_visible(False)
    figure.suptitle(f"{result.scenario.name}: strategies ranked, the best on top", fontsize=11)
    figure.tight_layout()
    return figure


def _scale(axes: Any, axis: str, values: list[float]) -> float:
    """Linear from 0, or logarithmic if the values are far apart; returns a place beyond the largest value."""
    largest, smallest = max(values, default=1.0) or 1.0, min(values, default=0.0)
    limits, scale = (axes.set_xlim, axes.set_xscale) if axis == "x" else (axes.set_ylim, axes.set_yscale)
    if smallest > 0 and largest > 20 * smallest:
        scale("log")
        factor = (largest / smallest) ** 0.15
        limits(smallest / factor, largest * factor**2)
        return largest * factor
    limits(0, largest * 1.3)
    return largest * 1.15


def pareto_figure(result: Comparison) -> Figure:
    """How soon freed memory is back against the CPU time that it takes; the line joins what nothing else betters.

    Strategies that never return that much stand in a strip of their own.
    """
    plot = load_pyplot()
    reached = {name: sum(arm.metrics[name] is not None for arm in result.arms) for name in SPEEDS}
    speed = next(name for name in SPEEDS if reached[name] == max(reached.values()))
    costs = {arm.name: cost for arm in result.arms if (cost := cpu_per_gib(arm.metrics)) is not None}
    times = {arm.name: arm.metrics[speed] for arm in result.arms}
    figure, axes = plot.subplots(figsize=(8.2, 4.8))
    never = _scale(axes, "x", [seconds for name, seconds in times.items() if seconds is not None and name in costs])
    _scale(axes, "y", list(costs.values()))
    points = []
    for index, arm in enumerate(result.arms):
        if arm.name in costs:
            seconds = times[arm.name]
            fill = {"alpha": 1.0 if seconds is not None else 0.55}
            axes.scatter(never if seconds is None else seconds, costs[arm.name], s=70, zorder=3, label=_short(arm),
                         edgecolor="white", **fill, **_style(index))
            points += [(seconds, costs[arm.name])] if seconds is not None else []
    front = [points[i] for i in pareto_front(points)]
    if len(front) > 1:
        axes.plot(*zip(*front, strict=True), color="#444444", lw=1, zorder=2, label="Pareto front", drawstyle="steps-post")
    if any(times[name] is None for name in costs):
        axes.axvline(never, color="#dddddd", lw=26, zorder=0)
        axes.text(never, 1.0, "never", ha="center", va="bottom", transform=axes.get_xaxis_transform(), color="#555555")
    axes.set_xlabel(f"time until {speed.rpartition('_')[2]} % of freed memory is back (s)")
    axes.set_ylabel("CPU per GiB returned, guest and host (s/GiB)")
    title = f"{result.scenario.name}: return speed against cost (lower left is better)"
    axes.set_title(title, loc="left", fontweight="bold", pad=16)
    _plain(axes)
    if costs:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    nothing = [arm.name for arm in result.arms if arm.name not in costs]
    if nothing:
        figure.text(0.01, 0.01, f"Nothing returned: {', '.join(nothing)}", fontsize=9, color="#555555")
    figure.tight_layout(rect=(0, 0.04 if nothing else 0, 1, 1))
    return figure


def memory_figure(result: Comparison) -> Figure:
    """Memory in use on the host over time, a line a strategy."""
    plot = load_pyplot()
    figure, axes = plot.subplots(figsize=(8.2, 4.2))
    for index, arm in enumerate(result.arms):
        table = arm.series.to_pydict()
        mine = [i for i, (guest, name) in enumerate(zip(table["guest"], table["metric"], strict=True))
                if guest == HOST and name == "held"]
        times = np.array([table["t_ns"][i] for i in mine] + [arm.emulated_s * 1e9]) / 1e9
        used = np.array([table["value"][i] for i in mine] + [table["value"][mine[-1]]]) / GIB
        axes.step(times, used, where="post", lw=1.4, color=_style(index)["color"], label=_short(arm))
    axes.set_xlabel("emulated time (s)")
    axes.set_ylabel("host memory in use (GiB)")
    axes.set_ylim(0)
    axes.set_xlim(0)
    axes.set_title(f"{result.scenario.name}: host memory over time", loc="left", fontweight="bold")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    _plain(axes)
    figure.tight_layout()
    return figure

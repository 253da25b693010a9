"""Figures of a study: how much each axis matters, what each value does, two axes as a map, and gain against cost."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

from hinting.metrics import metrics
from hinting.reports.page.compared import name_of, title_of
from hinting.reports.page.study.axes import ABSENT
from hinting.reports.page.study.base import NUMBER, TICKS, Base
from hinting.reports.page.study.study import STRATEGY, Study
from hinting.reports.page.theme import COLOURS, MUTED, Figure, load_altair

__all__ = ["figures_of"]

_BAR, _ROW = 30, 34
#: Light enough in light and in dark surroundings for black numbers.
_MAP = ("#f7ecd0", "#a8d3bd", "#4f9fc4")


def _ranking(base: Base) -> Figure:
    """A bar an axis: how far apart the means of its values are."""
    axes = base.study.axes

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        chart = (
            base.valued()
            .transform_fold([f"k{i}" for i in range(len(axes))], as_=["axis", "level"])
            .transform_filter("datum.level >= 0")
            .transform_aggregate(mean="mean(v)", n="count()", groupby=["axis", "level"])
            .transform_aggregate(low="min(mean)", high="max(mean)", groupby=["axis"])
            .transform_calculate(v="datum.high - datum.low", name="axisNames[toNumber(slice(datum.axis, 1))]",
                                 noise="noise[metric]")
        )
        y = alt.Y("name:N", title=None, sort=alt.EncodingSortField(field="v", op="max", order="descending"),
                  axis=alt.Axis(ticks=False, labelLimit=150))
        x = alt.X("v:Q", title=None, axis=alt.Axis(tickCount=4, format=TICKS))
        tip = [alt.Tooltip("name:N", title="axis"), *(
            alt.Tooltip(f"{field}:Q", format=",.3~r", title=title)
            for field, title in (("v", "between its values"), ("low", "lowest mean"), ("high", "highest mean"))
        )]  # fmt: skip
        bars = chart.mark_bar(height={"band": 0.66}, color=COLOURS[0]).encode(x=x, y=y, tooltip=tip).add_params(
            *base.params, alt.param(name="noise", value=base.noise())
        )
        texts = base.text(chart, align="left", dx=5).encode(x=x, y=y, text="text:N")
        layers = [bars, texts]
        if any(base.noise().values()):
            layers.append(chart.mark_rule(color=COLOURS[4], strokeWidth=2, strokeDash=[4, 3]).encode(x="mean(noise):Q"))
        return alt.layer(*layers).properties(
            width=width, height=_BAR * len(axes), title=base.heading("'Largest difference between means'", "titles[metric]")
        )

    note = "The largest difference that an axis makes to the metric: means of its values, all other axes averaged out."
    if any(base.noise().values()):
        note += " Dashed: standard deviation over the repeats of one setting; an axis below it does not matter here."
    return Figure("ranking", "How much each axis matters", note, [make], height=_BAR * len(axes) + 75)


def _effect(base: Base, index: int) -> Callable[[Any, bool], Any]:
    """Mean and range of the metric at each level of an axis, by strategy."""
    axis, colours = base.study.axes[index], base.study.strategy
    by = [] if colours in (None, index) else [f"k{colours}"]

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        chart = base.valued().transform_filter(f"datum.k{index} >= 0").transform_aggregate(
            mean="mean(v)", low="min(v)", high="max(v)", q1="q1(v)", q3="q3(v)", n="count()", groupby=[f"k{index}", *by]
        ).transform_calculate(level=f"levels[{index}][datum.k{index}]",
                              strategy=f"levels[{colours}][datum.k{colours}]" if colours is not None else "''")  # fmt: skip
        crowded = sum(map(len, axis.levels)) > 26
        x = alt.X(f"k{index}:O", title=None, scale=alt.Scale(domain=list(range(len(axis.levels)))), axis=alt.Axis(
            labelExpr=f"levels[{index}][datum.value]", labelAngle=-35 if crowded else 0, labelLimit=110, labelOverlap=False))
        scale = alt.Scale(zero=False, nice=True)
        y = alt.Y("mean:Q", title=None, scale=scale, axis=alt.Axis(tickCount=4, format=TICKS))
        tip = [
            *([alt.Tooltip("strategy:N")] if by else []), alt.Tooltip("level:N", title=axis.name),
            *(alt.Tooltip(f"{field}:Q", format=",.4~r", title=title) for field, title in
              (("mean", "mean"), ("low", "least"), ("q1", "lower quarter"), ("q3", "upper quarter"), ("high", "most"))),
            alt.Tooltip("n:Q", title="settings"),
        ]
        colour = base.colour(False)
        same = {"x": x, "color": colour}
        thin = chart.mark_rule(strokeWidth=1.5, opacity=0.45).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q", **same)
        thick = chart.mark_rule(strokeWidth=6, opacity=0.3).encode(y=alt.Y("q1:Q", scale=scale), y2="q3:Q", **same)
        dots = chart.mark_point(filled=True, size=60, opacity=1).encode(y=y, tooltip=tip, **same).add_params(*base.params)
        layers = [thin, thick, dots]
        if axis.name != STRATEGY:
            layers.insert(2, chart.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour))
        return alt.layer(*layers).properties(
            width=width, height=190, title=base.heading(f"axisNames[{index}]", "titles[metric]")
        )

    return make


def _effects(base: Base) -> Figure:
    by = ", by strategy" if base.study.strategy is not None and len(base.study.axes) > 1 else ""
    return Figure(
        "sensitivity", "What each value does",
        f"Mean over all settings with that value{by}. Thick: the middle half of the settings, thin: from the least to the most.",
        [_effect(base, index) for index in range(len(base.study.axes))], height=280,
    )  # fmt: skip


def _map(base: Base) -> Figure:
    """Two axes against each other, the others averaged out."""
    study = base.study
    names = [axis.name for axis in study.axes]
    across, up = _two_chief(study)
    rows = max(3, *(len(axis.levels) for axis in study.axes))

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        choice = [
            alt.param(name=name, value=value) if legend
            else alt.param(name=name, value=value, bind=alt.binding_select(options=names, name=f"{title} "))
            for name, value, title in (("mapX", across, "across"), ("mapY", up, "up"))
        ]
        chart = (
            base.valued()
            .transform_calculate(x="datum['k' + indexof(axisNames, mapX)]", y="datum['k' + indexof(axisNames, mapY)]")
            .transform_aggregate(v="mean(v)", low="min(v)", high="max(v)", n="count()", groupby=["x", "y"])
            .transform_calculate(xl=_level("mapX", "datum.x"), yl=_level("mapY", "datum.y"), text=NUMBER)
        )

        def labels(which: str, **more: Any) -> Any:
            return alt.Axis(labelExpr=_level(which, "datum.value"), ticks=False, domain=False, **more)

        x = alt.X("x:O", title=across if legend else None,
                  axis=labels("mapX", labelLimit=120, labelOverlap=False, **_slanted(study)))
        y = alt.Y("y:O", title=up if legend else None, sort="descending", axis=labels("mapY", labelLimit=120))
        tip = [alt.Tooltip("xl:N", title="across"), alt.Tooltip("yl:N", title="up"), alt.Tooltip("text:N", title="mean"),
               alt.Tooltip("low:Q", format=",.4~r", title="least"), alt.Tooltip("high:Q", format=",.4~r", title="most"),
               alt.Tooltip("n:Q", title="settings")]
        cells = chart.mark_rect().encode(
            x=x, y=y, color=alt.Color("v:Q", scale=alt.Scale(range=list(_MAP)), legend=None), tooltip=tip
        ).add_params(*base.params, *choice)
        room = f"width / (1 + {[len(axis.levels) for axis in study.axes]}[indexof(axisNames, mapX)]) > 34"
        texts = chart.transform_filter(room).mark_text(fontSize=12, color="#111").encode(x=x, y=y, text="text:N")
        return alt.layer(cells, texts).properties(
            width=width, height=_ROW * rows, title=base.heading("mapX + ' and ' + mapY", "titles[metric]"),
        )

    return Figure(
        "map", "Two axes at once",
        "Mean of the metric at each pair of values, all other axes averaged out: the bluer, the more. -: an axis does not apply.",
        [make], height=_ROW * rows + 110, hint="Choose the axes.",
    )  # fmt: skip


def _slanted(study: Study) -> dict[str, Any]:
    """Properties of the labels across: slanted where they have no room side by side."""
    alt = load_altair()
    letters = [len(axis.levels) * (2 + max(map(len, axis.levels))) for axis in study.axes]
    crowded = f"{letters}[indexof(axisNames, mapX)] * 7 > width"
    return {"labelAngle": alt.ExprRef(f"{crowded} ? -35 : 0"), "labelAlign": alt.ExprRef(f"{crowded} ? 'right' : 'center'"),
            "labelBaseline": alt.ExprRef(f"{crowded} ? 'middle' : 'top'")}


def _level(which: str, level: str) -> str:
    """Vega's expression for the name of a level of the axis that a parameter names."""
    return f"{level} < 0 ? '-' : levels[indexof(axisNames, {which})][{level}]"


def _two_chief(study: Study) -> tuple[str, str]:
    """Two axes that make a large difference to the deciding metric, and most of whose pairs of values are there.

    Strategies go up.
    """
    def apart(index: int) -> float:
        groups: dict[int, list[float]] = {}
        for one in study.ranked:
            if one.levels[index] != ABSENT:
                groups.setdefault(one.levels[index], []).append(one.mean(study.metric) or 0.0)
        means = [sum(values) / len(values) for values in groups.values()]
        return max(means, default=0.0) - min(means, default=0.0)

    def together(pair: tuple[int, int]) -> tuple[float, float]:
        places = {(one.levels[pair[0]], one.levels[pair[1]]) for one in study.ranked}
        there = sum(ABSENT not in place for place in places)
        possible = len(study.axes[pair[0]].levels) * len(study.axes[pair[1]].levels)
        return min(there / possible, 0.5), apart(pair[0]) + apart(pair[1])

    first, second = max(combinations(range(len(study.axes)), 2), key=together)
    across, up = sorted((study.axes[first], study.axes[second]), key=lambda axis: (axis.name == STRATEGY, -len(axis.levels)))
    return across.name, up.name


def _front(base: Base) -> Figure | None:
    study = base.study
    if len(study.front) < 1 or len([1 for one in study.settings if one.mean(study.cost) is not None]) < 2:
        return None
    gain, cost = study.gain, study.cost
    less = study.sign(gain) == 1
    order = [{"field": "c", "order": "ascending"}, {"field": "g", "order": "descending"}]

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        chart = (
            base.chart()
            .transform_filter(f"isValid(datum['{gain}']) && isValid(datum['{cost}']) && isValid(datum.point)")
            .transform_calculate(c=f"{study.sign(cost)} * datum['{cost}']", g=f"{-study.sign(gain)} * datum['{gain}']")
            .transform_window([{"op": "max", "field": "g", "as": "top"}], frame=[None, 0], ignorePeers=True, sort=order)
            .transform_window([{"op": "lag", "field": "top", "as": "before"}], sort=order)
            .transform_calculate(front="!isValid(datum.before) || datum.g > datum.before ? 'yes' : 'no'")
        )
        scales = {name: base.scale([one.mean(name) for one in study.settings], 6) for name in (cost, gain)}
        x, y = (
            channel(f"{name}:Q", title=title_of(metrics()[name]), scale=scales[name][0], axis=scales[name][1])
            for channel, name in ((alt.X, cost), (alt.Y, gain))
        )
        tip = [
            alt.Tooltip("point:N", title="setting"),
            *(alt.Tooltip(f"{name}:Q", format=",.4~r", title=title_of(metrics()[name])) for name in (cost, gain)),
            alt.Tooltip("front:N", title="on the front"), alt.Tooltip("runs:Q", title="runs"),
        ]  # fmt: skip
        is_on = "datum.front === 'yes'"
        line = chart.transform_filter(is_on).mark_line(interpolate="step-after", color=MUTED, strokeDash=[4, 3]).encode(x=x, y=y)
        dots = chart.mark_point(filled=True).encode(
            x=x, y=y, color=base.colour(legend), tooltip=tip, size=alt.condition(is_on, alt.value(130), alt.value(40)),
            opacity=alt.condition(is_on, alt.value(1), alt.value(0.4)),
        ).add_params(*base.params)  # fmt: skip
        return alt.layer(line, dots).properties(width=width, height=340)

    where = f"{'Lower' if less else 'Upper'} {'left' if study.sign(cost) == 1 else 'right'} is better."
    note = f"A point a setting. {where} The dashed line joins the large points, the settings that no other one betters in both."
    if base.is_thinned:
        note += " Only some of the settings behind it are drawn."
    titles = [name_of(metrics()[name]) for name in (gain, cost)]
    return Figure("front", f"Pareto front: {titles[0]} against {titles[1]}", note, [make], height=350)


def figures_of(study: Study) -> list[Figure]:
    """The figures that there is something to show in."""
    if not study.ranked:
        return []
    base = Base(study)
    figures: list[Figure] = []
    if len(study.axes) > 1:
        figures.append(_ranking(base))
    if study.axes:
        figures.append(_effects(base))
    if len(study.axes) > 1:
        figures.append(_map(base))
    front = _front(base)
    return [*figures, *([front] if front is not None else [])]

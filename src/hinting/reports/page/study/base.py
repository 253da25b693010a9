"""What all figures of a study share: one table of its settings, the filter by axis values, the metric that is chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from hinting.reports.page.compared import is_log, title_of
from hinting.reports.page.study.study import Setting, Study
from hinting.reports.page.theme import COLOURS, MUTED, load_altair
from hinting.reports.page.values import table

__all__ = ["NUMBER", "TICKS", "Base"]

#: Vega's expression for a number `datum.v` as text.
NUMBER = "abs(datum.v) >= 1000 ? format(datum.v, ',.0f') : format(datum.v, ',.3~r')"
#: d3's format of numbers at axes.
TICKS = ",~r"
#: So many settings at most are drawn as points, beside those on the front.
_POINTS = 2000


class Base:
    """The settings of a study as data of charts: k0, k1, ... levels of the axes, and the mean of each metric."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.titles = {metric.name: title_of(metric) for metric in study.shown}
        for name in (study.gain, study.cost):
            self.titles.setdefault(name, name)

    @cached_property
    def data(self) -> Any:
        """One row a setting."""
        study = self.study
        columns: dict[str, Sequence[Any]] = {
            f"k{i}": [one.levels[i] for one in study.settings] for i in range(len(study.axes))
        }
        columns |= {name: [one.mean(name) for one in study.settings] for name in self.titles}
        drawn = self._drawn()
        columns["point"] = [study.named(one, code=False) if one in drawn else None for one in study.settings]
        columns["runs"] = [len(one.runs) for one in study.settings]
        return table(columns)

    def _drawn(self) -> set[Setting]:
        every = max(1, -(-len(self.study.settings) // _POINTS))
        return {*self.study.settings[::every], *self.study.front}

    @property
    def is_thinned(self) -> bool:
        """Whether not all settings are drawn as points."""
        return len(self.study.settings) > _POINTS

    @cached_property
    def params(self) -> list[Any]:
        """The metric that is chosen, the levels that are shown, and names for both."""
        alt = load_altair()
        shown = [alt.param(name=f"shown{i}", value=list(range(len(axis.levels)))) for i, axis in enumerate(self.study.axes)]
        return [
            alt.param(name="metric", value=self.study.metric),
            alt.param(name="titles", value=self.titles),
            alt.param(name="axisNames", value=[axis.name for axis in self.study.axes]),
            alt.param(name="levels", value=[list(axis.levels) for axis in self.study.axes]),
            *shown,
        ]

    @property
    def kept(self) -> str:
        """The filter by what is shown."""
        return " && ".join(
            f"(datum.k{i} < 0 || indexof(shown{i}, datum.k{i}) >= 0)" for i in range(len(self.study.axes))
        ) or "true"

    def chart(self) -> Any:
        """Settings that are shown."""
        return load_altair().Chart(self.data).transform_filter(self.kept)

    def valued(self) -> Any:
        """Settings that are shown and have a value `v` of the metric that is chosen."""
        return self.chart().transform_calculate(v="datum[metric]").transform_filter("isValid(datum.v)")

    def colour(self, legend: bool) -> Any:
        """The colour of a setting's strategy; one colour if there is but one strategy."""
        alt = load_altair()
        at = self.study.strategy
        if at is None:
            return alt.value(COLOURS[0])
        n = len(self.study.axes[at].levels)
        scale = alt.Scale(domain=list(range(n)), range=[COLOURS[i % len(COLOURS)] for i in range(n)])
        shown = alt.Legend(title=None, labelExpr=f"levels[{at}][datum.value]") if legend else None
        return alt.Color(f"k{at}:N", scale=scale, legend=shown)

    @staticmethod
    def scale(values: Sequence[float | None], ticks: int) -> tuple[Any, Any]:
        """(scale, axis): linear, or logarithmic where a linear one would hide most of the values; 0 has a place there too."""
        alt = load_altair()
        there = [value for value in values if value is not None]
        positive = [value for value in there if value > 0]
        if not positive or not is_log(positive) or min(there) < 0:
            return alt.Scale(zero=False, nice=True), alt.Axis(tickCount=ticks, format=TICKS)
        first, last = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
        decades = [10.0**at for at in range(first, last + 1, max(1, -(-(last - first) // ticks)))]
        if min(there) == 0:
            scale = alt.Scale(type="symlog", constant=min(positive), domain=[0, 1.1 * max(positive)], nice=False)
            return scale, alt.Axis(values=[0, *(at for at in decades if min(positive) <= at <= max(positive))], format=TICKS)
        return alt.Scale(type="log", nice=True), alt.Axis(values=decades if last - first > 2 else alt.Undefined, format=TICKS)

    def heading(self, *lines: str) -> Any:
        """A title that follows what is chosen, an expression a line."""
        alt = load_altair()
        return alt.Title(alt.ExprRef(f"[{', '.join(lines)}]"), anchor="start")

    def noise(self) -> dict[str, float]:
        """Spread over the repeats of each metric."""
        return {name: float(f"{self.study.noise(name):.4g}") for name in self.titles}

    def text(self, chart: Any, **channels: Any) -> Any:
        """Numbers `v` beside marks."""
        return chart.transform_calculate(text=NUMBER).mark_text(color=MUTED, fontSize=12, **channels)


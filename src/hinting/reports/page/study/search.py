"""How a search went: what each trial gave, and the best so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hinting.metrics import metrics
from hinting.reports.page.compared import title_of
from hinting.reports.page.study.base import Base
from hinting.reports.page.study.study import Study
from hinting.reports.page.theme import MUTED, Figure, load_altair
from hinting.reports.page.values import table

__all__ = ["progress"]


def _panel(base: Base, name: str, data: Any) -> Callable[[Any, bool], Any]:
    """An objective by trial, with the best value up to each."""
    study = base.study
    sign = -study.sign(name)

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        chart = (
            alt.Chart(data)
            .transform_filter(base.kept)
            .transform_filter(f"isValid(datum['{name}'])")
            .transform_calculate(g=f"{sign} * datum['{name}']")
            .transform_window([{"op": "max", "field": "g", "as": "top"}], frame=[None, 0], sort=[{"field": "trial"}])
            .transform_calculate(best=f"{sign} * datum.top")
        )
        x = alt.X("trial:Q", title="trial", axis=alt.Axis(tickMinStep=1, format="d"))
        scale, axis = base.scale([one.mean(name) for one in study.settings], 5)
        line = chart.mark_line(interpolate="step-after", color=MUTED).encode(x=x, y=alt.Y("best:Q", scale=scale))
        tip = [alt.Tooltip("trial:Q"), alt.Tooltip("point:N", title="setting"), alt.Tooltip("front:N", title="on the front"),
               alt.Tooltip(f"{name}:Q", format=",.4~r", title=title_of(metrics()[name]))]
        dots = chart.mark_point(filled=True).encode(
            x=x, y=alt.Y(f"{name}:Q", title=None, scale=scale, axis=axis),
            color=base.colour(legend),
            size=alt.condition("datum.front === 'yes'", alt.value(110), alt.value(35)),
            opacity=alt.condition("datum.front === 'yes'", alt.value(1), alt.value(0.5)), tooltip=tip,
        ).add_params(*base.params)
        return alt.layer(line, dots).properties(
            width=width, height=220, title=base.heading(f"'{title_of(metrics()[name])}, {study.better(name)} is better'")
        )

    return make


def progress(study: Study) -> list[Figure]:
    """The figure of a search's progress, if there is more than one trial to show."""
    trials = [row for row in study.trials or [] if row["state"] == "done"]
    if len(trials) < 2 or not study.ranked:
        return []
    base = Base(study)
    columns: dict[str, Any] = {f"k{i}": [axis.level(row[axis.name]) for row in trials] for i, axis in enumerate(study.axes)}
    columns |= {name: [row[name] for row in trials] for name in ("trial", *study.directions)}
    columns["front"] = ["yes" if row["pareto"] else "no" for row in trials]
    columns["point"] = [study.place(row) for row in trials]
    data = table(columns)
    return [Figure("progress", "How the search went",
                   "A point a trial, the large ones on the front in the end. The line is the best value so far.",
                   [_panel(base, name, data) for name in study.directions], height=290)]

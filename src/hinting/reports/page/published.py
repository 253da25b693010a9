"""The page of a reproduction: published numbers beside emulated ones, what is within tolerance, and which signs are right."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from html import escape
from itertools import groupby
from statistics import median
from typing import Any

from hinting.errors import ResultsError
from hinting.reports.page.assemble import Page, Section
from hinting.reports.page.source import table
from hinting.reports.page.theme import COLOURS, MUTED, Figure, load_altair
from hinting.reports.page.values import table as values
from hinting.reports.reproduce_text import digits, emulated_text
from hinting.reports.text import counted
from hinting.reproduce import Row
from hinting.results import Results

__all__ = ["answer_of", "page_of_reproduction"]

_VERDICTS, _SIGNS = ("within", "missed"), ("right", "wrong")
#: Ratios beyond these are drawn at the edge.
_LEAST, _MOST = 0.1, 10.0
_ROW = 17


def _levels(rows: Sequence[Row]) -> list[tuple[str, tuple[str, ...], list[int]]]:
    """(axis, its levels, the level of each row) that rows are filtered by; -1 where it does not apply."""
    names = tuple(dict.fromkeys(row.experiment for row in rows))
    return [
        ("experiment", names, [names.index(row.experiment) for row in rows]),
        ("verdict", _VERDICTS, [int(not row.within) for row in rows]),
        ("sign", _SIGNS, [-1 if row.sign is None else int(not row.sign) for row in rows]),
    ]


def answer_of(rows: Sequence[Row]) -> str:
    """The outcome in one sentence."""
    signs = [row.sign for row in rows if row.sign is not None]
    text = f"{sum(row.within for row in rows)} of {counted(len(rows), 'published number')} reproduced within tolerance"
    return text + (f", signs right in {sum(signs)} of {len(signs)}." if signs else ".")


def _percent(value: float, *, sign: bool = False) -> str:
    return f"{100 * value:{'+' if sign else ''}.0f} %"


def _chief(rows: Sequence[Row]) -> str:
    """A row an experiment."""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("within", "missed", "signs right", "signs wrong", "median error"))
    body = []
    for i, (_, group) in enumerate(groupby(rows, key=lambda row: row.experiment)):
        own = list(group)
        within, signs = sum(row.within for row in own), [row.sign for row in own if row.sign is not None]
        errors = [abs(row.error) for row in own if not row.bound]
        cells = [within, len(own) - within, *((sum(signs), len(signs) - sum(signs)) if signs else ("-", "-")),
                 _percent(median(errors)) if errors else "-"]
        title = f"{own[0].number} {own[0].title}"
        body.append(f'<tr data-levels="[{i}, -1, -1]"><th scope="row" class="words">{escape(title)}</th>'
                    + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f'<table id="answer-table"><thead><tr><th>experiment</th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def _cells(row: Row) -> str:
    tolerance = "lower bound" if row.bound else _percent(row.tolerance)
    sign = "" if row.sign is None else _SIGNS[not row.sign]
    verdict = _VERDICTS[not row.within]
    numbers = ("at least " if row.bound else "") + digits(row.published), emulated_text(row), row.unit
    marked = [(sign, sign == "wrong"), (verdict, not row.within)]
    return "".join(f"<td>{escape(text)}</td>" for text in (*numbers, _percent(row.error, sign=True), tolerance)) + "".join(
        f"<td>{f'<strong class=wrong>{text}</strong>' if bad else text}</td>" for text, bad in marked
    )


def _all_rows(rows: Sequence[Row]) -> str:
    """A row a number, by experiment, with words for the filter."""
    levels = list(zip(*(own for _, _, own in _levels(rows)), strict=True))
    names = ("published", "emulated", "unit", "error", "tolerance", "sign", "verdict")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    bodies = []
    for _, group in groupby(enumerate(rows), key=lambda one: one[1].experiment):
        own = list(group)
        first = own[0][1]
        title = f'{escape(first.number)} {escape(first.title)}<br><span class="note">{escape(first.source)}</span>'
        lines = [f'<tr class="section"><th colspan="{1 + len(names)}" scope="rowgroup">{title}</th></tr>']
        for i, row in own:
            chosen = f" ({row.chosen} chosen)" if row.chosen else ""
            words = f"{row.id} {row.setting} {row.unit} {_VERDICTS[not row.within]}"
            lines.append(
                f'<tr class="metric" data-words="{escape(words)}" data-levels="{json.dumps(levels[i])}">'
                f'<th scope="row" class="words" title="{escape(row.id)}">{escape(row.setting + chosen)}</th>{_cells(row)}</tr>'
            )
        bodies.append(f"<tbody>{''.join(lines)}</tbody>")
    return f'<table id="metrics-table"><thead><tr><th>setting</th>{head}</tr></thead>{"".join(bodies)}</table>'


def _controls(rows: Sequence[Row]) -> str:
    """Buttons for experiments in their colours, verdicts and signs."""
    groups = []
    for i, (name, levels, own) in enumerate(_levels(rows)):
        if len(set(own) - {-1}) < 2:
            continue
        kind = "axis strategies" if name == "experiment" else "axis"
        buttons = "".join(
            f'<button type="button" value="{k}" aria-pressed="true" style="--colour: {COLOURS[k % len(COLOURS)]}">'
            f"{escape(level)}</button>" for k, level in enumerate(levels)
        )
        groups.append(f'<div class="{kind}" data-signal="shown{i}" data-axis="{name}"><span>{name}</span>{buttons}</div>')
    return "".join(groups)


class _Rows:
    """All rows as the data of both figures."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.levels = _levels(rows)
        self.experiments = self.levels[0][1]
        drawn = [min(max(row.emulated / row.published, _LEAST), _MOST) for row in rows]
        columns: dict[str, Sequence[Any]] = {f"k{i}": own for i, (_, _, own) in enumerate(self.levels)}
        columns |= {
            "id": [row.id for row in rows],
            "experiment": [row.experiment for row in rows],
            "setting": [row.setting for row in rows],
            "unit": [row.unit for row in rows],
            "published": [row.published for row in rows],
            "emulated": [row.emulated for row in rows],
            "ratio": drawn,
            "error": [_percent(row.error, sign=True) for row in rows],
            "left": [1.0 if row.bound else 1 - row.tolerance for row in rows],
            "right": [_MOST if row.bound else 1 + row.tolerance for row in rows],
            "verdict": [_VERDICTS[not row.within] for row in rows],
            "sign": ["-" if row.sign is None else _SIGNS[not row.sign] for row in rows],
        }
        self.data = values(columns)

    def chart(self) -> Any:
        """Rows that are shown."""
        kept = " && ".join(f"(datum.k{i} < 0 || indexof(shown{i}, datum.k{i}) >= 0)" for i in range(len(self.levels)))
        return load_altair().Chart(self.data).transform_filter(kept)

    @property
    def params(self) -> list[Any]:
        """What is shown of each axis."""
        alt = load_altair()
        return [alt.param(name=f"shown{i}", value=list(range(len(levels)))) for i, (_, levels, _) in enumerate(self.levels)]

    def marks(self, legend: bool) -> dict[str, Any]:
        """Colour by experiment, shape by verdict, and what is said when pointed at."""
        alt = load_altair()
        colours = [COLOURS[i % len(COLOURS)] for i in range(len(self.experiments))]
        shown = alt.Legend(title=None) if legend else None
        return {
            "color": alt.Color("experiment:N", scale=alt.Scale(domain=list(self.experiments), range=colours), legend=shown),
            "shape": alt.Shape("verdict:N", scale=alt.Scale(domain=list(_VERDICTS), range=["circle", "cross"]),
                               legend=alt.Legend(title=None, orient="right" if legend else "top", symbolFillColor=MUTED,
                                                 symbolStrokeColor=MUTED)),
            "tooltip": [alt.Tooltip("id:N"), alt.Tooltip("setting:N"), alt.Tooltip("published:Q", format=",.4~r"),
                        alt.Tooltip("emulated:Q", format=",.4~r"), alt.Tooltip("unit:N"), alt.Tooltip("error:N"),
                        alt.Tooltip("sign:N"), alt.Tooltip("verdict:N")],
        }  # fmt: skip


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers along a logarithmic axis."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) < 5 else (1,)
    return [step * 10.0**at for at in decades for step in steps if low <= step * 10.0**at <= high]


def _ours_and_theirs(source: _Rows, rows: Sequence[Row]) -> Figure:
    """Every row as a point, published against emulated."""
    positive = [value for row in rows for value in (row.published, row.emulated) if value > 0]
    low, high = min(positive, default=1.0) / 1.6, max(positive, default=1.0) * 1.6
    band = values({"x": [low, high], "low": [low * 0.85, high * 0.85], "high": [low * 1.15, high * 1.15]})

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        scale = alt.Scale(type="log", domain=[low, high], nice=False)
        axis = alt.Axis(values=_ticks(low, high), format=",~r")
        line = alt.Chart(band).mark_line(color=MUTED, strokeWidth=1).encode(
            x=alt.X("x:Q", scale=scale), y=alt.Y("x:Q", scale=scale)
        )
        near = alt.Chart(band).mark_area(color=MUTED, opacity=0.2).encode(
            x=alt.X("x:Q", scale=scale), y=alt.Y("low:Q", scale=scale), y2="high:Q"
        )
        dots = (
            source.chart().transform_filter("datum.published > 0 && datum.emulated > 0")
            .mark_point(filled=True, size=70, opacity=0.8)
            .encode(
                x=alt.X("published:Q", title="published (unit of the row)", scale=scale, axis=axis),
                y=alt.Y("emulated:Q", title="emulated", scale=scale, axis=axis), **source.marks(legend),
            ).add_params(*source.params)
        )  # fmt: skip
        return alt.layer(near, line, dots).properties(width=width, height=400)

    return Figure("ours-and-theirs", "Ours against theirs",
                  "A point a number, a cross if it is outside its tolerance; on the line both are equal, in the band 15 % apart.",
                  [make], height=450)


def _errors(source: _Rows, rows: Sequence[Row]) -> Figure:
    """Emulated over published of every row, with its tolerance."""
    height = _ROW * len(rows)

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        scale = alt.Scale(type="log", domain=[_LEAST, _MOST], nice=False, clamp=True)
        axis = alt.Axis(values=[0.1, 0.2, 0.5, 1, 2, 5, 10], format="~r", orient="top")
        named = "slice(datum.value, 1 + indexof(datum.value, '/'))"
        y = alt.Y("id:N", title=None, sort=None,
                  axis=alt.Axis(labelExpr=named, labelLimit=320 if legend else 170, ticks=False, domain=False))
        chart = source.chart()
        bars = chart.mark_bar(color=MUTED, opacity=0.25, height={"band": 0.8}).encode(
            x=alt.X("left:Q", title="emulated / published", scale=scale, axis=axis), x2="right:Q", y=y
        )
        dots = chart.mark_point(filled=True, size=60, opacity=1).encode(
            x=alt.X("ratio:Q", scale=scale), y=y, **source.marks(legend)
        ).add_params(*source.params)
        one = alt.Chart(values({"one": [1.0]})).mark_rule(color=MUTED).encode(x=alt.X("one:Q", scale=scale))
        return alt.layer(bars, one, dots).properties(width=width, height=height)

    return Figure("errors", "Errors of all numbers",
                  "Emulated over published. Grey: within tolerance, to the right without end where a lower bound was published. "
                  f"At the edge: {_MOST:g} times off or more.",
                  [make], height=height + 80)  # fmt: skip


def page_of_reproduction(results: Results) -> Page:
    """Published numbers of `hinting reproduce` beside the emulated ones."""
    found = table(results, "reproduce")
    names = {one.name for one in fields(Row)}
    rows = [Row(**{name: value for name, value in row.items() if name in names}) for row in found.to_pylist()]
    if not rows:
        raise ResultsError(f"{results.path}/reproduce.parquet: it has no rows")
    experiments = {row.experiment: row.number for row in rows}
    source = _Rows(rows)
    named = ", ".join(f"{number} {name}" for name, number in experiments.items())
    return Page(
        kind="Published results, reproduced",
        title=named,
        run=f"{counted(len(rows), 'published number')} of {counted(len(experiments), 'experiment')}, each beside what the "
            "emulation of the same experiment gives.",
        answer=answer_of(rows),
        meaning="Within: the error, emulated / published - 1, is at most the row's tolerance, or the published lower bound is "
                "reached. A sign is right if the emulated value lies on the same side of what it is compared with (the arm "
                "without, the pass before) as the published one. With several seeds: the median, least and most in brackets.",
        chief=_chief(rows),
        chief_note="Median error: of the amounts, without lower bounds.",
        controls=_controls(rows),
        figures=[_ours_and_theirs(source, rows), _errors(source, rows)],
        sections=[Section("All numbers", _all_rows(rows), filtered=f"{rows[-1].experiment} missed ...")],
        provenance=results.provenance,
    )  # fmt: skip

"""The HTML of a study's own parts: tables, the choice of a metric and the filter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from hinting.reports.compare_text import number
from hinting.reports.page.compared import title_of
from hinting.reports.page.study.answer import cells_of, columns_of, head_of, lines_of
from hinting.reports.page.study.axes import ABSENT
from hinting.reports.page.study.study import STRATEGY, Setting, Study
from hinting.reports.page.theme import COLOURS
from hinting.reports.text import counted

__all__ = ["answer_table", "controls", "design", "failures", "front_table", "settings_table"]

_SETTINGS, _FRONT, _ERRORS = 300, 15, 30


def _head(names: Sequence[str]) -> str:
    return "<thead><tr>" + "".join(f'<th scope="col">{escape(name)}</th>' for name in names) + "</tr></thead>"


def _row(setting: Setting, first: str, cells: Sequence[str], *, best: bool = False, words: str = "") -> str:
    body = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    more = f' class="metric" data-words="{escape(words)}"' if words else ' class="best"' if best else ""
    return f'<tr{more} data-levels="{escape(json.dumps(setting.levels))}"><th scope="row">{escape(first)}</th>{body}</tr>'


def answer_table(study: Study) -> str:
    """The best settings with the spread over their repeats, and what they are held against."""
    lines = lines_of(study)
    if not lines:
        return ""
    head, _ = head_of(study)
    rows = "".join(_row(line.setting, line.place, cells_of(study, line.setting), best=line.is_best) for line in lines)
    return f'<table id="answer-table">{_head(["place", *head])}<tbody>{rows}</tbody></table>'


def _plain(study: Study, setting: Setting) -> list[str]:
    axes = [axis.text(setting.values[axis.name]) for axis in study.axes]
    return [*axes, *(number(setting.mean(metric.name)) for metric in columns_of(study)), str(len(setting.runs))]


def _plain_head(study: Study) -> str:
    return _head(["place", *(axis.name for axis in study.axes), *(title_of(one) for one in columns_of(study)), "runs"])


def settings_table(study: Study) -> tuple[str, str, str]:
    """(title, table, example of words for the filter above it) of all settings, the best first."""
    rows = []
    for i, one in enumerate(study.ranked[:_SETTINGS]):
        rows.append(_row(one, f"{i + 1:,}", _plain(study, one), words=study.named(one, code=False)))
    every = counted(len(study.settings), "setting")
    title = f"All {every}" if len(rows) == len(study.settings) else f"The best {len(rows):,} of {every}"
    first = study.ranked[0].values if study.ranked else {}
    words = [axis.text(first[axis.name]) for axis in study.axes if first.get(axis.name) is not None]
    table = f'<table id="metrics-table">{_plain_head(study)}<tbody>{"".join(rows)}</tbody></table>'
    return title, table, " ".join([*words[:2], "..."])


def front_table(study: Study) -> str:
    """The settings on the front, evenly chosen if they are many."""
    n = len(study.front)
    chosen = study.front if n <= _FRONT else [study.front[(n - 1) * i // (_FRONT - 1)] for i in range(_FRONT)]
    places = {id(one): i for i, one in enumerate(study.ranked)}
    rows = "".join(_row(one, f"{places[id(one)] + 1:,}" if id(one) in places else "-", _plain(study, one)) for one in chosen)
    note = f"<p class='note'>{len(chosen)} of {counted(n, 'setting')} on the front.</p>" if len(chosen) < n else ""
    return f'{note}<div class="scroll"><table class="front">{_plain_head(study)}<tbody>{rows}</tbody></table></div>'


def controls(study: Study) -> str:
    """The choice of a metric, and buttons for the levels of all axes: those of strategies always there, others to unfold."""
    chosen = {study.metric: " selected"}
    metrics = "".join(
        f'<option value="{escape(one.name)}"{chosen.get(one.name, "")}>{escape(title_of(one))} &ndash; '
        f"{study.better(one.name)} is better</option>"
        for one in study.shown
    )
    groups = []
    for i, axis in enumerate(study.axes):
        colours = COLOURS if axis.name == STRATEGY else ("none",)
        buttons = "".join(
            f'<button type="button" value="{k}" aria-pressed="true" style="--colour: {colours[k % len(colours)]}">'
            f"{escape(level)}</button>"
            for k, level in enumerate(axis.levels)
        )
        kind = "axis strategies" if axis.name == STRATEGY else "axis"
        groups.append((axis.name, f'<div class="{kind}" data-signal="shown{i}" data-axis="{escape(axis.name)}">'
                                  f"<span>{escape(axis.name)}</span>{buttons}</div>"))
    always = "".join(html for name, html in groups if name == STRATEGY)
    folded = "".join(html for name, html in groups if name != STRATEGY)
    summary = '<summary>Filter <span id="restricted">all settings</span></summary>'
    more = f'<details id="filters">{summary}{folded}</details>' if folded else ""
    return f'<label class="metric">Metric <select id="metric">{metrics}</select></label>{always}{more}'


def design(study: Study) -> str:
    """A row an axis: what was tried."""
    rows = []
    for axis in study.every.values():
        values = [axis.text(value) for value in axis.values]
        text = ", ".join(values) if len(values) <= 24 else f"{values[0]} to {values[-1]}"
        absent = any(one.levels[study.axes.index(axis)] == ABSENT for one in study.settings) if axis in study.axes else False
        rows.append(f"<tr><th scope='row'>{escape(axis.name)}</th><td>{len(values):,}</td><td>{escape(text)}"
                    f"{' (of some strategies only)' if absent else ''}</td></tr>")
    seeds = len({row["seed"] for row in study.points})
    repeats = counted(1 + max(row["repeat"] for row in study.points), "repeat")
    rows.append(f"<tr><th scope='row'>seeds</th><td>{seeds:,}</td><td>{repeats} of each setting</td></tr>")
    return f'<table id="design-table">{_head(["axis", "values", "which"])}<tbody>{"".join(rows)}</tbody></table>'


def failures(study: Study) -> str:
    """Points that failed, by their errors, each with one traceback."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in study.results.arrow("errors").to_pylist():
        found.setdefault(row["error"] or "", []).append(row)
    points = {row["number"]: row for row in study.points}
    rows = []
    for error, failed in list(found.items())[:_ERRORS]:
        places = list(dict.fromkeys(study.place(points[row["number"]]) for row in failed))
        shown = "; ".join(places[:6]) + (f"; and {len(places) - 6:,} more settings" if len(places) > 6 else "")
        trace = failed[0]["traceback"]
        more = f"<details><summary>traceback</summary><pre>{escape(trace)}</pre></details>" if trace else ""
        rows.append(f"<tr><th scope='row'>{len(failed):,}</th><td>{escape(shown)}</td><td>{escape(error)}{more}</td></tr>")
    left = len(found) - len(rows)
    note = f"<p class='note'>{left:,} other errors are in the table `errors` of the folder.</p>" if left > 0 else ""
    return f'<table id="failed-table">{_head(["points", "at", "error"])}<tbody>{"".join(rows)}</tbody></table>{note}'

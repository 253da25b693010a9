"""The answer of a study: one sentence, and a table with the best settings and what they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from hinting.metrics import Metric, metrics
from hinting.reports.compare_text import number
from hinting.reports.page.answer import CHIEF
from hinting.reports.page.compared import name_of, title_of
from hinting.reports.page.study.defaults import NONE, default_setting, reference
from hinting.reports.page.study.study import Setting, Study, difference
from hinting.reports.text import counted
from hinting.results.ledger import DONE, FAILED, PENDING

__all__ = ["Line", "answer_of", "lines_of", "spread", "state_of"]

_BEST = 5
#: Of the tables: axes and metrics.
_COLUMNS = 9


@dataclass(frozen=True)
class Line:
    """A row of the answer's table. place: rank and what the setting is. is_best: set in bold."""

    place: str
    setting: Setting
    is_best: bool = False


def spread(values: Sequence[float], *, sign: bool = False) -> str:
    """A mean and the range of what it is of.

    >>> spread([12, 13, 14]), spread([2.0]), spread([1.5, 2.5], sign=True), spread([])
    ('13 (12 to 14)', '2', '+2 (+1.5 to +2.5)', '-')
    """
    if not values:
        return "-"

    def text(value: float) -> str:
        return f"+{number(value)}" if sign and value > 0 else number(value)

    return text(fmean(values)) + (f" ({text(min(values))} to {text(max(values))})" if min(values) < max(values) else "")


def _amount(study: Study, setting: Setting) -> str:
    metric = metrics()[study.metric]
    unit = "" if metric.unit in ("count", "x") else f" {metric.unit}"
    values = setting.values_of(study.metric)
    text = f"{number(fmean(values))}{unit}"
    if min(values) < max(values):
        text += f" ({number(min(values))} to {number(max(values))} over {counted(len(values), 'repeat')})"
    return text


def answer_of(study: Study) -> str:
    """The outcome in one sentence; names stand in backquotes."""
    if not study.ranked:
        why = f"no run has a value of {study.metric}" if study.settings else "no point is done"
        return f"No answer yet: {why}."
    best = study.ranked[0]
    metric = metrics()[study.metric]
    most = "Most" if study.better(study.metric) == "more" else "Least"
    if len(study.ranked) == 1:
        return f"Of one setting, {study.named(best)}: {name_of(metric)} {_amount(study, best)}."
    text = f"{most} {name_of(metric)} with {study.named(best)}: {_amount(study, best)}"
    held = reference(study)
    if held is not None:
        what, other = held
        apart = difference(best, other, study.metric)
        mean = fmean(apart) if apart else 0.0
        if mean:
            word = "more" if mean > 0 else "less"
            text += f", {number(abs(mean))} {word} than {what} ({number(other.mean(study.metric))})"
        else:
            text += f", the same as {what}"
    equal = sum(one.mean(study.metric) == best.mean(study.metric) for one in study.ranked) - 1
    if equal:
        text += f"; {counted(equal, 'more setting')} {'does' if equal == 1 else 'do'} as well"
        if study.cost != study.metric:
            extreme = "least" if study.better(study.cost) == "less" else "most"
            text += f", this one at the {extreme} {name_of(metrics()[study.cost])}"
    return f"{text}."


def state_of(study: Study) -> str:
    """How much of the study was run, in a sentence."""
    done, failed, pending = (study.counts[state] for state in (DONE, FAILED, PENDING))
    settings = counted(len(study.settings), "setting")
    if not failed and not pending:
        return f"{counted(done, 'point')}, all done: {settings}, {counted(study.repeats, 'run')} each at most."
    parts = [f"{done:,} of {counted(done + failed + pending, 'point')} done"]
    if failed:
        parts.append(f"{failed:,} failed")
    if pending:
        parts.append(f"{pending:,} not run yet")
    return f"{', '.join(parts)}; what is here is from {settings} with at least one run."


def columns_of(study: Study, most: int = _COLUMNS) -> list[Metric]:
    """Metrics of the tables: the deciding one first, then the front's, then the chief ones that differ."""
    wanted = dict.fromkeys((study.metric, study.gain, study.cost, *CHIEF))
    shown = {metric.name for metric in study.shown}
    return [metrics()[name] for name in wanted if name in shown][: max(3, most - len(study.axes))]


def lines_of(study: Study) -> list[Line]:
    """The best settings, and below them those that they are held against."""
    ranked = study.ranked
    if not ranked:
        return []
    lines = [Line(str(i + 1), one, i == 0) for i, one in enumerate(ranked[:_BEST])]
    there = [line.setting for line in lines]
    extra = {"defaults": default_setting(study, ranked[0]), "without hinting": study.like(ranked[0], NONE), "worst": ranked[-1]}
    for what, one in extra.items():
        if one is None or one not in ranked:
            continue
        if one in there:
            at = there.index(one)
            if at:
                lines[at] = Line(f"{lines[at].place}, {what}", one)
            continue
        lines.append(Line(f"{ranked.index(one) + 1:,}, {what}", one))
        there.append(one)
    return lines


def head_of(study: Study) -> tuple[list[str], str]:
    """Headings of the answer's table after its first column, and what the differences are against."""
    held = reference(study)
    against = "" if held is None else held[0]
    first, *others = columns_of(study, _COLUMNS - 2)
    differences = [f"against {against.removeprefix('with the ')}"] if against else []
    return [title_of(first), *differences, *(axis.name for axis in study.axes), *(title_of(one) for one in others)], against


def cells_of(study: Study, setting: Setting) -> list[str]:
    """A row of the answer's table after its first column."""
    held = reference(study)
    first, *others = columns_of(study, _COLUMNS - 2)
    cells = [spread(setting.values_of(first.name))]
    if held is not None:
        cells.append("-" if setting is held[1] else spread(difference(setting, held[1], first.name), sign=True))
    cells += [axis.text(setting.values[axis.name]) for axis in study.axes]
    return [*cells, *(number(setting.mean(one.name)) for one in others)]

"""The answer of a study: one sentence, and a table with the best settings and what they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from hinting.metrics import Metric, metrics
from hinting.reports.best import ELASTICITY, FOOTPRINT, memory_over_time
from hinting.reports.compare_text import number
from hinting.reports.page.answer import CHIEF
from hinting.reports.page.compared import name_of, title_of
from hinting.reports.page.study.defaults import NONE, default_setting, reference
from hinting.reports.page.study.study import Setting, Study, difference
from hinting.reports.text import counted
from hinting.results.ledger import DONE, FAILED, PENDING

__all__ = ["Line", "answer_of", "lines_of", "meaning_of", "spread", "state_of"]

_BEST = 5
#: Axes and metrics of the tables; fewer where the spread over repeats takes room.
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


def _called(name: str) -> str:
    """What a metric is called in a sentence."""
    return name_of(metrics()[name]) + (" (footprint over memory in use)" if name == ELASTICITY else "")


def meaning_of(study: Study) -> str:
    """What "best" means on this page."""
    first, *others = study.order
    text = f"Best: {_extreme(study, first)} {_called(first)}"
    if others:
        text += "; of equal settings the one with " + ", then ".join(f"{_extreme(study, one)} {_called(one)}" for one in others)
    seconds = [value for one in study.settings if (value := one.mean("guest_seconds"))]
    if FOOTPRINT not in study.order and memory_over_time(seconds) == ELASTICITY:
        text += f". Footprints alone grow with time, and these runs last {number(min(seconds))} to {number(max(seconds))} s of " \
                "guest time"
    return f"{text}."


def _extreme(study: Study, name: str) -> str:
    return "the most" if study.better(name) == "more" else "the least"


def answer_of(study: Study) -> str:
    """The outcome in one sentence; names stand in backquotes."""
    if not study.ranked:
        why = f"no run has a value of {study.metric}" if study.settings else "no point is done"
        return f"No answer yet: {why}."
    best = study.ranked[0]
    called = _called(study.metric)
    most = "Most" if study.better(study.metric) == "more" else "Least"
    if len(study.ranked) == 1:
        return f"Of one setting, {study.named(best)}: {called} {_amount(study, best)}."
    text = f"{most} {called} with {study.named(best)}: {_amount(study, best)}"
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
    if study.trials is not None and len(study.front) > 1:
        text += f"; {counted(len(study.front), 'setting')} on the front of {_called(study.gain)} against {_called(study.cost)}"
    equal = sum(one.mean(study.metric) == best.mean(study.metric) for one in study.ranked) - 1
    if equal:
        text += f"; {counted(equal, 'more setting')} {'does' if equal == 1 else 'do'} as well"
        text += _ahead(study, best)
    return f"{text}."


def _ahead(study: Study, best: Setting) -> str:
    """By what the best setting is ahead of those that are as good."""
    second = study.ranked[1]
    for name in study.order[1:]:
        if best.mean(name) != second.mean(name):
            return f", this one with {_extreme(study, name)} {_called(name)}"
    return ""


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
    wanted = dict.fromkeys((*study.order[:2], study.gain, study.cost, *CHIEF))
    shown = {metric.name for metric in study.shown}
    return [metrics()[name] for name in wanted if name in shown][: max(3, most - len(study.axes))]


def _columns_of_answer(study: Study) -> list[Metric]:
    return columns_of(study, _COLUMNS - (4 if study.repeats > 1 else 2))


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
    first, *others = _columns_of_answer(study)
    differences = [f"against {against.removeprefix('with the ')}"] if against else []
    return [title_of(first), *differences, *(axis.name for axis in study.axes), *(title_of(one) for one in others)], against


def cells_of(study: Study, setting: Setting) -> list[str]:
    """A row of the answer's table after its first column."""
    held = reference(study)
    first, *others = _columns_of_answer(study)
    cells = [spread(setting.values_of(first.name))]
    if held is not None:
        cells.append("-" if setting is held[1] else spread(difference(setting, held[1], first.name), sign=True))
    cells += [axis.text(setting.values[axis.name]) for axis in study.axes]
    return [*cells, *(number(setting.mean(one.name)) for one in others)]

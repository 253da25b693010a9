"""The HTML of the page's tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from hinting.metrics import metrics, sections
from hinting.reports.page.answer import CHIEF, cells
from hinting.reports.page.arms import Arm
from hinting.reports.page.compared import title_of

__all__ = ["all_metrics", "chief", "code", "provenance"]


def code(text: str) -> str:
    """Text with names in backquotes as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def _cell(text: str, is_best: bool, of: str = "") -> str:
    attributes = f' data-strategy="{escape(of)}"' if of else ""
    return f"<td{attributes}>{f'<strong>{escape(text)}</strong>' if is_best else escape(text)}</td>"


def chief(arms: Sequence[Arm]) -> str:
    """A row a strategy, a column a chief metric that any strategy has."""
    names = [name for name in CHIEF if any(arm.metrics.get(name) is not None for arm in arms)]
    columns = {name: cells(arms, name) for name in names}
    head = "".join(
        f'<th scope="col" title="{escape(metrics()[name].text)}">{escape(title_of(metrics()[name]))}</th>' for name in names
    )
    rows = [
        f'<tr data-strategy="{escape(arm.label)}"><th scope="row"><code>{escape(arm.label)}</code></th>'
        + "".join(_cell(*columns[name][i]) for name in names) + "</tr>"
        for i, arm in enumerate(arms)
    ]
    return f'<table id="answer-table"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def all_metrics(arms: Sequence[Arm]) -> str:
    """A row a metric, by section, a column a strategy."""
    head = "".join(f'<th scope="col" data-strategy="{escape(arm.label)}"><code>{escape(arm.label)}</code></th>' for arm in arms)
    rows = []
    for section, title in sections().items():
        rows.append(f'<tbody><tr class="section"><th colspan="{len(arms) + 2}" scope="rowgroup">{escape(title)}</th></tr>')
        for metric in metrics().values():
            if metric.section == section:
                values = "".join(
                    _cell(text, is_best, arm.label) for (text, is_best), arm in zip(cells(arms, metric.name), arms, strict=True)
                )
                rows.append(
                    f'<tr class="metric"><th scope="row" title="{escape(metric.text)}">{escape(metric.name)}</th>'
                    f"<td>{escape(metric.unit)}</td>{values}</tr>"
                )
        rows.append("</tbody>")
    return f'<table id="metrics-table"><thead><tr><th>metric</th><th>unit</th>{head}</tr></thead>{"".join(rows)}</table>'


def _facts(about: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    """Values of nested tables by dotted name."""
    for name, value in about.items():
        if isinstance(value, Mapping):
            yield from _facts(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value if isinstance(value, str) else json.dumps(value)


def provenance(about: Mapping[str, Any]) -> str:
    """What the results follow from; the scenario, or the runs of published experiments, in full below."""
    long, title = ("scenario", "Scenario, all values") if "scenario" in about else ("experiments", "Runs of the experiments")
    facts = [(name, text) for name, text in _facts({key: value for key, value in about.items() if key != long})]
    rows = "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts)
    scenario = escape(json.dumps(about[long], indent=2, sort_keys=True))
    return f"<table id='provenance-table'><tbody>{rows}</tbody></table><details><summary>{title}</summary>" \
           f"<pre id='scenario'>{scenario}</pre></details>"

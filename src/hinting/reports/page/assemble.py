"""The page: text, tables and figures in one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from hinting.reports.page import tables
from hinting.reports.page.answer import answer, what_was_run
from hinting.reports.page.arms import Arm
from hinting.reports.page.theme import COLOURS, Figure, load_altair
from hinting.results import Results

__all__ = ["assemble"]

_KINDS = {"run": "Run", "compare": "Comparison of strategies"}


def _text(name: str) -> str:
    return (files("hinting.reports.page") / name).read_text("utf-8")


def _vega() -> str:
    """The scripts that draw: Vega, Vega-Lite and Vega-Embed, of the version that the specifications are of."""
    import vl_convert

    version = ".".join(load_altair().SCHEMA_VERSION.lstrip("v").split(".")[:2])
    script = vl_convert.javascript_bundle(vl_version=version)  # type: ignore[call-arg]
    return script.replace("</script", "<\\/script")


def _figure(figure: Figure) -> str:
    places = "".join(
        f'<div class="chart" data-figure="{figure.name}" data-part="{part}" style="--height: {figure.height}px"></div>'
        for part in range(len(figure.makers))
    )
    grid = f'<div class="grid">{places}</div>' if figure.is_grid else places
    return (
        f'<figure id="{figure.name}" aria-label="{escape(figure.title)}"><h2>{escape(figure.title)}</h2>'
        f'<figcaption class="note">{tables.code(figure.note)}</figcaption>{grid}</figure>'
    )


def _legend(arms: Sequence[Arm]) -> str:
    if len(arms) < 2:
        return ""
    return "".join(
        f'<button type="button" value="{escape(arm.label)}" aria-pressed="true" style="--colour: {COLOURS[i % len(COLOURS)]}">'
        f"{escape(arm.label)}</button>"
        for i, arm in enumerate(arms)
    )


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")


def assemble(source: Results, arms: Sequence[Arm], figures: Sequence[Figure]) -> str:
    """The whole page as HTML."""
    scenario = source.provenance["scenario"]
    return Template(_text("page.html")).substitute(
        kind=_KINDS[source.kind],
        title=escape(f"{scenario.get('name', source.path.name)}: {', '.join(arm.label for arm in arms)}"),
        run=tables.code(what_was_run(scenario)),
        answer=tables.code(answer(arms, scenario)),
        chief=tables.chief(arms),
        legend=_legend(arms),
        figures="\n".join(_figure(figure) for figure in figures),
        metrics=tables.all_metrics(arms),
        provenance=tables.provenance(source.provenance),
        specs=_json({figure.name: figure.for_page() for figure in figures}),
        style=_text("page.css"),
        vega=_vega(),
        script=_text("page.js"),
    )

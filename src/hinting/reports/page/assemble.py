"""The page: text, tables and figures in one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from hinting.reports.page import tables
from hinting.reports.page.theme import COLOURS, Figure, load_altair

__all__ = ["Page", "Section", "assemble", "legend"]

@dataclass(frozen=True)
class Section:
    """A part of the page below the figures.

    filtered: with a field for words that its rows must have, which shows this. is_long: scrolls by itself.
    """

    title: str
    html: str
    note: str = ""
    filtered: str = ""
    name: str = ""
    is_long: bool = False


@dataclass(frozen=True)
class Page:
    """What a page says. run, answer, meaning, warning: names stand in backquotes. meaning: how the answer was found.
    chief, controls: as HTML; controls stay in view.
    """

    kind: str
    title: str
    run: str
    answer: str
    chief: str
    chief_note: str
    controls: str
    figures: Sequence[Figure]
    sections: Sequence[Section]
    provenance: Mapping[str, Any]
    warning: str = ""
    meaning: str = ""


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
    hint = f' <span class="hint">{tables.code(figure.hint)}</span>' if figure.hint else ""
    return (
        f'<figure id="{figure.name}" aria-label="{escape(figure.title)}"><h2>{escape(figure.title)}</h2>'
        f'<figcaption class="note">{tables.code(figure.note)}{hint}</figcaption>{grid}{figure.below}</figure>'
    )


def legend(strategies: Sequence[str]) -> str:
    """A button a strategy, in its colour; nothing for a single one."""
    if len(strategies) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" value="{escape(name)}" aria-pressed="true" style="--colour: {COLOURS[i % len(COLOURS)]}">'
        f"{escape(name)}</button>"
        for i, name in enumerate(strategies)
    )
    return f'<div class="strategies" data-signal="shown">{buttons}</div>'


def _section(section: Section) -> str:
    name = f' id="{section.name}"' if section.name else ""
    note = f'<p class="note">{tables.code(section.note)}</p>' if section.note else ""
    words = f'<label class="filter">Filter <input id="filter" type="search" placeholder="{escape(section.filtered)}" ' \
            'autocomplete="off"></label>' if section.filtered else ""
    kind = "scroll long" if section.is_long else "scroll"
    return f'<section{name}><h2>{escape(section.title)}</h2>{note}{words}<div class="{kind}">{section.html}</div></section>'


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")


def _shared(figures: Sequence[Figure]) -> dict[str, Any]:
    """Specifications of all figures; the data that several draw from are there once, and so is the look."""
    datasets: dict[str, Any] = {}
    config: dict[str, Any] = {}
    parts: dict[str, list[dict[str, Any]]] = {}
    for figure in figures:
        parts[figure.name] = []
        for spec in figure.for_page():
            config = spec.pop("config")
            own = spec.pop("datasets", {})
            datasets |= own
            parts[figure.name].append(spec | {"datasets": sorted(own)})
    return {"figures": parts, "datasets": datasets, "config": config}


def assemble(page: Page) -> str:
    """The whole page as HTML."""
    return Template(_text("page.html")).substitute(
        kind=page.kind,
        title=escape(page.title),
        run=tables.code(page.run),
        warning=f'<p id="warning">{tables.code(page.warning)}</p>' if page.warning else "",
        answer=tables.code(page.answer),
        meaning=f'<p id="meaning" class="note">{tables.code(page.meaning)}</p>' if page.meaning else "",
        chief=page.chief,
        chief_note=escape(page.chief_note),
        controls=page.controls,
        figures="\n".join(_figure(figure) for figure in page.figures),
        sections="\n".join(map(_section, page.sections)),
        provenance=tables.provenance(page.provenance),
        specs=_json(_shared(page.figures)),
        style=_text("page.css"),
        vega=_vega(),
        script=_text("page.js"),
    )

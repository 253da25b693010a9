"""The page of a sweep or of a search."""

from __future__ import annotations

from dataclasses import replace

from hinting.reports.page.answer import what_was_run
from hinting.reports.page.assemble import Page, Section
from hinting.reports.page.study import html
from hinting.reports.page.study.answer import answer_of, head_of, meaning_of, state_of
from hinting.reports.page.study.figures import figures_of
from hinting.reports.page.study.search import progress
from hinting.reports.page.study.study import Study
from hinting.reports.page.theme import Figure
from hinting.results.ledger import FAILED, PENDING

__all__ = ["page_of_study"]


def _figures(study: Study) -> list[Figure]:
    figures = [replace(one, below=html.front_table(study)) if one.name == "front" else one for one in figures_of(study)]
    if study.trials is None:
        return figures
    front = [one for one in figures if one.name == "front"]
    return [*front, *progress(study), *(one for one in figures if one.name != "front")]


def page_of_study(study: Study) -> Page:
    """What is there of a sweep or a search, finished or not."""
    source = study.results
    about = source.provenance
    is_search = study.trials is not None
    failed, pending = study.counts[FAILED], study.counts[PENDING]
    warning = ""
    if pending:
        warning = "Unfinished: " + state_of(study)
    elif failed:
        warning = state_of(study)
    if failed:
        warning += " The errors are at the end of this page."
    plan = about.get("sweep", {})
    text = plan.get("text") or ""
    _, against = head_of(study) if study.ranked else ([], "")
    note = ["Mean over the repeats; in brackets the least and the most." if study.repeats > 1 else ""]
    if against:
        other = against.removeprefix("with ") if against.startswith("with ") else f"the same setting {against}"
        note.append(f"Differences to {other}{', seed by seed' if study.repeats > 1 else ''}.")
    title, settings, words = html.settings_table(study)
    sections = [Section("What was run", html.design(study), "" if warning else state_of(study))]
    if study.ranked:
        sections.insert(0, Section(title, settings, filtered=words, is_long=True))
    if failed:
        sections.append(Section("Points that failed", html.failures(study), name="failed"))
    run = what_was_run(about["scenario"], plan.get("set"))
    varied = ", ".join(f"`{axis.name}`" for axis in study.axes)
    if text:
        run = f"{text}{'' if text[-1] in '.?!' else '.'} {run}"
    return Page(
        kind="Search" if is_search else "Sweep",
        title=f"{about.get('experiment', source.path.name)}: {', '.join(axis.name for axis in study.axes) or 'one setting'}",
        run=f"{run} Varied on it: {varied}." if varied else run,
        warning=warning,
        answer=answer_of(study),
        meaning=meaning_of(study) if study.ranked else "",
        chief=html.answer_table(study),
        chief_note=" ".join(filter(None, note)) if study.ranked else "",
        controls=html.controls(study) if study.ranked else "",
        figures=_figures(study),
        sections=sections,
        provenance=about,
    )

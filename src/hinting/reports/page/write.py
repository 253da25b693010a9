"""Writing the page, and every figure as PNG and SVG in a folder beside it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hinting.errors import HintingError
from hinting.reports.page.arms_page import page_of_arms
from hinting.reports.page.assemble import Page, assemble
from hinting.reports.page.published import page_of_reproduction
from hinting.reports.page.source import opened
from hinting.reports.page.study.page import page_of_study
from hinting.reports.page.study.study import study_of
from hinting.reports.page.theme import Figure, load_altair
from hinting.results.files import WRITING
from hinting.results.sweep import SweepResults

__all__ = ["write_report"]

_PNG_SCALE = 2


def _page(folder: str | Path, metric: str | None, cost: str | None) -> Page:
    source = opened(folder)
    if isinstance(source, SweepResults):
        return page_of_study(study_of(source, metric, cost))
    for option, value in (("--metric", metric), ("--cost", cost)):
        if value is not None:
            raise HintingError(f"{option}: is for folders of hinting sweep and tune, {folder} is one of hinting {source.kind}")
    return page_of_reproduction(source) if source.kind == "reproduce" else page_of_arms(source)


def _replace(new: Path, target: Path) -> Path:
    os.replace(new, target)
    return target


def write_report(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    pictures: bool = True,
    metric: str | None = None,
    cost: str | None = None,
) -> list[Path]:
    """Write the page of a folder of results; returns the files.

    out: the HTML file, by default report.html in the folder. pictures: also write every figure as PNG and SVG to a folder
    beside it, named after it (report-figures). metric, cost: of a sweep or search, what decides which setting is best, and
    what it is held against. Raises HintingError naming what cannot be read or written.
    """
    load_altair()
    content = _page(folder, metric, cost)
    page = Path(out) if out is not None else Path(folder) / "report.html"
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=page.parent, prefix=WRITING) as temporary:
            new = Path(temporary)
            (new / "page").write_text(assemble(content), "utf-8")
            beside = page.with_name(f"{page.stem}-figures")
            names = _draw(content.figures, new) if pictures else []
            if names:
                beside.mkdir(exist_ok=True)
            return [_replace(new / "page", page), *(_replace(new / name, beside / name) for name in names)]
    except OSError as error:
        raise HintingError(f"report {page}: cannot be written: {error.strerror or error}") from None


def _draw(figures: Sequence[Figure], folder: Path) -> list[str]:
    """Write the figures to a folder; returns the names of the files."""
    import vl_convert

    names = []
    for figure in figures:
        svg = vl_convert.vegalite_to_svg(figure.for_file())
        (folder / f"{figure.name}.svg").write_text(svg, "utf-8")
        (folder / f"{figure.name}.png").write_bytes(vl_convert.svg_to_png(svg, scale=_PNG_SCALE))
        names += [f"{figure.name}.png", f"{figure.name}.svg"]
    return names

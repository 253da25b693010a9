"""Writing the page, and every figure as PNG and SVG in a folder beside it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hinting.errors import HintingError, ResultsError
from hinting.reports.page.arms import Arm, arms_of
from hinting.reports.page.assemble import assemble
from hinting.reports.page.compared import return_against_cost, side_by_side
from hinting.reports.page.memory import memory_figures
from hinting.reports.page.over_time import given_back, guest_memory, host_memory
from hinting.reports.page.source import opened, optional, table
from hinting.reports.page.theme import Figure, load_altair
from hinting.results import Results
from hinting.results.files import WRITING
from hinting.units import parse_size

__all__ = ["figures_of", "write_report"]

_PNG_SCALE = 2


def figures_of(source: Results, arms: Sequence[Arm]) -> list[Figure]:
    """The figures that the results have something to show for."""
    host = source.provenance["scenario"]["host"]
    made = [
        host_memory(arms, parse_size(host["memory"])),
        side_by_side(arms),
        return_against_cost(arms),
        guest_memory(arms, parse_size(host["base"])),
        given_back(arms),
    ]
    sampled = memory_figures(arms, optional(source, "memory_map"), optional(source, "fragmentation"))
    return [figure for figure in made if figure is not None] + sampled


def _replace(new: Path, target: Path) -> Path:
    os.replace(new, target)
    return target


def write_report(folder: str | Path, out: str | Path | None = None, *, pictures: bool = True) -> list[Path]:
    """Write the page of a folder of results; returns the files.

    out: the HTML file, by default report.html in the folder. pictures: also write every figure as PNG and SVG to a folder
    beside it, named after it (report-figures). Raises HintingError naming what cannot be read or written.
    """
    load_altair()
    source = opened(folder)
    arms = arms_of(table(source, "metrics"), table(source, "series"))
    if not arms:
        raise ResultsError(f"{source.path}/metrics.parquet: it has no rows")
    page = Path(out) if out is not None else source.path / "report.html"
    figures = figures_of(source, arms)
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=page.parent, prefix=WRITING) as temporary:
            new = Path(temporary)
            (new / "page").write_text(assemble(source, arms, figures), "utf-8")
            beside = page.with_name(f"{page.stem}-figures")
            names = _draw(figures, new) if pictures else []
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

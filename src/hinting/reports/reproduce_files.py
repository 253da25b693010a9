"""Published numbers beside emulated ones as files: the table (Parquet), two pictures (PNG, SVG), provenance (JSON)."""

from __future__ import annotations

import platform
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import hinting
from hinting.reports.plots import load_pyplot
from hinting.reproduce import Reproduction, Row, Run, experiments
from hinting.results.files import write_files
from hinting.results.provenance import FORMAT, execution
from hinting.scenarios import Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ours_and_theirs_figure", "ratios_figure", "write_reproduction"]

#: Values that are drawn at the edge where a logarithmic axis has no place for them.
_LEAST, _MOST = 0.1, 10.0


def _experiments(result: Reproduction) -> list[tuple[str, list[Row]]]:
    return [(f"{rows[0].number} {name}", rows) for name, rows in
            ((name, list(rows)) for name, rows in groupby(result.rows, key=lambda row: row.experiment))]


def ours_and_theirs_figure(result: Reproduction) -> Figure:
    """Every row as a point, published against emulated; on the line both are equal."""
    plot = load_pyplot()
    figure, axes = plot.subplots(figsize=(6.6, 6.2))
    rows = [row for row in result.rows if row.published > 0 and row.emulated > 0]
    values = [value for row in rows for value in (row.published, row.emulated)]
    low, high = min(values, default=1) / 1.6, max(values, default=1) * 1.6
    line = np.array([low, high])
    axes.fill_between(line, line * 0.85, line * 1.15, color="#000000", alpha=0.08, lw=0, label="15 % off")
    axes.plot(line, line, color="#000000", lw=0.8)
    for index, (name, own) in enumerate(_experiments(result)):
        shown = [row for row in own if row in rows]
        axes.plot([row.published for row in shown], [row.emulated for row in shown], "o", ms=5, alpha=0.8, mew=0,
                  color=f"C{index}", label=name)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), xlabel="published (unit of the row)",
             ylabel="emulated")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    figure.tight_layout()
    return figure


def ratios_figure(result: Reproduction) -> Figure:
    """Emulated over published of every row, with its tolerance; an arrow for a published lower bound."""
    plot = load_pyplot()
    figure, axes = plot.subplots(figsize=(9.6, 0.19 * len(result.rows) + 1.4))
    place, labels = 0, []
    for index, (_, rows) in enumerate(_experiments(result)):
        for row in rows:
            ratio = float(np.clip(row.emulated / row.published, _LEAST, _MOST))
            right = _MOST if row.bound else 1 + row.tolerance
            left = 1.0 if row.bound else 1 - row.tolerance
            axes.barh(place, right - left, left=left, height=0.8, color="#000000", alpha=0.08, lw=0)
            axes.plot(ratio, place, "o" if row.within else "X", color=f"C{index}", ms=5 if row.within else 6, mew=0)
            labels.append(row.id)
            place += 1
    axes.axvline(1, color="#000000", lw=0.8)
    axes.set(xscale="log", xlim=(_LEAST, _MOST), ylim=(place - 0.5, -0.5),
             xlabel="emulated / published (grey: within tolerance; cross: outside; at the edge: 10 times off or more)")
    axes.set_yticks(range(place), labels, fontsize=7)
    axes.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    figure.tight_layout()
    return figure


def _run(entry: Run) -> dict[str, Any]:
    """A run as its file has it, with the hash of the costs of a scenario."""
    about = entry.model_dump(mode="json")
    if entry.scenario is not None:
        costs = Scenario.load(entry.scenario, entry.changes).costs.load()
        about["costs"] = {"profile": costs.name, "sha256": costs.hash}
    return about


def _about(result: Reproduction) -> dict[str, Any]:
    """What the rows follow from. Nothing that differs between two equal runs."""
    names = {row.experiment for row in result.rows}
    return {
        "format": FORMAT,
        "kind": "reproduce",
        "experiments": {
            entry.name: {name: _run(run) for name, run in entry.runs.items()}
            for entry in experiments() if entry.name in names
        },
        "hinting": hinting.__version__,
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
    }


def write_reproduction(result: Reproduction, folder: Path) -> list[Path]:
    """Write the table (Parquet), the pictures (PNG, SVG) and the provenance (JSON); returns the files."""
    figures = {"reproduce": ours_and_theirs_figure(result), "reproduce-rows": ratios_figure(result)}
    return write_files(folder, {"reproduce": result.table()}, figures, _about(result), execution(result.wall_s))

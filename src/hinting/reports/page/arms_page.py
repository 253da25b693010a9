"""The page of a run or a comparison."""

from __future__ import annotations

from hinting.errors import ResultsError
from hinting.reports.page import tables
from hinting.reports.page.answer import answer, lengths, what_was_run
from hinting.reports.page.arms import arms_of
from hinting.reports.page.assemble import Page, Section, legend
from hinting.reports.page.compared import return_against_cost, side_by_side
from hinting.reports.page.memory import memory_figures
from hinting.reports.page.over_time import given_back, guest_memory, host_memory
from hinting.reports.page.source import optional, table
from hinting.results import Results
from hinting.units import parse_size

__all__ = ["page_of_arms"]


def page_of_arms(source: Results) -> Page:
    """Strategies side by side, or one; the figures are those that the results have something to show for."""
    arms = arms_of(table(source, "metrics"), table(source, "series"))
    if not arms:
        raise ResultsError(f"{source.path}/metrics.parquet: it has no rows")
    scenario = source.provenance["scenario"]
    host = scenario["host"]
    made = [
        host_memory(arms, parse_size(host["memory"])),
        side_by_side(arms),
        return_against_cost(arms),
        guest_memory(arms, parse_size(host["base"])),
        given_back(arms),
    ]
    sampled = memory_figures(arms, optional(source, "memory_map"), optional(source, "fragmentation"))
    return Page(
        kind="Run" if source.kind == "run" else "Comparison of strategies",
        title=f"{scenario.get('name', source.path.name)}: {', '.join(arm.label for arm in arms)}",
        run=what_was_run(scenario),
        answer=answer(arms, scenario),
        chief=tables.chief(arms),
        chief_note=("Bold: the best of a column. -: nothing to measure, or that much never came back. The name of a column "
                    f"shows what it is. {lengths(arms)}").rstrip(),
        controls=legend([arm.label for arm in arms]),
        figures=[*(figure for figure in made if figure is not None), *sampled],
        sections=[Section("All metrics", tables.all_metrics(arms), filtered="cpu, return, lock ...")],
        provenance=source.provenance,
    )  # fmt: skip

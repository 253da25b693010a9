"""`hinting tune`: a search over the values of a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hinting.cli.output import print_json, result_console
from hinting.cli.sweep import shown

if TYPE_CHECKING:
    import pyarrow as pa

    from hinting.results.sweep import SweepResults

__all__ = ["tune"]


def tune(
    file: Annotated[str, typer.Argument(metavar="SEARCH", help="A TOML file, or the name of a built-in search.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; the same command goes on where it was stopped.")],
    jobs: Annotated[int | None, typer.Option(help="Worker processes on this machine, by default one a core.")] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Run on a Dask cluster, as tcp://host:8786.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run points that failed again.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Set damaged files aside and run their points again.")] = False,
    timeout: Annotated[str | None, typer.Option(metavar="DURATION", help="A point that takes longer has failed.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the table.")] = False,
) -> None:
    """Search for the settings that nothing betters; prints the Pareto front."""
    import hinting
    from hinting.cli.query import print_table
    from hinting.results.query import plain_rows
    from hinting.results.sweep import SweepResults
    from hinting.sweeps.tune import tune as search

    with shown() as progress:
        summary = search(file, out, jobs=jobs, scheduler=scheduler, repair=repair, retry_failed=retry_failed, timeout=timeout,
                         progress=progress)  # fmt: skip
    results = hinting.open(out)
    assert isinstance(results, SweepResults)
    trials = results.arrow("trials")
    front = trials.filter(trials["pareto"]).drop_columns(["state", "pareto"])
    if json:
        print_json({"out": str(out), "trials": trials.num_rows, "failed": trials["state"].to_pylist().count("failed"),
                    "new": summary.new, "trials_sha256": results.sha256("trials"), "front": plain_rows(front)})  # fmt: skip
    else:
        print_table(_readable(front, results))
        result_console().print(f"{front.num_rows} of {trials.num_rows} trials are on the front; in {out}", markup=False)


def _readable(front: pa.Table, results: SweepResults) -> pa.Table:
    """The best of the first objective on top; axes as a sweep file has them, where an axis does not apply "-"."""
    import pyarrow as pa

    from hinting.reports.page.study.axes import text_of

    (first, better), *_ = results.objectives.items()
    front = front.sort_by([(first, "descending" if better == "more" else "ascending")])
    units = results.units("points")
    for axis in results.axes:
        texts = [text_of(value, units.get(axis, "")) for value in front[axis].to_pylist()]
        front = front.set_column(front.column_names.index(axis), axis, pa.array(texts, pa.string()))
    return front

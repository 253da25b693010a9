"""`hinting sweep`: many points of one scenario, on all cores or on a cluster."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hinting.cli.output import print_json, result_console, status_console

if TYPE_CHECKING:
    from hinting.sweeps import Summary

__all__ = ["report", "shown", "sweep"]

#: A line of progress every so many seconds where there is no terminal.
LINE_S = 10.0


def sweep(
    file: Annotated[str, typer.Argument(metavar="SWEEP", help="A TOML file, or the name of a built-in sweep.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; the same command goes on where it was stopped.")],
    jobs: Annotated[int | None, typer.Option(help="Worker processes on this machine, by default one a core.")] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Run on a Dask cluster, as tcp://host:8786.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run points that failed again.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Go on although the sweep has changed; keep equal points.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Set damaged files aside and run their points again.")] = False,
    timeout: Annotated[str | None, typer.Option(metavar="DURATION", help="A point that takes longer has failed.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the summary.")] = False,
) -> None:
    """Run every point of a sweep; exit status 1 if some failed."""
    from hinting.sweeps import sweep as run_sweep

    with shown() as progress:
        summary = run_sweep(
            file, out, jobs=jobs, scheduler=scheduler, update=update, repair=repair, retry_failed=retry_failed, timeout=timeout,
            progress=progress,
        )
    report(summary, out, json)


@contextmanager
def shown() -> Iterator[Any]:
    """Progress on standard error; a termination signal stops a sweep as Ctrl-C does."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    console = status_console()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn())
    last: dict[str, Any] = {"summary": None, "line": 0.0}
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("", total=None, rate="")

            def progress(summary: Summary) -> None:
                last["summary"] = summary
                ended = summary.done + summary.failed
                bar.update(task, total=summary.points, completed=ended, rate=_rate(summary))
                if not console.is_terminal and summary.seconds - last["line"] >= LINE_S:
                    last["line"] = summary.seconds
                    console.print(f"{ended} of {summary.points} points, {_rate(summary)}", markup=False)

            yield progress
    except KeyboardInterrupt:
        summary = last["summary"]
        if summary is not None:
            console.print(f"stopped: {summary.done + summary.failed} of {summary.points} points; the same command goes on")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _rate(summary: Summary) -> str:
    if not summary.new or not summary.seconds:
        return ""
    rate = summary.new / summary.seconds
    left = (summary.points - summary.done - summary.failed) / rate
    failed = f", {summary.failed} failed" if summary.failed else ""
    return f"{rate:.1f} points/s, {int(left // 60)}:{int(left % 60):02d} left{failed}"


def report(summary: Summary, out: Path, as_json: bool) -> None:
    """Say what came out, and the first error; exit status 1 if a point failed."""
    import hinting

    results = hinting.open(out)
    errors = results.arrow("errors").slice(0, 1).to_pylist()
    rate = summary.new / summary.seconds if summary.seconds else 0.0
    if as_json:
        print_json(
            {
                "out": str(out),
                "points": summary.points,
                "done": summary.done,
                "failed": summary.failed,
                "new": summary.new,
                "seconds": round(summary.seconds, 3),
                "busy_s": round(summary.busy_s, 3),
                "points_per_s": round(rate, 3),
                "deaths": summary.deaths,
                "points_sha256": results.sha256("points"),
                "first_error": errors[0]["error"] if errors else None,
            }
        )
    else:
        console = result_console()
        new = f", {summary.new} run now ({rate:.1f} points/s)" if summary.new else ""
        console.print(f"{summary.done} of {summary.points} points done{new}; in {out}", markup=False)
        if errors:
            console.print(f"{summary.failed} failed; the first, point {errors[0]['number']}: {errors[0]['error']}", markup=False)
            console.print(f'all of them: hinting query {out} "select * from errors"; again: --retry-failed', markup=False)
    if summary.failed:
        raise typer.Exit(1)

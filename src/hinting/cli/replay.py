"""`hinting replay`: recordings of real kernels through the cores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from hinting.cli.files import Files
from hinting.cli.output import print_json, result_console, status_console

__all__ = ["replay"]


def replay(
    recordings: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of recordings.")],
    level: Annotated[
        str,
        typer.Option(help="state: choices are forced, lists compared; request: the cores choose; hinting: the strategy "
                          "(hinting v8, page reporting) decides too."),
    ] = "request",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document (a list for several recordings).")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="At the first difference, print request, lists and watermarks.")
    ] = False,
    perfetto: Annotated[
        Path | None, typer.Option(help="File for a timeline of the recordings, for the Perfetto viewer (ui.perfetto.dev).")
    ] = None,
    check: Annotated[int, typer.Option(metavar="N", help="Verify all invariants every N events (slow).")] = 0,
) -> None:
    """Replay recordings and compare every chosen page, and every list at the end, with the kernel's."""
    from hinting.errors import HintingError
    from hinting.recordings import Recording
    from hinting.recordings import replay as replay_one

    if check < 0:
        raise HintingError(f"--check must not be negative, got {check}")
    files = Files(None, perfetto)
    opened = [Recording.open(path) for path in recordings]
    results = []
    for recording in opened:
        with status_console().status(recording.name):
            results.append(replay_one(recording, level, check_every=check))
    if perfetto is not None:
        from hinting.reports.recording_timeline import recording_timeline

        files.timeline(map(recording_timeline, opened, results))
    if json:
        documents = [result.to_json() for result in results]
        print_json(documents[0] if len(documents) == 1 else documents)
    else:
        _print(results)
    if explain:
        for result in results:
            if result.first_difference is not None:
                status_console().print(f"{result.run}: {result.first_difference.details}", markup=False, soft_wrap=True)
    if not all(result.is_identical for result in results):
        raise typer.Exit(1)


def _share(part: int, whole: int) -> str:
    return f"{part:,}" + ("" if part == whole else f" ({100 * part / max(1, whole):.2f} %)")


def _totals(results: list, with_decisions: bool) -> list[str]:
    """The last line: recordings that are identical in everything, and the sums."""

    def total(name: str) -> int:
        return sum(getattr(result, name) for result in results)

    return [
        f"all {len(results)}: {sum(result.is_identical for result in results)} identical",
        "",
        "",
        f"{total('allocations'):,}",
        _share(total("identical"), total("allocations")),
        f"{total('assisted'):,}",
        *[f"{total('decisions_same'):,}/{total('decisions'):,}"] * with_decisions,
        f"{total('free_lists_same')}/{total('free_lists')}",
        f"{total('pcp_lists_same')}/{total('pcp_lists')}",
        f"{total('events') / max(total('seconds'), 1e-9) / 1e6:.1f}",
    ]


def _print(results: list) -> None:
    console = result_console()
    table = Table("recording", "kernel", "level", box=None, pad_edge=False, show_footer=len(results) > 1)
    with_decisions = any(result.level == "hinting" for result in results)
    headings = ["allocations", "identical", "assisted", "free lists", "per-CPU lists", "M events/s"]
    for heading in headings[:3] + ["decisions"] * with_decisions + headings[3:]:
        table.add_column(heading, justify="right")
    for column, text in zip(table.columns, _totals(results, with_decisions), strict=True):
        column.footer = text
    for result in results:
        table.add_row(
            result.run,
            result.kernel.split(" with ")[0],
            result.level,
            f"{result.allocations:,}",
            _share(result.identical, result.allocations),
            f"{result.assisted:,}",
            *[f"{result.decisions_same:,}/{result.decisions:,}"] * with_decisions,
            f"{result.free_lists_same}/{result.free_lists}",
            f"{result.pcp_lists_same}/{result.pcp_lists}",
            f"{result.events / max(result.seconds, 1e-9) / 1e6:.1f}",
        )
    console.print(table)
    for result in results:
        difference = result.first_difference
        if difference is not None:
            console.print(
                f"{result.run}: first difference at row {difference.row}: the kernel took pfn "
                f"{difference.expected_pfn}, here {difference.chosen_pfn}: {difference.why}",
                markup=False,
                soft_wrap=True,
            )
        for text in result.hinting_differences:
            console.print(f"{result.run}: differs at the end: {text}", markup=False, soft_wrap=True)
        if result.pageblocks != result.pageblocks_same:
            differ = result.pageblocks - result.pageblocks_same
            console.print(f"{result.run}: {differ} of {result.pageblocks} pageblocks end with another type", soft_wrap=True)
        if result.differing_lists:
            names = ", ".join(result.differing_lists[:8])
            more = len(result.differing_lists) - 8
            console.print(f"{result.run}: lists that differ: {names}{f' and {more} more' if more > 0 else ''}", soft_wrap=True)

"""Page reporting as a recording has it: the strategy at the start, and the marks that must be left at the end."""

from __future__ import annotations

import numpy as np

from hinting._core.mm.allocator import Allocator
from hinting._core.strategies.page_reporting import PageReporting as PageReportingCore
from hinting.errors import RecordingError, StrategyError
from hinting.recordings.reader import Recording
from hinting.strategies import PageReporting, find

__all__ = ["reporting_differences", "reporting_of", "reporting_spec"]


def reporting_spec(recording: Recording) -> PageReporting:
    """The recorded version, and the recorded order."""
    name = "page-reporting-" + recording.kernel.removeprefix("linux-")
    file = recording.path / "meta.json"
    try:
        return find(name, {"order": recording.meta["t0"]["globals"]["page_reporting_order"]})  # type: ignore[return-value]
    except KeyError as error:
        raise RecordingError(f"{file}: key {error} of the reporting state is missing") from None
    except StrategyError as error:
        raise RecordingError(f"{file}: {error}") from None


def reporting_of(recording: Recording, allocator: Allocator) -> PageReportingCore:
    """The strategy of the recorded version, attached to the allocator.

    Whether a pass was requested at the start is not recorded: it counts as requested, so that the first recorded start
    of the work is right.
    """
    core = reporting_spec(recording).core()
    core.attach(allocator)
    return core


def _marks(table: dict[str, np.ndarray]) -> dict[tuple[int, int], bool]:
    """Whether each free block (pfn, order) of the end is marked."""
    rows = np.flatnonzero(table["snap"] == 1)
    return {(int(table["pfn"][row]), int(table["order"][row])): bool(table["reported"][row]) for row in rows}


def reporting_differences(recording: Recording, allocator: Allocator, _core: PageReportingCore) -> list[str]:
    """Blocks that are free at the end here and in the recording, but not marked as recorded, in words."""
    theirs = _marks(recording.table("freelists.parquet"))
    wrong = []
    for (zone, order, mt), pfns in allocator.free_lists().items():
        ours = allocator.reported_array(np.array(pfns, np.uint32), order)
        differ = [pfn for pfn, mark in zip(pfns, ours, strict=True) if theirs.get((pfn, order), mark) != mark]
        if differ:
            wrong.append(f"reported marks of zone {zone} order {order} type {mt}: {len(differ)} blocks, "
                         f"first pfn {differ[0]}")
    return wrong

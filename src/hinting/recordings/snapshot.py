"""The allocator's state at one moment of a recording: as an emulated allocator, and as plain lists to compare with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hinting import kernels
from hinting._core.mm.allocator import Allocator
from hinting._core.mm.boot import counter_threshold
from hinting.errors import CheckError, PageError, RecordingError
from hinting.recordings.reader import NO_MEMORY, Recording

__all__ = ["Lists", "allocator_of", "lists_of"]

#: {(zone, order, migratetype): pfns} and {(zone, cpu, pindex): pfns}, head first, without empty lists.
Lists = tuple[dict[tuple[int, int, int], list[int]], dict[tuple[int, int, int], list[int]]]


def _groups(table: dict[str, np.ndarray], snap: int, keys: tuple[str, ...], file: object):
    """Yield (key, row numbers in list order) for each list of one moment."""
    rows = np.flatnonzero(table["snap"] == snap)
    order = np.lexsort([table["pos"][rows], *(table[key][rows] for key in reversed(keys))])
    rows = rows[order]
    if not rows.size:
        return
    columns = np.stack([table[key][rows] for key in keys])
    starts = np.flatnonzero(np.r_[True, (np.diff(columns, axis=1) != 0).any(axis=0)])
    for first, last in zip(starts, np.r_[starts[1:], rows.size], strict=True):
        part = rows[first:last]
        if not np.array_equal(table["pos"][part], np.arange(part.size)):
            raise RecordingError(
                f"{file}: row {part[0]}: positions of the list {dict(zip(keys, columns[:, first].tolist(), strict=True))} "
                f"are not 0..{part.size - 1}"
            )
        yield tuple(int(value) for value in columns[:, first]), part


def lists_of(recording: Recording, snap: int) -> Lists:
    """Free lists and per-CPU lists at the start (snap 0) or the end (snap 1) of a recording."""
    free = recording.table("freelists.parquet")
    pcp = recording.table("pcplists.parquet")
    return (
        {
            key: free["pfn"][rows].tolist()
            for key, rows in _groups(free, snap, ("zone", "order", "mt"), recording.path / "freelists.parquet")
        },
        {
            key: pcp["pfn"][rows].tolist()
            for key, rows in _groups(pcp, snap, ("zone", "cpu", "pindex"), recording.path / "pcplists.parquet")
        },
    )


def _zone(zone: dict, boost_factor: int, ncpus: int) -> dict:
    start = int(zone["zone_start_pfn"])
    return {
        "index": int(zone["zone_idx"]),
        "start": start,
        "end": start + int(zone["spanned_pages"]),
        "managed": int(zone["managed_pages"]),
        "present": int(zone["present_pages"]),
        "watermark": [int(value) for value in zone["watermark"][:3]],
        "lowmem_reserve": [int(value) for value in (zone["lowmem_reserve"] + [zone["lowmem_reserve"][-1]])[:5]],
        "boost_factor": boost_factor,
        "nr_reserved_highatomic": int(zone.get("nr_reserved_highatomic", 0)),
        "batch": int(zone["pageset_batch"]),
        "threshold": counter_threshold(int(zone["managed_pages"]), ncpus),
    }


def allocator_of(recording: Recording, snap: int = 0) -> Allocator:
    """An allocator in exactly the state of a recording's start (snap 0) or end (snap 1), list order included."""
    state = recording.meta[f"t{snap}"]
    file = recording.path / "meta.json"
    try:
        factor = int(state["globals"].get("watermark_boost_factor", 15000))
        zones = [_zone(zone, factor, recording.ncpus) for zone in state["zones"]]
        allocator = Allocator(kernels.load(recording.kernel), zones, recording.ncpus)
    except (KeyError, TypeError, PageError) as error:
        raise RecordingError(f"{file}: t{snap}: {type(error).__name__}: {error}") from None
    types = recording.pageblocks[f"mt_t{snap}"]
    allocator.load_pageblocks(np.where(types == NO_MEMORY, 1, types).astype(np.uint8))
    _load_free_lists(recording, allocator, snap)
    _load_pcp_lists(recording, allocator, snap)
    if snap == 0:
        _load_isolated(recording, allocator)
    allocator.load_used(recording.memory())
    _load_counters(recording, allocator, state)
    try:
        allocator.check()
    except CheckError as error:
        raise RecordingError(f"{recording.path}: the lists at t{snap} contradict each other: {error}") from None
    return allocator


def _check_zone(table: dict[str, np.ndarray], rows: np.ndarray, allocator: Allocator, zone: int, file: object) -> None:
    """Refuse pages on a list of a zone that they are not in."""
    state = allocator.zone_state(zone)
    outside = (table["pfn"][rows] < state["start"]) | (table["pfn"][rows] >= state["end"])
    if outside.any():
        row = rows[int(outside.argmax())]
        raise RecordingError(
            f"{file}: row {row}: pfn {table['pfn'][row]} is not in zone {zone} [{state['start']}, {state['end']})"
        )


def _load_free_lists(recording: Recording, allocator: Allocator, snap: int) -> None:
    file = recording.path / "freelists.parquet"
    table = recording.table("freelists.parquet")
    for (zone, order, mt), rows in _groups(table, snap, ("zone", "order", "mt"), file):
        if zone not in allocator.zones() or not 0 <= order <= 10 or not 0 <= mt <= 4:
            raise RecordingError(f"{file}: row {rows[0]}: no list of zone {zone}, order {order}, migratetype {mt}")
        _check_zone(table, rows, allocator, zone, file)
        try:
            allocator.load_free(zone, order, mt, table["pfn"][rows].astype(np.uint32), table["reported"][rows].astype(np.uint8))
        except PageError as error:
            raise RecordingError(f"{file}: list of zone {zone}, order {order}, migratetype {mt}: {error}") from None


def _load_pcp_lists(recording: Recording, allocator: Allocator, snap: int) -> None:
    file = recording.path / "pcplists.parquet"
    table = recording.table("pcplists.parquet")
    for (zone, cpu, index), rows in _groups(table, snap, ("zone", "cpu", "pindex"), file):
        if zone not in allocator.zones() or not 0 <= cpu < recording.ncpus or not 0 <= index < 14:
            raise RecordingError(f"{file}: row {rows[0]}: no per-CPU list of zone {zone}, cpu {cpu}, index {index}")
        _check_zone(table, rows, allocator, zone, file)
        try:
            allocator.load_pcp(zone, cpu, index, table["pfn"][rows].astype(np.uint32), table["mt"][rows].astype(np.uint8))
        except PageError as error:
            raise RecordingError(f"{file}: list of zone {zone}, cpu {cpu}, index {index}: {error}") from None
    for moment in range(2):
        _check_counts(recording.meta[f"t{moment}"]["pcp"], table, moment, file)


def _check_counts(sets: list[dict], table: dict[str, np.ndarray], moment: int, file: Path) -> None:
    """Refuse lists with fewer or more pages than the description's page sets have."""
    for pcp in sets:
        rows = (table["snap"] == moment) & (table["zone"] == pcp["zone_idx"]) & (table["cpu"] == pcp["cpu"])
        pages = int((1 << np.clip(table["order"][rows].astype(np.int64), 0, 10)).sum())
        if pages != pcp.get("count", pages):
            raise RecordingError(f"{file}: zone {pcp['zone_idx']}, cpu {pcp['cpu']} has {pages} pages at t{moment}, meta.json "
                                 f"counts {pcp['count']}: the file is truncated or of another run")


def _load_isolated(recording: Recording, allocator: Allocator) -> None:
    file = recording.path / "events.parquet"
    for pfn, order in recording.isolated_at_start():
        try:
            allocator.load_isolated(pfn, order)
        except PageError as error:
            raise RecordingError(f"{file}: a block is put back that was not isolated: {error}") from None


def _load_counters(recording: Recording, allocator: Allocator, state: dict) -> None:
    """Per-CPU counters and the zones' free-page counters; without the CPUs' differences the counter is the exact count."""
    fields = ("high", "batch", "free_factor", "high_min", "high_max", "alloc_factor", "free_count", "flags")
    for pcp in state["pcp"]:
        values = {name: int(pcp[name]) for name in fields if name in pcp}
        if "vm_stat_diff_free" in pcp:
            values["diff"] = int(pcp["vm_stat_diff_free"])
        allocator.load_pcp_state(int(pcp["zone_idx"]), int(pcp["cpu"]), values)
    buddy = allocator.buddyinfo()
    known = all("vm_stat_diff_free" in pcp for pcp in state["pcp"])
    for zone in state["zones"]:
        index = int(zone["zone_idx"])
        exact = int((buddy[index] << np.arange(11)).sum())
        counted = [int(n) for n in zone["nr_free"]]
        if counted != buddy[index].tolist():
            raise RecordingError(
                f"{recording.path / 'freelists.parquet'}: zone {index} has {buddy[index].tolist()} blocks "
                f"by order, meta.json counts {counted}: the file is truncated or of another run"
            )
        counter = int(zone["vm_stat"][0])
        if known:
            kept_back = sum(int(pcp["vm_stat_diff_free"]) for pcp in state["pcp"] if int(pcp["zone_idx"]) == index)
            if counter + kept_back != exact:
                raise RecordingError(
                    f"{recording.path / 'meta.json'}: zone {index}: vm_stat and vm_stat_diff_free count "
                    f"{counter + kept_back} free pages, freelists.parquet has {exact}"
                )
        allocator.load_zone_state(
            index,
            counter=counter if known else exact,
            boost=int(zone["watermark_boost"]),
            flags=int(zone["flags"]),
            nr_isolated_blocks=int(zone.get("nr_isolate_pageblock", 0)),
        )

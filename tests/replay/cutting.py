"""A part of a recording as a recording: from the state that the rows before it lead to, up to the one they lead to."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hinting._core.engine.replay import Events
from hinting.recordings.reader import NO_MEMORY
from hinting.recordings.replay import _Run


def replay_to(recording, row):
    """The run before a row, every choice being the recorded one. One CPU."""
    run = _Run.begin(recording, "hinting" if recording.has_v8 else "request", Events(recording.events, recording.types))
    run.advance(row)
    tally, answers = run.replay.result(), run.answers()
    assert tally["identical"] == tally["allocations"]
    assert tally["refused"] == 0
    assert answers["same"] == answers["seen"]
    return run


def movable_at(recording, row):
    """Pages that count as movable before a row: those of the start, and what was allocated with that type since."""
    pages = np.zeros(recording.npfn, bool)
    pages[recording.table("movable_t0.parquet")["pfn"]] = True
    events, names = recording.events, recording.types
    for kind, pfn, order, mt in zip(*(events[name][:row].tolist() for name in ("type", "pfn", "order", "mt")), strict=True):
        if names[kind] in ("ALLOC", "FREE") and pfn >= 0:
            pages[pfn : pfn + (1 << order)] = names[kind] == "ALLOC" and mt == 1
    return np.flatnonzero(pages)


def lists(allocator, snap):
    """Rows of freelists.parquet and pcplists.parquet."""
    free, pcp = [], []
    for (zone, order, mt), pfns in allocator.free_lists().items():
        marks = allocator.reported_array(np.array(pfns, np.uint32), order).tolist()
        free += [(snap, zone, order, mt, i, pfn, mark) for i, (pfn, mark) in enumerate(zip(pfns, marks, strict=True))]
    types = allocator.block_types()
    for (zone, cpu, index), pfns in allocator.pcp_lists().items():
        order = 9 if index >= 12 else index // 3
        pcp += [(snap, zone, cpu, index, i, pfn, order, types[pfn >> 9]) for i, pfn in enumerate(pfns)]
    return free, pcp


def state(recording, allocator):
    """The part of meta.json for one moment."""
    moment = json.loads(json.dumps(recording.meta["t0"]))
    for zone in moment["zones"]:
        index, now = zone["zone_idx"], allocator.zone_state(zone["zone_idx"])
        zone["nr_free"] = allocator.buddyinfo()[index].tolist()
        zone["vm_stat"][0] = now["counter"]
        zone["watermark_boost"] = now["boost"]
        zone["nr_reserved_highatomic"] = now["nr_reserved_highatomic"]
    for pcp in moment["pcp"]:
        now = allocator.pcp_state(pcp["zone_idx"], pcp["cpu"])
        pcp.update({key: now[key] for key in pcp.keys() & now.keys()})
        pcp["vm_stat_diff_free"] = now["diff"]
    return moment


def hinting_state(core):
    """The part of meta.json for hinting v8 on one CPU, and its rows of hintarray.parquet without the moment."""
    isolated = len(core.state()["isolated"])
    entries = [(0, i, *entry) for i, entry in enumerate(core.captured(0))]
    cpu = {"cpu": 0, "kvm_pt_idx": len(entries), "hyp_idx": isolated}
    return {"cpus": [cpu], "counters_kb": core.counters_by_name()}, entries


def table(columns, rows):
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(columns)})


def cut(recording, first, last, folder):
    """Write rows first..last-1 as a recording of their own."""
    runs = [replay_to(recording, row) for row in (first, last)]
    at = [run.allocator for run in runs]
    folder.mkdir(parents=True)
    free, pcp = zip(*(lists(allocator, snap) for snap, allocator in enumerate(at)), strict=True)
    pq.write_table(
        table(("snap", "zone", "order", "mt", "pos", "pfn", "reported"), free[0] + free[1]), folder / "freelists.parquet"
    )
    pq.write_table(
        table(("snap", "zone", "cpu", "pindex", "pos", "pfn", "order", "mt"), pcp[0] + pcp[1]), folder / "pcplists.parquet"
    )
    holes = recording.pageblocks["mt_t0"] == NO_MEMORY
    types = [np.where(holes, NO_MEMORY, np.array(allocator.block_types(), np.uint8)[: holes.size]) for allocator in at]
    skip = np.zeros(holes.size, bool)
    pq.write_table(
        pa.table({"pageblock": np.arange(holes.size), "mt_t0": types[0], "mt_t1": types[1], "skip_t0": skip, "skip_t1": skip}),
        folder / "pageblocks.parquet",
    )
    pq.write_table(pa.table({"pfn": movable_at(recording, first)}), folder / "movable_t0.parquet")
    pq.write_table(pq.read_table(recording.path / "events.parquet").slice(first, last - first), folder / "events.parquet")
    moments = [state(recording, allocator) for allocator in at]
    if recording.has_v8:
        entries = []
        for snap, run in enumerate(runs):
            moments[snap]["hinting"], rows = hinting_state(run.core)
            entries += [(snap, *row) for row in rows]
        pq.write_table(table(("snap", "cpu", "idx", "pfn", "order", "zone"), entries), folder / "hintarray.parquet")
    kinds = np.bincount(recording.events["type"][first:last], minlength=len(recording.types))
    keep = ("kernel", "memory_mib", "cpus", "free_page_reporting", "reclaim", "compaction", "oom", "npfn", "types", "hinting")
    meta = {key: recording.meta[key] for key in keep if key in recording.meta} | {
        "note": f"rows {first} to {last} of {recording.name}; the states follow from its rows",
        "rows": {name: int(n) for name, n in zip(recording.types, kinds, strict=True) if n},
        "rows_total": last - first,
        "t0": moments[0],
        "t1": moments[1],
    }
    (folder / "meta.json").write_text(json.dumps(meta))


def quiet_row(recording, near):
    """The first row from `near` on before which no refill or drain is under way. One CPU."""
    names = [recording.types[kind] for kind in recording.events["type"][near : near + 4096]]
    plain = ("ALLOC", "FREE")
    return near + next(i for i in range(1, len(names)) if names[i - 1] in plain and names[i] in plain)

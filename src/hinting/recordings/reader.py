"""Read a recording folder and refuse, by file, row and reason, whatever does not hold together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hinting import kernels
from hinting._core.limits import PAGEBLOCK_PAGES
from hinting.errors import RecordingError
from hinting.recordings.meta import check_meta

__all__ = ["EVENT_COLUMNS", "NO_MEMORY", "Recording", "is_recording"]

#: Columns of events.parquet and the dtype that the cores read them as.
EVENT_COLUMNS: dict[str, type[np.integer]] = {
    "type": np.uint8,
    "cpu": np.uint8,
    "zone": np.int8,
    "pfn": np.int64,
    "order": np.int8,
    "mt": np.int8,
    "aux": np.int16,
    "gfp": np.uint32,
    "aflags": np.int32,
    "a": np.int64,
    "b": np.int64,
    "c": np.int64,
    "d": np.int64,
}
#: Columns that newer recordings add.
OPTIONAL_COLUMNS: dict[str, type[np.integer]] = {"ts_us": np.int64, "e": np.int64, "f": np.int64}

_TABLES = {
    "freelists.parquet": ("snap", "zone", "order", "mt", "pos", "pfn", "reported"),
    "pcplists.parquet": ("snap", "zone", "cpu", "pindex", "pos", "pfn", "order", "mt"),
    "pageblocks.parquet": ("pageblock", "mt_t0", "mt_t1", "skip_t0", "skip_t1"),
    "movable_t0.parquet": ("pfn",),
    "hintarray.parquet": ("snap", "cpu", "idx", "pfn", "order", "zone"),
}

#: Type of a pageblock that has no memory.
NO_MEMORY = 255

#: Rows of hinting v8 that are not its thread's.
_CAPTURE_ROWS = (
    "HINT_FREE", "HINT_DRAIN", "HINT_DRAIN_END", "HINT_SCAN", "HINT_DROP", "HINT_REPLACE", "HINT_SCAN_END", "HINT_WAKE",
)  # fmt: skip


#: Types of rows that a recording may have; whatever begins with one of the words marks a moment of memory pressure.
_KNOWN_ROWS = frozenset((
    "", "ALLOC", "ALLOC_FAIL", "FREE", "REFILL", "RMQ", "DRAIN", "DRAINED", "EXTFRAG", "STEAL", "MFB", "MOVE", "SETPB", "ISOLATE",
    "PUTBACK", "REPORT", "REPORT_WORK", "ROTATE", "DRAIN_CPU", "DRAIN_ALL", "LEAVE", "INSERT", "VMFOLD", "DECAY", "MARK",
    *_CAPTURE_ROWS, "HINT_RUN", "HINT_COMPOUND", "HINT_REF", "HINT_ISOLATED", "HINT_FAIL", "HINT_NONBUDDY", "HINT_REPORTED",
    "HINT_RETURN", "HINT_RUN_END",
))  # fmt: skip
_PRESSURE_ROWS = ("KSWAPD_", "RECLAIM_", "COMPACT_", "OOM_", "RESERVE_", "UNRESERVE_")


def is_recording(path: Path) -> bool:
    """Whether the folder looks like a recording."""
    return (path / "meta.json").is_file() and (path / "events.parquet").is_file()


@dataclass(frozen=True)
class Recording:
    """One run of a real kernel.

    path: its folder. meta: the parsed meta.json. Tables are read when first used; RecordingError names the file, the
    row and the reason for anything damaged, missing or contradictory.
    """

    path: Path
    meta: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> Recording:
        """Open a recording's folder and check its description.

        Raises RecordingError naming the file and the key that is missing or wrong.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise RecordingError(f"{folder}: not a folder, expected a recording with meta.json and events.parquet")
        file = folder / "meta.json"
        try:
            meta = json.loads(file.read_text())
        except FileNotFoundError:
            raise RecordingError(f"{file}: missing, expected the description of a recording") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RecordingError(f"{file}: not readable as JSON: {error}") from None
        check_meta(meta, file)
        return cls(folder, meta)

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.path.resolve().name

    @property
    def kernel(self) -> str:
        """Name of the kernel profile that models the recorded kernel."""
        return kernels.for_release(self.meta["kernel"])

    @property
    def ncpus(self) -> int:
        """CPUs of the recorded guest."""
        return int(self.meta["cpus"])

    @property
    def npfn(self) -> int:
        """One past the last page frame."""
        return max(int(zone["zone_start_pfn"]) + int(zone["spanned_pages"]) for zone in self.meta["t0"]["zones"])

    @property
    def types(self) -> list[str]:
        """Names of the event types, by the number in column `type`."""
        return list(self.meta["types"])

    @property
    def has_v8(self) -> bool:
        """The kernel ran hinting v8 during the recording."""
        return "hinting" in self.meta

    @property
    def has_reporting(self) -> bool:
        """The kernel had mainline page reporting at work during the recording."""
        return bool(self.meta.get("free_page_reporting")) or self._has_rows("REPORT_WORK", "REPORT")

    @property
    def undisturbed(self) -> bool:
        """No reclaim, no compaction and no OOM kill acted during the run."""
        told = any(self.meta.get(key) for key in ("reclaim", "compaction", "oom"))
        return not told and not self._has_rows("KSWAPD_RUN", "RECLAIM_BEGIN", "COMPACT_BEGIN", "OOM_KILL")

    def _has_rows(self, *types: str) -> bool:
        """Whether the description counts rows of one of these types."""
        counts = self.meta.get("rows")
        return isinstance(counts, dict) and any(counts.get(name) for name in types)

    def _read(self, name: str, columns: tuple[str, ...]) -> pa.Table:
        file = self.path / name
        if not file.is_file():
            raise RecordingError(f"{file}: missing")
        try:
            table = pq.read_table(file)
        except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
            raise RecordingError(f"{file}: damaged or not a Parquet file: {error}") from None
        for column in columns:
            if column not in table.column_names:
                raise RecordingError(f"{file}: column {column!r} is missing, it has {', '.join(table.column_names)}")
        for column in columns:
            kind = table.schema.field(column).type
            if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
                raise RecordingError(f"{file}: column {column!r} has type {kind}, expected integers")
            if table[column].null_count:
                row = table[column].is_null().to_numpy(zero_copy_only=False).argmax()
                raise RecordingError(f"{file}: row {row}: column {column!r} is empty")
        return table

    def table(self, name: str) -> dict[str, np.ndarray]:
        """A list table as {column: array}, rows as stored."""
        table = self._read(name, _TABLES[name])
        return {column: table[column].to_numpy() for column in _TABLES[name]}

    @cached_property
    def events(self) -> dict[str, np.ndarray]:
        """The events as {column: contiguous array}, in order of effect."""
        file = self.path / "events.parquet"
        table = self._read("events.parquet", tuple(EVENT_COLUMNS))
        wanted = EVENT_COLUMNS | {name: kind for name, kind in OPTIONAL_COLUMNS.items() if name in table.column_names}
        events = {}
        for name, kind in wanted.items():
            values = table[name].to_numpy()
            limits = np.iinfo(kind)
            if values.size and not (limits.min <= int(values.min()) and int(values.max()) <= limits.max):
                row = int(np.argmax((values < limits.min) | (values > limits.max)))
                raise RecordingError(f"{file}: row {row}: {name} = {values[row]} is outside {limits.min}..{limits.max}")
            events[name] = np.ascontiguousarray(values, kind)
        total = self.meta.get("rows_total")
        if total is not None and total != table.num_rows:
            raise RecordingError(f"{file}: {table.num_rows} rows, meta.json promises {total}: the file is truncated")
        self._check_rows(events, file)
        return events

    def _check_rows(self, events: dict[str, np.ndarray], file: Path) -> None:
        """Refuse rows whose numbers point outside what the cores have: they trust the columns."""
        types = np.array(self.types + [""] * (256 - len(self.types)))
        self._refuse(
            events,
            types,
            file,
            {
                f"type is not one of the {len(self.types)} of meta.json": events["type"] >= len(self.types),
                f"cpu is not below {self.ncpus}": events["cpu"] >= self.ncpus,
            },
        )
        strange = np.array([name not in _KNOWN_ROWS and not name.startswith(_PRESSURE_ROWS) for name in types.tolist()])
        self._refuse(events, types, file, {"rows of this type are unknown here": strange[events["type"]]})
        pfn, order, mt, aux = (events[name].astype(np.int64) for name in ("pfn", "order", "mt", "aux"))

        def rows(*names: str) -> np.ndarray:
            return np.isin(types, names)[events["type"]]

        alloc, free, rmq, drained, drain, decay = (rows(name) for name in ("ALLOC", "FREE", "RMQ", "DRAINED", "DRAIN", "DECAY"))
        blocks = alloc | free | rmq | drained | rows("PUTBACK", "HINT_FREE", "HINT_RETURN")
        paged = blocks | rows("MOVE", "SETPB", "ISOLATE", "LEAVE", "INSERT", "ROTATE", "STEAL")
        typed = blocks & ~rows("HINT_FREE") | rows("MOVE", "SETPB")
        listed = alloc & np.isin(aux, (0, 4)) | free & np.isin(aux, (0, 1)) | rmq & (aux == 1) | drained
        in_zone = np.zeros(pfn.size, bool)
        for zone in self.meta["t0"]["zones"]:
            start = int(zone["zone_start_pfn"])
            in_zone |= (pfn >= start) & (pfn < start + int(zone["spanned_pages"]))
        zones = [int(zone["zone_idx"]) for zone in self.meta["t0"]["zones"]]
        kernel = kernels.load(self.kernel)
        orders = kernel.pcp_orders
        self._refuse(
            events,
            types,
            file,
            {
                "order is not between 0 and 10": blocks & ((order < 0) | (order > 10)),
                f"pfn is not a page frame below {self.npfn}": paged & ((pfn < 0) | (pfn >= self.npfn)),
                "pfn is in no zone of this guest": paged & ~in_zone,
                "pfn is not aligned to its order": blocks & ((pfn & ((1 << np.clip(order, 0, 10)) - 1)) != 0),
                "mt is not a migratetype between 0 and 4": typed & ((mt < 0) | (mt > 4)),
                "mt is not a migratetype of requests, between 0 and 2": (alloc | rmq & (aux == 1)) & (mt > 2),
                "aux is not one of the paths": (
                    alloc & ((aux < 0) | (aux > 4)) | free & ((aux < 0) | (aux > 2)) | rmq & ((aux < 0) | (aux > 1))
                ),
                f"order has no per-CPU lists, expected one of {orders}": listed & ~np.isin(order, orders),
                "a does not name zones between 0 and 3": alloc
                & (aux != 4)
                & ((events["a"] < 0) | (events["a"] & 15 > 3) | (events["a"] >> 4 > 3)),
                f"zone is not one of {zones}": (alloc | drain | decay) & ~np.isin(events["zone"], zones),
                f"order is not a cpu below {self.ncpus}": drain & ((order < 0) | (order >= self.ncpus)),
                f"aux is not a cpu below {self.ncpus}": decay & ((aux < 0) | (aux >= self.ncpus)),
                "a or b is not a number of pages and a per-CPU list": drain
                & ((events["a"] < 0) | (events["b"] < (-1 if kernel.pcp_tuning == "fixed" else 0)) | (events["b"] > 13)),
            },
        )

    def _refuse(self, events: dict[str, np.ndarray], types: np.ndarray, file: Path, rules: dict[str, np.ndarray]) -> None:
        for reason, bad in rules.items():
            if bad.any():
                row = int(bad.argmax())
                names = ("cpu", "zone", "pfn", "order", "mt", "aux", "a")
                values = ", ".join(f"{name} {events[name][row]}" for name in names)
                raise RecordingError(f"{file}: row {row} ({types[events['type'][row]]}): {reason} ({values})")

    def isolated_at_start(self) -> list[tuple[int, int]]:
        """Blocks (pfn, order) that page reporting or hinting v8 had out at the start: they go back later."""
        if self.has_v8:
            return [block for cpu in range(self.ncpus) for block in self.v8_out_at_start(cpu)]
        if not self.has_reporting:
            return []
        events, names = self.events, self.types
        numbers = {name: names.index(name) if name in names else 255 for name in ("ISOLATE", "PUTBACK", "REPORT_WORK")}
        starts = np.flatnonzero(events["type"] == numbers["REPORT_WORK"])
        before = events["type"][: starts[0] if starts.size else None]
        taken: set[int] = set()
        out = []
        for row in np.flatnonzero((before == numbers["ISOLATE"]) | (before == numbers["PUTBACK"])):
            pfn = int(events["pfn"][row])
            if events["type"][row] == numbers["ISOLATE"]:
                taken.add(pfn)
            elif pfn in taken:
                taken.remove(pfn)
            else:
                out.append((pfn, int(events["order"][row])))
        return out

    def v8_rows_before_run(self, cpu: int) -> list[tuple[str, int]]:
        """(type, row) of what hinting v8's thread of a CPU did before its first start: it was under way then."""
        events, names = self.events, self.types
        wanted = [number for number, name in enumerate(names) if name.startswith("HINT_") and name not in _CAPTURE_ROWS]
        rows = np.flatnonzero((events["cpu"] == cpu) & np.isin(events["type"], wanted))
        named = [(names[events["type"][row]], int(row)) for row in rows]
        starts = [i for i, (name, _) in enumerate(named) if name == "HINT_RUN"]
        return named[: starts[0]] if starts else named

    def v8_out_at_start(self, cpu: int) -> list[tuple[int, int]]:
        """Blocks (pfn, order) in the isolated array of a CPU at the start, in order. RecordingError if rows contradict."""
        file = self.path / "meta.json"
        try:
            count = sum(int(known["hyp_idx"]) for known in self.meta["t0"]["hinting"]["cpus"] if known["cpu"] == cpu)
        except (KeyError, TypeError, ValueError) as error:
            raise RecordingError(f"{file}: t0: hinting: cpus must have cpu and hyp_idx: {error}") from None
        if not count:
            return []
        rows = [row for name, row in self.v8_rows_before_run(cpu) if name == "HINT_RETURN"]
        if not 0 <= count <= len(rows) or [int(self.events["a"][row]) for row in rows[:count]] != list(range(count)):
            raise RecordingError(f"{file}: t0: {count} blocks of cpu {cpu} are isolated, the rows return {len(rows)} of them")
        rows = rows[:count]
        return [(int(self.events["pfn"][row]), int(self.events["order"][row])) for row in rows]

    @cached_property
    def pageblocks(self) -> dict[str, np.ndarray]:
        """Type and skip bit of every pageblock at both moments, indexed by pageblock; 255: no memory."""
        table = self.table("pageblocks.parquet")
        count = -(-self.npfn // PAGEBLOCK_PAGES)
        out = {name: np.full(count, NO_MEMORY, np.uint8) for name in ("mt_t0", "mt_t1")}
        out |= {name: np.zeros(count, bool) for name in ("skip_t0", "skip_t1")}
        index = table["pageblock"]
        if index.size and not (int(index.min()) >= 0 and int(index.max()) < count):
            row = int(np.argmax((index < 0) | (index >= count)))
            raise RecordingError(
                f"{self.path / 'pageblocks.parquet'}: row {row}: pageblock {index[row]} is outside the guest's {count}"
            )
        for name in ("mt_t0", "mt_t1"):
            bad = (table[name] < 0) | (table[name] > 4) & (table[name] != NO_MEMORY)
            if bad.any():
                row = int(bad.argmax())
                raise RecordingError(
                    f"{self.path / 'pageblocks.parquet'}: row {row}: {name} must be a migratetype between 0 and 4, or "
                    f"{NO_MEMORY}, got {table[name][row]}"
                )
        for name, values in out.items():
            values[index] = table[name]
        return out

    def memory(self) -> np.ndarray:
        """For each page frame: 1 if it may be in use by the guest, 2 if it counts as movable at the start, else 0.

        uint8 of shape (npfn,). Raises RecordingError for a page that lies outside.
        """
        pages = np.zeros(self.npfn, np.uint8)
        for zone in self.meta["t0"]["zones"]:
            pages[int(zone["zone_start_pfn"]) : int(zone["zone_start_pfn"]) + int(zone["spanned_pages"])] = 1
        pages[np.repeat(self.pageblocks["mt_t0"] == NO_MEMORY, PAGEBLOCK_PAGES)[: self.npfn]] = 0
        movable = self.table("movable_t0.parquet")["pfn"]
        if movable.size and not (int(movable.min()) >= 0 and int(movable.max()) < self.npfn):
            row = int(np.argmax((movable < 0) | (movable >= self.npfn)))
            raise RecordingError(f"{self.path / 'movable_t0.parquet'}: row {row}: pfn {movable[row]} is not below {self.npfn}")
        if not pages[movable].all():
            row = int(np.argmin(pages[movable]))
            raise RecordingError(f"{self.path / 'movable_t0.parquet'}: row {row}: pfn {movable[row]} is no memory of this guest")
        pages[movable] = 2
        return pages

"""What a kernel's page allocator did, as tracing tools print it: ftrace, trace-cmd, perf script, or a CSV of bpftrace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hinting.errors import TraceError
from hinting.traces.table import open_text, rows

__all__ = ["KERNEL_DTYPE", "KernelTrace", "read_kernel_trace"]

#: An allocation or a free: t_ns from the start, cpu, pfn, order, migratetype (-1: not said), is_alloc.
KERNEL_DTYPE = np.dtype([("t_ns", "i8"), ("cpu", "i4"), ("pfn", "u8"), ("order", "u1"), ("migratetype", "i1"), ("is_alloc", "?")])

BPFTRACE = ("ns", "cpu", "pid", "comm", "op", "pfn", "order", "migratetype", "gfp")

_HEAD = re.compile(r"^\s*(?P<task>.+?)\s+\[(?P<cpu>\d+)\]\s+(?:\S+\s+)?(?P<time>\d+\.\d+):\s+"
                   r"(?:kmem:)?(?P<event>\w+):\s*(?P<fields>.*)$")
_FIELD = re.compile(r"(\w+)=(\S+)")
#: What changes which pages are in use. A page that is freed in a batch has mm_page_free, too: if that is lost, this is all.
_ALLOC, _FREE, _FREE_BATCHED = range(3)
_EVENTS = {"mm_page_alloc": _ALLOC, "mm_page_free": _FREE, "mm_page_free_batched": _FREE_BATCHED}


@dataclass(frozen=True)
class KernelTrace:
    """events: of KERNEL_DTYPE, as the file has them, frees of unknown pages left out. unknown_frees: how many those were,
    memory that was allocated before the trace began, or whose allocation was lost. replaced: allocations of pages that were
    in use, whose free was lost: it is put in. other: lines of other events."""

    events: np.ndarray
    unknown_frees: int
    replaced: int
    other: int

    @property
    def live(self) -> int:
        """Most pages in use at once, of those that the trace allocates."""
        pages = np.where(self.events["is_alloc"], 1, -1) << self.events["order"].astype(np.int64)
        return int(np.cumsum(pages).max(initial=0))


def _whole(path: Path, number: int, name: str, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise TraceError(f"{path}: row {number}: {name} must be a whole number, got {text!r}") from None


def _pfn(path: Path, number: int, text: str) -> int:
    """A page frame number: hexadecimal with 0x, decimal on old kernels."""
    return _whole(path, number, "pfn", text)


def _lines(path: Path, other: list[int]) -> Iterator[tuple[int, int, int, int, int, int]]:
    """(t_ns, cpu, pfn, order, migratetype, what) of each line of a text trace."""
    with open_text(path) as file:
        try:
            for number, line in enumerate(file, 1):
                if not line.strip() or line.lstrip().startswith("#"):
                    continue
                head = _HEAD.match(line)
                if head is None:
                    if "mm_page_" in line:
                        raise TraceError(f"{path}: row {number}: expected 'task-pid [cpu] seconds: event: fields', "
                                         f"got {line.strip()!r}")
                    other[0] += 1
                    continue
                if head["event"] not in _EVENTS:
                    other[0] += 1
                    continue
                fields = dict(_FIELD.findall(head["fields"]))
                what = _EVENTS[head["event"]]
                order = fields.get("order", "0" if what == _FREE_BATCHED else None)
                if "pfn" not in fields or order is None:
                    raise TraceError(f"{path}: row {number}: {head['event']} must have pfn= and order=, got {head['fields']!r}")
                if what == _ALLOC and fields.get("page", "").strip("()") in ("NULL", "nil", "0"):  # it failed
                    other[0] += 1
                    continue
                yield (round(float(head["time"]) * 1e9), int(head["cpu"]), _pfn(path, number, fields["pfn"]),
                       _order(path, number, order), int(fields.get("migratetype", -1)), what)
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise TraceError(f"{path}: cannot be read: {error}") from None


def _order(path: Path, number: int, text: str) -> int:
    order = _whole(path, number, "order", text)
    if not 0 <= order <= 10:
        raise TraceError(f"{path}: row {number}: order must be between 0 and 10, got {order}")
    return order


def _table(path: Path) -> Iterator[tuple[int, int, int, int, int, int]]:
    for row in rows(path, BPFTRACE):
        if row.number == 1 and row.text("ns") == "ns":
            continue
        op = row.text("op")
        if op not in ("A", "F"):
            raise row.fail(f"op must be A or F, got {op!r}")
        kind = int(row.number_in("migratetype", -1, 5)) if row.has("migratetype") else -1
        yield (int(row.number_in("ns", 0)), int(row.number_in("cpu", 0, 4095)), _pfn(path, row.number, row.text("pfn")),
               _order(path, row.number, row.text("order")), kind, _ALLOC if op == "A" else _FREE)


def read_kernel_trace(path: str | Path) -> KernelTrace:
    """Read a trace of one kernel's allocations and frees.

    A text of ftrace, trace-cmd or perf script with the events kmem:mm_page_alloc and mm_page_free, or a CSV with the columns
    ns,cpu,pid,comm,op (A or F),pfn,order,migratetype,gfp. Lost events are tolerated and counted. Raises TraceError with
    file, row and reason.
    """
    file = Path(path)
    other = [0]
    suffixes = [suffix for suffix in file.suffixes if suffix not in (".gz", ".bz2", ".xz")]
    found = _table(file) if suffixes[-1:] == [".csv"] else _lines(file, other)
    live: dict[int, int] = {}
    events: list[tuple[int, int, int, int, int, bool]] = []
    unknown = replaced = 0
    for event in found:
        t_ns, cpu, pfn, order, kind, what = event
        if what == _ALLOC:
            if pfn in live:
                replaced += 1
                events.append((t_ns, cpu, pfn, live[pfn], -1, False))
            live[pfn] = order
        elif live.pop(pfn, None) is None:
            unknown += what == _FREE
            continue
        events.append((t_ns, cpu, pfn, order, kind, what == _ALLOC))
    if not events:
        raise TraceError(f"{file}: no allocation in it, expected lines of mm_page_alloc and mm_page_free")
    out = np.array(events, KERNEL_DTYPE)
    out["t_ns"] -= out["t_ns"][0]
    return KernelTrace(out, unknown, replaced, other[0])

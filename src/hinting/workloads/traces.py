"""Traces as workloads: one guest of a fleet trace, or the allocations that a kernel noted."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np

from hinting._core.engine.ops import KINDS, MAX_FILE_PAGES, NO_THP, SINCE_MARK
from hinting._core.limits import PAGEBLOCK_PAGES
from hinting.errors import WorkloadError
from hinting.traces import FORMATS, FleetTrace, KernelTrace, load, read_kernel_trace
from hinting.traces.events import ANON, ARRIVES, CACHE, DEPARTS
from hinting.units import PAGE_BYTES
from hinting.workloads.memhog import MARK_DONE, MARK_START
from hinting.workloads.registry import SEED, workload
from hinting.workloads.rows import interleave, join, random, rows
from hinting.workloads.rules import Bytes, FilePath, Flag, Number, OneOf, Span, Text, Whole

__all__ = ["POLICIES", "demand_trace", "kernel_trace"]

#: Which pages go when demand falls, as shares of the memory: newest first, whole blocks at random, single pages at random.
POLICIES = {"mix": (0.6, 0.3, 0.1), "lifo": (1.0, 0.0, 0.0), "random_block": (0.0, 1.0, 0.0), "random_page": (0.0, 0.0, 1.0)}
UNITS = (0, PAGEBLOCK_PAGES, 1)  # pages that go at once: as many as needed, a block, a page
#: Most blocks that `kernel_trace` keeps at once in slots of their own.
SLOTS = 60_000


@lru_cache(maxsize=4)
def _fleet(path: str, format: str, size: int, seed: int, changed_ns: int) -> FleetTrace:
    return load(path, format, size=size, seed=seed)


@lru_cache(maxsize=4)
def _kernel(path: str, changed_ns: int) -> KernelTrace:
    return read_kernel_trace(path)


@workload
def demand_trace(
    file: Annotated[str, FilePath("the trace")] = "",
    *,
    format: Annotated[str, OneOf("its format", tuple(FORMATS))] = "google-2019",
    instance: Annotated[str, Text("name of the trace's guest; without it one by the seed")] = "",
    size: Annotated[int, Bytes("what a fraction of 1 in the trace stands for", of_guest=1.0)] = 2**30,
    scale: Annotated[float, Number("all memory is multiplied by it", low=1e-6, high=1e6)] = 1.0,
    skip: Annotated[int, Span("time of the trace's life of the guest that is left out")] = 0,
    duration: Annotated[int, Span("time of the trace that is run, 0: all that is left")] = 0,
    speed: Annotated[float, Number("how many times faster than the trace", low=1e-3, high=1e6)] = 1.0,
    steps: Annotated[int, Whole("steps from one sample to the next: linear instead of all at once", low=1, high=1000)] = 1,
    policy: Annotated[str, OneOf("which memory goes when demand falls", tuple(POLICIES))] = "mix",
    thp: Annotated[bool, Flag("huge pages, if the guest's setting allows them")] = True,
    seed: Annotated[int, SEED] = 0,
) -> np.ndarray:
    """Memory of one guest of a fleet trace: programs and page cache follow its samples, until it leaves.

    The mix: 60 % is given back newest first, 30 % by blocks of 2 MiB at random, 10 % by pages at random. Source: user
    supplied; formats of Azure, Google and Alibaba, see docs/traces.md.
    """
    trace = _fleet(file, format, size, 0, Path(file).stat().st_mtime_ns)
    rng = random(seed)
    number = trace.number(instance) if instance else int(rng.integers(len(trace.names)))
    times, levels = _levels(trace.guest(number), skip, duration, steps)
    pages = np.rint(levels * scale / PAGE_BYTES).astype(np.int64)
    shares = POLICIES[policy]
    parts = np.stack([np.rint(pages[:, 0] * share).astype(np.int64) for share in shares], axis=1)
    parts[:, int(np.argmax(shares))] += pages[:, 0] - parts.sum(axis=1)
    parts[:, 1] = parts[:, 1] // PAGEBLOCK_PAGES * PAGEBLOCK_PAGES
    regions = [_Region(i, unit, int(parts[:, i].max()), rng) for i, unit in enumerate(UNITS)]
    if pages[:, 1].max() > MAX_FILE_PAGES:
        most = int(pages[:, 1].max())
        raise WorkloadError(f"workload demand_trace: page cache of {most} pages, expected at most {MAX_FILE_PAGES}")
    out = [rows("MARK", a=MARK_START), rows("SPAWN")]
    out += [rows("MMAP", region=region.number, a=region.room, flags=0 if thp else NO_THP) for region in regions if region.room]
    cached = 0
    for t_ns, want, cache in zip(times.tolist(), parts.tolist(), pages[:, 1].tolist(), strict=True):
        out.append(rows("SLEEP", a=int(t_ns / speed), b=MARK_START, flags=SINCE_MARK))
        for region, target in zip(regions, want, strict=True):
            out += region.follow(target)
        if cache > cached:
            out.append(rows("READ", a=cached, b=cache - cached))
        elif cache < cached:
            out.append(rows("TRUNCATE", a=cache))
        cached = cache
    return join(*out, rows("EXIT"), rows("MARK", a=MARK_DONE))


def _levels(events: np.ndarray, skip: int, duration: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(times from the guest's start in ns, (anon, cache) bytes from each on); the last is where it leaves, or the window ends."""
    began = int(events["t_ns"][events["kind"] == ARRIVES][0])
    times = np.unique(events["t_ns"])
    levels = np.zeros((times.size, 2))
    for column, kind in enumerate((ANON, CACHE)):
        mine = events[(events["kind"] == kind) | (events["kind"] == DEPARTS)]
        if mine.size:
            at = np.searchsorted(mine["t_ns"], times, side="right") - 1
            levels[:, column] = np.where(at >= 0, mine["bytes"][at], 0)
    times = times - began
    if steps > 1:
        share = np.arange(steps) / steps
        fine = (times[:-1, None] + np.diff(times)[:, None] * share).ravel()
        smooth = (levels[:-1, None, :] + np.diff(levels, axis=0)[:, None, :] * share[None, :, None]).reshape(-1, 2)
        times, levels = np.append(fine, times[-1]), np.concatenate([smooth, levels[-1:]])
    end = int(times[-1]) if duration == 0 else min(int(times[-1]), skip + duration)
    first = max(0, int(np.searchsorted(times, skip, side="right")) - 1)
    inside = (np.arange(times.size) >= first) & (times < end)
    if not inside.any():
        raise WorkloadError(f"workload demand_trace: skip {skip} ns is after the guest's end, {int(times[-1])} ns")
    kept = np.append(np.maximum(times[inside] - skip, 0), end - skip)
    return kept, np.concatenate([levels[inside], levels[inside][-1:]])


class _Region:
    """A mapping of which so many pages are in use; unit: how they go, 0 for newest first."""

    def __init__(self, number: int, unit: int, room: int, rng: np.random.Generator) -> None:
        self.number, self.unit, self.room, self.rng = number, unit, room, rng
        n = room // unit if unit else 0
        self.free = np.arange(n)[::-1].tolist()
        self.used: list[int] = []
        self.pages = 0

    def follow(self, target: int) -> list[np.ndarray]:
        """Rows that lead to `target` pages."""
        change, self.pages = target - self.pages, target
        if change == 0:
            return []
        if not self.unit:
            if change > 0:
                return [rows("TOUCH", region=self.number, a=target - change, b=change)]
            return [rows("UNMAP", region=self.number, a=target, b=-change)]
        n = abs(change) // self.unit
        if change > 0:
            chosen = [self.free.pop() for _ in range(n)]
            self.used += chosen
        else:
            which = self.rng.permutation(len(self.used))
            chosen = [self.used[i] for i in which[:n]]
            self.used = [self.used[i] for i in np.sort(which[n:])]
            self.free += chosen
        at = np.array(chosen, np.int64) * self.unit
        return [rows("TOUCH" if change > 0 else "UNMAP", n, region=self.number, a=at, b=self.unit)]


@workload
def kernel_trace(
    file: Annotated[str, FilePath("the trace: text of ftrace, trace-cmd or perf script, or .csv of bpftrace")] = "",
    *,
    speed: Annotated[float, Number("how many times faster than the trace", low=1e-3, high=1e6)] = 1.0,
    pause: Annotated[int, Span("shorter gaps between events are left out", low=1000)] = 100_000,
) -> np.ndarray:
    """The allocations and frees of a traced kernel, in their order and at their times, on one vCPU.

    Movable pages of order 0 are pages of a process; all else is kernel memory of the trace's order and type. Frees of pages
    that the trace did not allocate are left out. Source: user supplied; events kmem:mm_page_alloc and mm_page_free.
    """
    events = _kernel(file, Path(file).stat().st_mtime_ns).events
    movable = 1
    is_user = np.zeros(events.size, bool)
    place = np.zeros(events.size, np.int64)
    where: dict[int, tuple[bool, int]] = {}
    free: tuple[list[int], list[int]] = ([], [])
    made = [0, 0]
    kinds = {-1: "kernel", 0: "kernel", 1: "user", 2: "reclaimable"}
    for i, (_, _, pfn, order, migratetype, is_alloc) in enumerate(events.tolist()):
        if is_alloc:
            user = order == 0 and migratetype == movable
            if free[user]:
                number = free[user].pop()
            else:
                number, made[user] = made[user], made[user] + 1
            where[pfn] = (user, number)
        else:
            user, number = where.pop(pfn)
            free[user].append(number)
        is_user[i], place[i] = user, number
    if made[0] > SLOTS:
        raise WorkloadError(f"workload kernel_trace: {made[0]} blocks of kernel memory in use at once, expected at most {SLOTS}")
    kind = np.array([KINDS[kinds.get(value, "kernel")] for value in events["migratetype"].tolist()], np.uint8)
    alloc = events["is_alloc"]
    done = rows("NOP", events.size)
    done["op"] = np.where(
        is_user,
        np.where(alloc, rows("TOUCH")["op"][0], rows("UNMAP")["op"][0]),
        np.where(alloc, rows("ALLOC")["op"][0], rows("FREE")["op"][0]),
    )
    done["proc"] = np.where(is_user, 0, place + 1)
    done["a"] = np.where(is_user, place, 0)
    done["b"] = 1
    done["order"] = np.where(is_user | ~alloc, 0, events["order"])
    done["flags"] = np.where(is_user | ~alloc, 0, kind)
    sleeps = rows("SLEEP", events.size, a=(events["t_ns"] / speed).astype(np.int64), b=MARK_START, flags=SINCE_MARK)
    timed = np.concatenate([[True], np.diff(events["t_ns"]) / speed >= pause])
    both = interleave(sleeps, done)[np.stack([timed, np.ones(events.size, bool)], axis=1).ravel()]
    begin = [rows("SPAWN"), rows("MMAP", a=made[1], flags=NO_THP)] if made[1] else [rows("SPAWN")]
    return join(rows("MARK", a=MARK_START), *begin, both, rows("EXIT"), rows("MARK", a=MARK_DONE))

"""Functions as a service: short runs in containers that stay warm for a while."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np

from hinting._core.engine.ops import SINCE_MARK
from hinting.errors import WorkloadError
from hinting.traces.functions import MEMORY_PERCENTILES, RUN_PERCENTILES, FunctionTrace, load_functions
from hinting.units import PAGE_BYTES
from hinting.workloads.kv_store import zipf
from hinting.workloads.memhog import MARK_DONE, MARK_START
from hinting.workloads.registry import SEED, workload
from hinting.workloads.rows import join, random, rows
from hinting.workloads.rules import Bytes, FilePath, Number, Percentiles, Span, Whole

__all__ = ["faas", "faas_trace"]

MINUTE_NS = 60_000_000_000

#: Percentiles of the runs and of the memory of a function; half of all runs are below a second.
_RUNS_MS = ((0, 10), (25, 250), (50, 900), (75, 3_000), (99, 30_000), (100, 60_000))
_MEMORY_MIB = ((0, 60), (5, 80), (25, 110), (50, 150), (75, 220), (95, 320), (100, 500))
RUNTIMES = tuple((percent, ms * 1_000_000) for percent, ms in _RUNS_MS)
MEMORY = tuple((percent, mib << 20) for percent, mib in _MEMORY_MIB)


def _quantile(table: tuple[tuple[float, int], ...], percent: np.ndarray) -> np.ndarray:
    at, value = (np.array(column, np.float64) for column in zip(*table, strict=True))
    return np.interp(percent, at, value).astype(np.int64)


@workload
def faas(
    functions: Annotated[int, Whole("functions in the guest, the i-th called in proportion to 1 / i", low=1, high=2000)] = 20,
    *,
    rate: Annotated[float, Number("calls a minute, all functions together", low=0.001, high=10**6)] = 60.0,
    cv: Annotated[float, Number("coefficient of variation of the times between calls (1: Poisson)", low=0.1, high=10.0)] = 1.5,
    duration: Annotated[int, Span("time in which calls arrive", low=10**9)] = 3_600_000_000_000,
    keep_alive: Annotated[int, Span("a container that was idle for so long ends")] = 600_000_000_000,
    runtimes: Annotated[tuple, Percentiles("run of a call", Span(""))] = RUNTIMES,
    memory: Annotated[tuple, Percentiles("memory of a function", Bytes(""))] = MEMORY,
    seed: Annotated[int, SEED] = 0,
) -> np.ndarray:
    """Calls arrive; a function without a warm container starts one and touches its memory, which goes when it was idle long.

    A call that comes while its container runs waits for it. Source: Shahrad et al., "Serverless in the Wild" (Azure
    Functions 2019).
    """
    rng = random(seed)
    shape = 1 / (cv * cv)
    n = max(1, int(rate * duration / 60e9))
    gaps = rng.standard_gamma(shape, n) / shape
    arrival = (np.cumsum(gaps) * (duration / max(float(gaps.sum()), 1e-9))).astype(np.int64)
    function = zipf(rng, 1.0, functions, n)
    runtime = _quantile(runtimes, 100 * rng.random(n))
    pages = np.maximum(1, _quantile(memory, 100 * rng.random(functions)) // PAGE_BYTES)
    return _calls(function, arrival, runtime, pages, keep_alive)


@lru_cache(maxsize=2)
def _functions(path: str, changed_ns: int) -> FunctionTrace:
    return load_functions(path)


@workload
def faas_trace(
    file: Annotated[str, FilePath("invocations_per_function_md of a day, with the day's two other files beside it")] = "",
    *,
    functions: Annotated[int, Whole("functions in the guest, drawn by the seed of those that are called", low=1, high=2000)] = 20,
    skip: Annotated[int, Span("time of the day that is left out")] = 0,
    duration: Annotated[int, Span("time of the day in which calls arrive", low=60 * 10**9)] = 3_600_000_000_000,
    speed: Annotated[float, Number("how many times faster than the trace calls arrive", low=1e-3, high=1e6)] = 1.0,
    keep_alive: Annotated[int, Span("a container that was idle for so long ends")] = 600_000_000_000,
    seed: Annotated[int, SEED] = 0,
) -> np.ndarray:
    """Functions of a recorded day: calls of each minute at random times in it, runs and memory by the trace's percentiles.

    The memory of an app is what it has allocated, not what is resident. Containers as in faas. Source: user supplied, Azure
    Functions 2019 of the Azure Public Dataset.
    """
    trace = _functions(file, Path(file).stat().st_mtime_ns)
    rng = random(seed)
    first, last = skip // MINUTE_NS, -(-(skip + duration) // MINUTE_NS)
    window = trace.calls[:, first:last]
    called = np.flatnonzero(window.sum(axis=1))
    if not called.size:
        raise WorkloadError(f"workload faas_trace: no function is called from minute {first + 1} to {last} of {file}")
    chosen = np.sort(rng.permutation(called)[:functions])
    function, minute = np.nonzero(window[chosen])
    counts = window[chosen][function, minute]
    function, minute = np.repeat(function, counts), np.repeat(minute, counts)
    arrival = ((minute + rng.random(minute.size)) * (MINUTE_NS / speed)).astype(np.int64)
    runtime = np.empty(function.size, np.int64)
    pages = np.empty(chosen.size, np.int64)
    for i, number in enumerate(chosen):
        mine = function == i
        runtime[mine] = np.interp(100 * rng.random(int(mine.sum())), RUN_PERCENTILES, trace.runs_ns[number])
        pages[i] = max(1, int(np.interp(100 * rng.random(), MEMORY_PERCENTILES, trace.memory_bytes[number]) // PAGE_BYTES))
    return _calls(function, arrival, runtime, pages, keep_alive)


def _calls(function: np.ndarray, arrival: np.ndarray, runtime: np.ndarray, pages: np.ndarray, keep_alive: int) -> np.ndarray:
    """Rows of all calls: which function, when and for how long; pages by function."""
    order = np.lexsort((arrival, function))
    same = np.concatenate([[False], function[order][1:] == function[order][:-1]])
    end = arrival[order] + runtime[order]
    idle = np.concatenate([[0], arrival[order][1:] - end[:-1]])
    cold = ~same | (idle > keep_alive)
    last = np.concatenate([cold[1:], [True]])  # the container's last call
    return _events(function[order], arrival[order], runtime[order], end + keep_alive, cold, last, pages)


def _events(
    function: np.ndarray, arrival: np.ndarray, runtime: np.ndarray, over: np.ndarray,
    cold: np.ndarray, last: np.ndarray, pages: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Rows of all calls and ends of containers, in the order of time."""
    n, starts, ends = function.size, np.flatnonzero(cold), np.flatnonzero(last)
    blocks = [
        (arrival, np.zeros(n, int), rows("SLEEP", n, a=arrival, b=MARK_START, flags=SINCE_MARK)),
        (arrival[starts], np.full(starts.size, 1), rows("SPAWN", starts.size, proc=function[starts])),
        (arrival[starts], np.full(starts.size, 2), rows("MMAP", starts.size, proc=function[starts], a=pages[function[starts]])),
        (arrival, np.full(n, 3), rows("TOUCH", n, proc=function, b=pages[function])),
        (arrival, np.full(n, 4), rows("COMPUTE", n, a=runtime)),
        (over[ends], np.full(ends.size, 5), rows("SLEEP", ends.size, a=over[ends], b=MARK_START, flags=SINCE_MARK)),
        (over[ends], np.full(ends.size, 6), rows("EXIT", ends.size, proc=function[ends])),
    ]
    time, step, made = (np.concatenate(column) for column in zip(*blocks, strict=True))
    whose = np.concatenate([np.arange(n), starts, starts, np.arange(n), np.arange(n), n + ends, n + ends])
    return join(rows("MARK", a=MARK_START), made[np.lexsort((step, whose, time))], rows("MARK", a=MARK_DONE))

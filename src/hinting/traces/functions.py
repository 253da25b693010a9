"""Azure Functions 2019: how often each function was called in each minute of a day, for how long, with how much memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hinting.errors import TraceError
from hinting.traces.table import Row, rows

__all__ = ["MEMORY_PERCENTILES", "RUN_PERCENTILES", "FunctionTrace", "load_functions"]

#: Percentiles that the trace has of runs and of an app's memory.
RUN_PERCENTILES = (0, 1, 25, 50, 75, 99, 100)
MEMORY_PERCENTILES = (1, 5, 25, 50, 75, 95, 99, 100)

MINUTES = 1440
_CALLS, _RUNS, _MEMORY = "invocations_per_function_md", "function_durations_percentiles", "app_memory_percentiles"
_KEY = ("HashOwner", "HashApp", "HashFunction")


@dataclass(frozen=True)
class FunctionTrace:
    """names: owner/app/function. calls: by function and minute. runs_ns, memory_bytes: by function and percentile
    (RUN_PERCENTILES, MEMORY_PERCENTILES); memory is what the function's app has allocated. left_out: functions of which the
    trace has calls but no runs or no memory."""

    names: tuple[str, ...]
    calls: np.ndarray
    runs_ns: np.ndarray
    memory_bytes: np.ndarray
    left_out: int


def _beside(path: Path, part: str) -> Path:
    """Another file of the same day; TraceError if it is not there."""
    other = path.with_name(path.name.replace(_CALLS, part))
    if _CALLS not in path.name or not other.is_file():
        raise TraceError(f"{path}: expected a file {_CALLS}.anon.dDD.csv with {_RUNS}.anon.dDD.csv and {_MEMORY}.anon.dDD.csv "
                         f"beside it{f', {other.name} is missing' if _CALLS in path.name else ''}")
    return other


def _percentiles(row: Row, columns: list[str]) -> list[float]:
    values = [row.number_in(column, 0) for column in columns]
    if values != sorted(values):
        raise row.fail(f"{columns[0]} to {columns[-1]} must not fall, got {', '.join(f'{value:g}' for value in values)}")
    return values


def load_functions(path: str | Path) -> FunctionTrace:
    """Read a day of the trace: its invocations_per_function_md file, and the two files of the same day beside it.

    Raises TraceError with file, row and reason.
    """
    file = Path(path)
    if not file.is_file():
        raise TraceError(f"{file}: expected a file with calls by minute of Azure Functions 2019")
    run_columns = [f"percentile_Average_{percent}" for percent in RUN_PERCENTILES]
    memory_columns = [f"AverageAllocatedMb_pct{percent}" for percent in MEMORY_PERCENTILES]
    runs = {"/".join(map(row.text, _KEY)): _percentiles(row, run_columns)
            for row in rows(_beside(file, _RUNS), (), header=True, need=(*_KEY, *run_columns))}
    memory = {"/".join(map(row.text, _KEY[:2])): _percentiles(row, memory_columns)
              for row in rows(_beside(file, _MEMORY), (), header=True, need=(*_KEY[:2], *memory_columns))}
    minutes = [str(minute) for minute in range(1, MINUTES + 1)]
    names, calls, left_out = [], [], 0
    for row in rows(file, (), header=True, need=(*_KEY, *minutes)):
        name = "/".join(map(row.text, _KEY))
        if name not in runs or name.rpartition("/")[0] not in memory:
            left_out += 1
            continue
        try:
            counts = np.array(row.texts(minutes), np.float64)
            usable = (counts >= 0) & (counts == np.rint(counts))
        except ValueError:
            usable = np.array([text.isdecimal() for text in row.texts(minutes)])
        if not usable.all():
            minute = minutes[int(usable.argmin())]
            raise row.fail(f"minute {minute} must be a number of calls, got {row.text(minute)!r}")
        names.append(name)
        calls.append(counts.astype(np.int64))
    if not names:
        raise TraceError(f"{file}: no usable row, {left_out} left out")
    return FunctionTrace(
        tuple(names), np.stack(calls), np.array([runs[name] for name in names]) * 1e6,
        np.array([memory[name.rpartition("/")[0]] for name in names]) * (1 << 20), left_out,
    )

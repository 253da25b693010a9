"""The time line of a simulation: step functions of time from the cores' rows of changes."""

from __future__ import annotations

import numpy as np

__all__ = ["HOST", "PEAK_WINDOW_NS", "at_most", "highest", "level", "quantile_over_time", "steepest"]

#: Number that stands for the host where guests have numbers from 0.
HOST = -1
#: Window of the peak rate.
PEAK_WINDOW_NS = 1_000_000_000


def level(rows: np.ndarray, field: str, guest: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Times (ns, ascending, each once) and the value from that time on of one field: of a guest, or the sum over all rows."""
    mine = rows if guest is None else rows[rows["guest"] == guest]
    mine = mine[mine[field] != 0]
    order = np.argsort(mine["t_ns"], kind="stable")
    times = mine["t_ns"][order]
    is_last = np.append(times[1:] != times[:-1], True)[: len(times)]
    return times[is_last], np.cumsum(mine[field][order], dtype=np.int64)[is_last]


def highest(values: np.ndarray) -> int:
    """Largest value of a step function that begins at 0."""
    return int(values.max(initial=0))


def quantile_over_time(times: np.ndarray, values: np.ndarray, end: int, share: float) -> int:
    """The value that is not exceeded during this share of the time between the first change and `end`."""
    if not len(times) or end <= times[0]:
        return highest(values)
    spans = np.diff(np.append(times, end)).clip(0)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(spans[order])
    return int(values[order][np.searchsorted(reached, share * reached[-1])])


def at_most(times: np.ndarray, values: np.ndarray, when: np.ndarray) -> np.ndarray:
    """The value at each of the times `when`; 0 before the first change."""
    index = np.searchsorted(times, when, side="right") - 1
    return np.where(index >= 0, values[np.maximum(index, 0)], 0) if len(times) else np.zeros(len(when), np.int64)


def steepest(times: np.ndarray, values: np.ndarray, window: int = PEAK_WINDOW_NS) -> int:
    """Largest rise of a step function within a window (ns), both changes at its ends included."""
    if not len(times):
        return 0
    return int((values - at_most(times, values, times - window - 1)).max())

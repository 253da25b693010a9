"""Quantiles of counted durations."""

from __future__ import annotations

import numpy as np

__all__ = ["merge", "quantile_ns", "share_above", "time_above"]


def merge(histograms: list[np.ndarray]) -> np.ndarray:
    """One histogram of several: (value in ns, count), ascending."""
    if not histograms:
        return np.zeros((0, 2), np.int64)
    rows = np.concatenate(histograms)
    values, place = np.unique(rows[:, 0], return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, place, rows[:, 1])
    return np.stack([values, counts], axis=1)


def quantile_ns(histogram: np.ndarray, share: float, total: int | None = None) -> int | None:
    """The smallest value that this share of the durations does not exceed; None if there are none.

    total: how many durations there are in all; those that the histogram lacks never ended.
    """
    counted = np.cumsum(histogram[:, 1])
    wanted = share * (counted[-1] if total is None and len(counted) else total or 0)
    if not len(counted) or wanted <= 0 or counted[-1] < wanted:
        return None
    return int(histogram[np.searchsorted(counted, wanted), 0])


def share_above(histogram: np.ndarray, limit_ns: int) -> float | None:
    """Share of the durations that are longer than a limit, None if there are none."""
    counts = histogram[:, 1]
    return float(counts[histogram[:, 0] > limit_ns].sum() / counts.sum()) if counts.sum() else None


def time_above(histogram: np.ndarray, limit_ns: int) -> int:
    """Sum of the durations that are longer than a limit, ns."""
    longer = histogram[histogram[:, 0] > limit_ns]
    return int((longer[:, 0] * longer[:, 1]).sum())

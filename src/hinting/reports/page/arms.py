"""The arms of a run or comparison, from its tidy tables: scalars by name, series as steps that a picture can hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from hinting.metrics.timeline import HOST, at_most

__all__ = ["Arm", "Steps", "arms_of"]


@dataclass(frozen=True)
class Steps:
    """A step function: a value (bytes) holds from its time (ns, ascending) to the next one."""

    t_ns: np.ndarray
    values: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """The values at some times (ns); 0 before the first change."""
        return at_most(self.t_ns, self.values, times)

    def thinned(self, points: int, end_ns: int) -> Steps:
        """About as many points, each spike and dip kept: of every stretch of time its first, lowest, highest and last value."""
        n = len(self.t_ns)
        if n <= points or end_ns <= 0:
            return self
        stretch = (self.t_ns * (points // 4) // (end_ns + 1)).astype(np.int64)
        starts = np.flatnonzero(np.append(True, stretch[1:] != stretch[:-1]))
        ends = np.append(starts[1:], n)
        kept = set()
        for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
            part = self.values[first:last]
            kept |= {first, first + int(part.argmin()), first + int(part.argmax()), last - 1}
        index = np.array(sorted(kept))
        return Steps(self.t_ns[index], self.values[index])


@dataclass(frozen=True)
class Arm:
    """One strategy. label: its name in figures. metrics: of the host. steps: series by guest (-1: the host) and name."""

    name: str
    label: str
    metrics: dict[str, float] = field(default_factory=dict)
    steps: dict[tuple[int, str], Steps] = field(default_factory=dict)

    @cached_property
    def end_ns(self) -> int:
        """Time of the last change."""
        return max((int(one.t_ns[-1]) for one in self.steps.values() if len(one.t_ns)), default=0)

    @property
    def guests(self) -> list[int]:
        """Numbers of the guests that have series."""
        return sorted({guest for guest, _ in self.steps if guest != HOST})


def _labels(names: Iterable[str]) -> dict[str, str]:
    """Names of strategies without the folders of their files, where that tells them apart."""
    short = {name: name.rpartition("/")[2] for name in names}
    return {name: label if list(short.values()).count(label) == 1 else name for name, label in short.items()}


def _groups(table: pa.Table) -> dict[tuple[str, int, str], Steps]:
    """Rows of a series table by strategy, guest and metric."""
    if not table.num_rows:
        return {}
    coded = [table[name].combine_chunks().dictionary_encode() for name in ("strategy", "metric")]
    strategy, metric = (one.indices.to_numpy() for one in coded)
    guest, times, values = (table[name].to_numpy() for name in ("guest", "t_ns", "value"))
    order = np.lexsort((times, metric, guest, strategy))
    keys = np.stack([strategy, guest, metric])[:, order]
    starts = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)))
    names = [one.dictionary.to_pylist() for one in coded]
    return {
        (names[0][keys[0, at]], int(keys[1, at]), names[1][keys[2, at]]): Steps(times[part], values[part])
        for at, part in zip(starts, np.split(order, starts[1:]), strict=True)
    }


def arms_of(metrics: pa.Table, series: pa.Table) -> list[Arm]:
    """The arms in the order of the table of metrics."""
    labels = _labels(dict.fromkeys([*metrics["strategy"].to_pylist(), *series["strategy"].unique().to_pylist()]))
    arms = {name: Arm(name, label) for name, label in labels.items()}
    for row in metrics.select(["strategy", "guest", "metric", "value"]).to_pylist():
        if row["guest"] == HOST:
            arms[row["strategy"]].metrics[row["metric"]] = row["value"]
    for (strategy, guest, name), steps in _groups(series).items():
        arms[strategy].steps[guest, name] = steps
    return list(arms.values())

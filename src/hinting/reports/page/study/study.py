"""What a sweep or a search found: its settings, each with the runs that were made of it, and their order by a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, pvariance
from typing import Any

from hinting.errors import HintingError, ResultsError
from hinting.metrics import Metric, metrics
from hinting.reports.best import ROOM, memory_over_time
from hinting.reports.page.answer import CHIEF
from hinting.reports.page.study.axes import Axis, axis_of
from hinting.reports.rank import pareto_front
from hinting.results.ledger import DONE, FAILED, PENDING
from hinting.results.sweep import SweepResults

__all__ = ["GAIN", "STRATEGY", "Setting", "Study", "difference", "study_of"]

#: The axis that has colours.
STRATEGY = "strategy"
#: What is held against the cost, where nothing else was asked for.
GAIN, COST = "memory_returned", "guest_cpu"


@dataclass(frozen=True, eq=False)
class Setting:
    """A place on all axes. levels: of the varied axes, in their order. runs: those that are done, a repeat each, as rows."""

    values: Mapping[str, Any]
    levels: tuple[int, ...]
    runs: list[dict[str, Any]]

    def values_of(self, name: str) -> list[float]:
        """A metric in each run; empty if it has no value in one of them."""
        found = [value for run in self.runs if (value := run.get(name)) is not None]
        return found if len(found) == len(self.runs) else []

    def mean(self, name: str) -> float | None:
        """A metric's mean over the repeats; None if it has no value in one of them."""
        found = self.values_of(name)
        return fmean(found) if found else None


def difference(a: Setting, b: Setting, name: str) -> list[float]:
    """A metric's differences a - b: seed by seed where both have the same seeds, else of their means."""
    mine, other = ({run["seed"]: run[name] for run in one.runs if run.get(name) is not None} for one in (a, b))
    if len(mine) == len(a.runs) and mine.keys() == other.keys():
        return [mine[seed] - other[seed] for seed in mine]
    first, second = a.mean(name), b.mean(name)
    return [] if first is None or second is None else [first - second]


@dataclass(frozen=True)
class Study:
    """All settings with at least one run. order: metrics that rank them, the first decides, each other one where those
    before are equal. gain, cost: of the front. directions: of objectives.

    axes: the varied ones. counts: of points by state. trials: of a search, as rows. numbers: rows of all points by number.
    """

    results: SweepResults
    axes: tuple[Axis, ...]
    settings: list[Setting]
    order: tuple[str, ...]
    gain: str
    cost: str
    directions: Mapping[str, str]
    counts: Mapping[str, int]
    every: Mapping[str, Axis]
    points: list[dict[str, Any]]
    trials: list[dict[str, Any]] | None

    @property
    def metric(self) -> str:
        """The metric that decides which setting is best."""
        return self.order[0]

    def better(self, name: str) -> str:
        """ "more" or "less"."""
        return self.directions.get(name, metrics()[name].better)

    def sign(self, name: str) -> int:
        """What makes less of a metric better."""
        return 1 if self.better(name) == "less" else -1

    @cached_property
    def ranked(self) -> list[Setting]:
        """Settings from the best to the worst."""

        def place(setting: Setting) -> tuple[Any, ...]:
            means = ((self.sign(name), setting.mean(name)) for name in self.order)
            return tuple((mean is None, sign * mean if mean is not None else 0.0) for sign, mean in means)

        return sorted((one for one in self.settings if one.mean(self.metric) is not None), key=place)

    @cached_property
    def front(self) -> list[Setting]:
        """Settings that no other one betters in gain and cost, the cheapest first."""
        pairs = [(one, one.mean(self.cost), one.mean(self.gain)) for one in self.settings]
        there = [(one, cost, gain) for one, cost, gain in pairs if cost is not None and gain is not None]
        scored = [(self.sign(self.cost) * cost, self.sign(self.gain) * gain) for _, cost, gain in there]
        return [there[i][0] for i in pareto_front(scored)]

    @cached_property
    def shown(self) -> list[Metric]:
        """Metrics to choose from: the deciding one, and those of the chief ones that differ between settings."""
        wanted = dict.fromkeys((*self.order, self.gain, *self.directions, *CHIEF))
        differ = [name for name in wanted if name == self.metric or len({one.mean(name) for one in self.settings} - {None}) > 1]
        return [metrics()[name] for name in differ]

    @cached_property
    def strategy(self) -> int | None:
        """Index of the axis that has colours, None if there is but one strategy."""
        return next((i for i, axis in enumerate(self.axes) if axis.name == STRATEGY), None)

    @cached_property
    def repeats(self) -> int:
        """Most runs of a setting."""
        return max((len(one.runs) for one in self.settings), default=0)

    def noise(self, name: str) -> float:
        """Standard deviation of a metric over the repeats of one setting, pooled over all settings."""
        found = [(len(values) - 1, pvariance(values) * len(values)) for one in self.settings
                 if len(values := one.values_of(name)) > 1]
        freedom = sum(n for n, _ in found)
        return float((sum(squares for _, squares in found) / freedom) ** 0.5) if freedom else 0.0

    def named(self, setting: Setting, *, code: bool = True) -> str:
        """A setting by its place on the varied axes that apply to it."""
        text = self.place(setting.values)
        return f"`{text.replace(', ', '`, `')}`" if code and setting.levels else text

    def place(self, row: Mapping[str, Any]) -> str:
        """Where a point or a trial lies on the varied axes that apply to it."""
        parts = [f"{axis.name}={axis.text(row[axis.name])}" for axis in self.axes if row[axis.name] is not None]
        return ", ".join(parts) or "the only setting"

    def like(self, setting: Setting, strategy: str) -> Setting | None:
        """The setting of another strategy that agrees with this one on all axes that apply to both."""
        for one in self.settings:
            if one.values.get(STRATEGY) == strategy and all(
                one.values[name] == value for name, value in setting.values.items()
                if name != STRATEGY and value is not None and one.values[name] is not None
            ):
                return one
        return None


def _known(option: str, name: str, rows: SweepResults, directions: Mapping[str, str]) -> str:
    """A metric that points can be ordered by."""
    there = rows.arrow("points").column_names
    legal = [one.name for one in metrics().values() if one.name in there and (one.better != "none" or one.name in directions)]
    if name not in legal:
        what = "no direction is better of" if name in metrics() and name in there else "unknown metric"
        raise HintingError(f"{option}: {what} {name!r}, expected one of {', '.join(legal)}")
    return name


def _settings(points: Sequence[dict[str, Any]], names: Sequence[str], axes: Sequence[Axis]) -> list[Setting]:
    found: dict[tuple[Any, ...], Setting] = {}
    for row in points:
        if row["state"] == DONE:
            place = tuple(row[name] for name in names)
            if place not in found:
                levels = tuple(axis.level(row[axis.name]) for axis in axes)
                found[place] = Setting({name: row[name] for name in names}, levels, [])
            found[place].runs.append(row)
    return list(found.values())


def _is_filled(results: SweepResults) -> bool:
    """Whether guests are launched until the host is full, and their number is no axis."""
    about = results.provenance
    scenario, changes = about["scenario"], about.get("sweep", {}).get("set", {})
    paths = [str(scenario.get("keys", {}).get(name, name)) for name in results.axes]
    launch = changes.get("schedule.launch", scenario.get("schedule", {}).get("launch"))
    return launch == "one-by-one" and not any(path.startswith("guests.") and path.endswith(".count") for path in paths)


def study_of(results: SweepResults, metric: str | None = None, cost: str | None = None) -> Study:
    """Read the folder of a sweep or a search.

    metric: what decides; by default the first objective of a search, else how many guests fit, if hosts are filled and
    settings differ in that, else memory over time (hinting.reports.best), which also decides between equal ones. cost: by
    default the second objective, else the guest's CPU time. Raises HintingError.
    """
    table = results.arrow("points")
    if not len(table):
        raise ResultsError(f"{results.path}: has no points yet")
    objectives = results.objectives
    points = table.to_pylist()
    units = results.units("points")
    every = {name: axis_of(name, units.get(name, ""), (row[name] for row in points)) for name in results.axes}
    axes = tuple(sorted((axis for axis in every.values() if len(axis.values) > 1), key=lambda axis: axis.name != STRATEGY))
    settings = _settings(points, list(every), axes)
    names = list(objectives)
    memory = memory_over_time([one.mean("guest_seconds") for one in settings])
    if metric is None:
        metric = names[0] if names else ROOM if _is_filled(results) and len({one.mean(ROOM) for one in settings}) > 1 else memory
    else:
        names = [_known("--metric", metric, results, objectives), *(name for name in names if name != metric)]
    if cost is not None:
        _known("--cost", cost, results, objectives)
    gain = names[0] if names else GAIN
    costs = [cost, *names[1:], COST, "host_cpu"] if cost is not None else [*names[1:], COST, "host_cpu"]
    cost = next(name for name in costs if name != gain)
    states = [row["state"] for row in points]
    order = (metric, *names[1:], memory, cost) if objectives else (metric, memory, cost)
    return Study(
        results, axes, settings, tuple(dict.fromkeys(order)), gain, cost, objectives,
        {state: states.count(state) for state in (DONE, FAILED, PENDING)}, every, points,
        results.arrow("trials").to_pylist() if objectives else None,
    )  # fmt: skip

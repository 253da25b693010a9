"""Searching instead of trying everything: Optuna proposes points, the workers of sweeps run them, the ledger keeps them.

Trials are asked for a generation at a time, and each generation follows from those before it and the seed alone: a
search gives the same trials on one core and on a cluster, undisturbed and after any kill.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from hinting.errors import SweepError
from hinting.metrics import metrics
from hinting.results.columns import Column, column_of
from hinting.results.ledger import DONE
from hinting.results.parts import points_schema
from hinting.results.reading import extra
from hinting.results.trials import MORE, objectives_of
from hinting.sweeps.axes import FLAT, Limits, Span, parse_axis
from hinting.sweeps.design import STRATEGY, Fields, Point, scenario_of
from hinting.sweeps.driver import Driver, Progress, Summary, seconds_of, workers_for
from hinting.sweeps.model import StudyTable, load_file
from hinting.sweeps.store import Store, about_point

if TYPE_CHECKING:
    import optuna

__all__ = ["Search", "tune"]


class Search(StudyTable):
    """A search file. objectives: metrics, each with "more" or "less"; the mean over the repeats counts.

    axes: lists, or limits { from, to, log } of numbers, by the names that axes of sweeps have. trials: how many points to
    try. generation: how many are asked for at once.
    """

    axes: Annotated[dict[str, Limits], FLAT, Field(min_length=1)]
    objectives: Annotated[dict[str, Literal["more", "less"]], Field(min_length=1)]
    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    generation: Annotated[int, Field(ge=1, le=10_000)] = 10
    sampler: Literal["tpe", "random"] = "tpe"

    @field_validator("objectives")
    @classmethod
    def _known(cls, objectives: dict[str, str]) -> dict[str, str]:
        legal = [name for name in metrics() if name in points_schema({}).names]
        for name in objectives:
            if name not in legal:
                raise SweepError(f"unknown metric {name!r}, expected one of {', '.join(legal)}")
        return objectives

    @classmethod
    def load(cls, source: str | Path) -> Search:
        """A search from a TOML file, or a built-in one by name. Raises SweepError naming file, key and what is legal."""
        return load_file(cls, source, "search", "hinting.sweeps.searches")


class _Space:
    """The axes of a search, and what a place in each of them is."""

    def __init__(self, search: Search, folder: Path | None) -> None:
        self.search = search
        self.axes: dict[str, Any] = {key: parse_axis(given) for key, given in search.axes.items()}
        strategies = self.axes.get(STRATEGY)
        if isinstance(strategies, Span):
            raise SweepError("axis strategy: expected a list of strategies")
        self.fields = Fields(search, search.base(folder), strategies)
        for key in self.axes:
            if key != STRATEGY:
                self.fields.check(key)
        self.axes[STRATEGY] = list(self.fields.choices)
        self.columns: dict[str, Column] = {key: self._column(key, axis) for key, axis in self.axes.items()}
        for strategy in range(len(self.axes[STRATEGY])):
            for low in (True, False):
                self._try_corner(strategy, low)

    def _column(self, key: str, axis: Span | list[Any]) -> Column:
        if isinstance(axis, Span):
            return "int64" if axis.whole else "double", axis.unit or ("" if key == STRATEGY else self.fields.unit(key))
        return column_of(axis, "" if key == STRATEGY else self.fields.unit(key))

    def _try_corner(self, strategy: int, low: bool) -> None:
        """See that a strategy is legal with the first or the last value of each axis."""
        places = {key: (0.0 if low else 1.0) if isinstance(axis, Span) else (0 if low else len(axis) - 1)
                  for key, axis in self.axes.items()} | {STRATEGY: strategy}  # fmt: skip
        for point in self.points(places, 0):
            try:
                scenario_of(self.fields.document, point)
            except ValueError as error:
                raise SweepError(f"{self.search.name}: axes at their {'low' if low else 'high'} ends: "
                                 f"{str(error).replace('--set ', '')}") from None

    def distributions(self) -> dict[str, optuna.distributions.BaseDistribution]:
        """Numbers are places from 0 to 1 between their limits, what is in a list goes by its place in it."""
        optuna = extra("optuna", "hinting tune")
        return {
            key: optuna.distributions.FloatDistribution(0.0, 1.0) if isinstance(axis, Span)
            else optuna.distributions.CategoricalDistribution(list(range(len(axis))))
            for key, axis in self.axes.items()
        }  # fmt: skip

    def points(self, places: Mapping[str, float], first: int) -> list[Point]:
        """The points of a trial, numbered from first."""
        values = {
            key: axis.at(np.array([places[key]]))[0] if isinstance(axis, Span) else axis[int(places[key])]
            for key, axis in self.axes.items()
        }
        return list(self.fields.runs(*self.fields.applied(values), first))


def tune(
    source: str | Path | Search,
    out: str | Path,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    repair: bool = False,
    retry_failed: bool = False,
    timeout: str | int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Run a search, or what is left of it, into a folder; its table `trials` has the front (column pareto).

    Arguments and errors are those of `sweep`. With more trials in the file a finished search goes on.
    """
    timeout_s = seconds_of(timeout)
    search = source if isinstance(source, Search) else Search.load(source)
    optuna = extra("optuna", "hinting tune")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = _Space(search, None if isinstance(source, Search) else Path(source).parent)
    state = {"objectives": search.objectives, "trials": []}
    store = Store.open(Path(out), space.fields.provenance(), space.columns, [], extra={"search": state}, repair=repair)
    try:
        if retry_failed:
            store.ledger.retry_failed()
        document = space.fields.document
        with Driver(store, document, search.series, lambda: workers_for(scheduler, jobs), progress, timeout_s) as driver:
            driver.summary.points = max(driver.summary.points, search.trials * len(space.fields.seeds))
            _search(space, store, driver)
            counts = store.ledger.counts()
            driver.summary.points = sum(counts.values())
            return driver.summary
    finally:
        store.close()


def _search(space: _Space, store: Store, driver: Driver) -> None:
    """Finish the generation that is there, ask for the next, until there are trials enough."""
    while True:
        driver.run(store.pending())
        state = store.ledger.meta()["search"]
        left = space.search.trials - len(state["trials"])
        if left <= 0:
            return
        known = store.ledger.keys()
        new: list[Point] = []
        for places in _asked(space, store, state, min(left, space.search.generation)):
            points = space.points(places, len(known))
            state["trials"].append({"places": places, "keys": [point.key for point in points]})
            fresh = [point for point in points if point.key not in known]
            new += [Point(**{**vars(point), "number": len(known) + i}) for i, point in enumerate(fresh)]
            known.update(point.key for point in fresh)
        store.ledger.add([(point.number, point.key, about_point(point)) for point in new], {"search": state})


def _asked(space: _Space, store: Store, state: Mapping[str, Any], number: int) -> list[dict[str, float]]:
    """The next trials, from those that have ended."""
    import optuna

    past: list[dict[str, Any]] = state["trials"]
    seed = int(np.random.SeedSequence(space.search.seed, spawn_key=(3, len(past))).generate_state(1)[0])
    sampler: optuna.samplers.BaseSampler = (
        optuna.samplers.RandomSampler(seed=seed) if space.search.sampler == "random" else optuna.samplers.TPESampler(seed=seed)
    )
    maximize, minimize = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
    directions = [maximize if direction == MORE else minimize for direction in space.search.objectives.values()]
    study = optuna.create_study(directions=directions, sampler=sampler)
    distributions = space.distributions()
    rows = store.results(list(space.search.objectives))
    for trial in past:
        ended, values = objectives_of([rows[key] for key in trial["keys"]], space.search.objectives)
        outcome = optuna.trial.TrialState.COMPLETE if ended == DONE else optuna.trial.TrialState.FAIL
        study.add_trial(
            optuna.trial.create_trial(params=trial["places"], distributions=distributions, values=values, state=outcome)
        )
    return [study.ask(distributions).params for _ in range(number)]

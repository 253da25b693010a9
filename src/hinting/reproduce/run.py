"""Running published experiments: every arm and seed is a task, tasks go to worker processes, rows do not depend on them."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from hinting.errors import ReproduceError
from hinting.experiments import run
from hinting.reproduce.measures import MEASURES
from hinting.reproduce.published import Experiment, Line, select
from hinting.reproduce.rows import Reproduction, Row
from hinting.scenarios import Scenario

__all__ = ["reproduce"]

#: Called with tasks done, tasks in all, and what was done last.
Progress = Callable[[int, int, str], None]
#: A measure as a key: its name and arguments.
_Key = tuple[str, tuple[tuple[str, object], ...]]


def _key(line: Line) -> _Key:
    if line.measure is None:
        return line.value, ()
    return line.measure.name, tuple(sorted(line.measure.arguments.items()))


@dataclass(frozen=True)
class _Task:
    """One arm of one run with one seed, or a module's run, and what is measured on it. document: the scenario, or arguments."""

    experiment: str
    run: str
    arm: str
    seed: int
    module: str | None
    document: dict
    measures: tuple[_Key, ...]

    @property
    def place(self) -> tuple[str, str, str, int]:
        return self.experiment, self.run, self.arm, self.seed

    def __call__(self) -> list[float]:
        if self.module is not None:
            values = importlib.import_module(f"hinting.reproduce.modules.{self.module}").run(**self.document)
            return [float(values[name]) for name, _ in self.measures]
        (arm,) = run(Scenario.from_document(self.document)).arms
        return [float(MEASURES[name](arm, **dict(arguments))) for name, arguments in self.measures]


def _do(task: _Task) -> list[float]:
    return task()


def _tasks(experiment: Experiment) -> Iterator[_Task]:
    """The arms that rows ask for, each with all its measures."""
    for name, entry in experiment.runs.items():
        wanted: dict[str, dict[_Key, None]] = {}
        for line in experiment.rows:
            if line.run == name:
                arms = [line.arm] if line.relative is None else [line.arm, line.relative[1]]
                for label in arms:
                    wanted.setdefault(label, {})[_key(line)] = None
        if entry.scenario is None:
            for seed in entry.seeds:
                yield _Task(experiment.name, name, "", seed, entry.module, entry.arguments | {"seed": seed}, tuple(wanted[""]))
            continue
        scenario = Scenario.load(entry.scenario, entry.changes)
        there = scenario.arms()
        for label, measures in wanted.items():
            if label not in there:
                raise ReproduceError(f"{experiment.name}: scenario {entry.scenario} has no arm {label!r}, but {', '.join(there)}")
            document = scenario.document() | {"strategy": there[label].model_dump(mode="json")}
            for seed in entry.seeds:
                yield _Task(experiment.name, name, label, seed, None, document | {"seed": seed}, tuple(measures))


def _run_all(tasks: Sequence[_Task], workers: int, progress: Progress | None) -> dict[tuple, dict[_Key, float]]:
    """Values of each task by its place and measure."""
    done: dict[tuple, dict[_Key, float]] = {}

    def note(task: _Task, values: list[float]) -> None:
        done[task.place] = dict(zip(task.measures, values, strict=True))
        if progress is not None:
            progress(len(done), len(tasks), f"{task.experiment} {task.run} {task.arm}")

    if workers == 1 or len(tasks) == 1:
        for task in tasks:
            note(task, task())
        return done
    with ProcessPoolExecutor(min(workers, len(tasks)), multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(_do, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                note(futures[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done


def _values(experiment: Experiment, line: Line, done: dict[tuple, dict[_Key, float]]) -> list[float]:
    """The emulated value of a row with each seed."""
    def of(arm: str, seed: int) -> float:
        return done[experiment.name, line.run, arm, seed][_key(line)]

    seeds = experiment.runs[line.run].seeds
    if line.relative is None:
        return [of(line.arm, seed) for seed in seeds]
    how, other = line.relative
    if how == "difference":
        return [of(line.arm, seed) - of(other, seed) for seed in seeds]
    return [of(line.arm, seed) / of(other, seed) for seed in seeds]


def _side(value: float, reference: float, same: float) -> int:
    """1 above the reference, -1 below, 0 about the same."""
    if abs(value - reference) <= same * abs(reference):
        return 0
    return 1 if value > reference else -1


def _rows(experiment: Experiment, done: dict[tuple, dict[_Key, float]]) -> Iterator[Row]:
    lines = {line.id: line for line in experiment.rows}
    values = {name: _values(experiment, line, done) for name, line in lines.items()}
    middle = {name: statistics.median(found) for name, found in values.items()}
    for name, line in lines.items():
        emulated, published = middle[name], line.published
        sign = None
        if line.against is not None:
            at = line.against
            reference = (lines[at].published, middle[at]) if isinstance(at, str) else (at, at)
            sign = _side(published, reference[0], experiment.same) == _side(emulated, reference[1], experiment.same)
        error = emulated / published - 1
        tolerance = line.tolerance or experiment.tolerance
        yield Row(
            id=f"{experiment.name}/{name}",
            experiment=experiment.name,
            number=experiment.number,
            title=experiment.title,
            source=experiment.source,
            setting=line.setting,
            published=published,
            emulated=emulated,
            low=min(values[name]),
            high=max(values[name]),
            seeds=len(values[name]),
            unit=line.unit,
            bound=line.bound or "",
            error=error,
            sign=sign,
            tolerance=tolerance,
            within=emulated >= published if line.bound else abs(error) <= tolerance,
            chosen=line.chosen,
        )


def reproduce(names: Sequence[str] = (), *, workers: int | None = None, progress: Progress | None = None) -> Reproduction:
    """Run published experiments, by name or number, all if none is given, and hold what comes out against the publications.

    workers: processes, by default one a CPU; the rows are the same whatever the number. Raises ReproduceError for an
    unknown experiment.

    >>> from hinting.reproduce import reproduce
    >>> [row.within for row in reproduce(["reporting-speed"], workers=1).rows if row.id.endswith("/duration")]
    [True]
    """
    started = time.perf_counter()
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise ReproduceError(f"workers must be a whole number, 1 or more, got {workers!r}")
    chosen = select(names)
    tasks = [task for experiment in chosen for task in _tasks(experiment)]
    done = _run_all(tasks, workers or os.cpu_count() or 1, progress)
    return Reproduction([row for experiment in chosen for row in _rows(experiment, done)], time.perf_counter() - started)

"""Running a sweep: points are packed into tasks, tasks go to workers, what comes back goes to the folder at once."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hinting.errors import SweepError
from hinting.results.ledger import DONE, FAILED, PENDING
from hinting.sweeps.design import Design, Point
from hinting.sweeps.model import Sweep
from hinting.sweeps.solve import Outcome, Task
from hinting.sweeps.store import Store
from hinting.sweeps.workers import LocalWorkers, Lost, Workers, cores

__all__ = ["Driver", "Progress", "Summary", "sweep", "workers_for"]

#: A task is to take so long (s).
TASK_S = 3.0
#: What has ended is written at least so often (s), and not more often.
SAVE_S = 1.0
#: A point whose worker died so often, with nothing else in its task, has failed.
MOST_DEATHS = 5

#: Called with a Summary so far.
Progress = Callable[["Summary"], None]


@dataclass
class Summary:
    """How far a sweep is. points: all of it. new: ended in this call, failed ones included. seconds: since its start.

    busy_s: time that workers spent on the new points. deaths: workers that died.
    """

    points: int
    done: int
    failed: int
    new: int = 0
    seconds: float = 0.0
    busy_s: float = 0.0
    deaths: int = 0


def workers_for(scheduler: str | None, jobs: int | None) -> Workers:
    """Processes of this machine, or the workers of a Dask cluster. Raises SweepError."""
    if scheduler is not None:
        from hinting.sweeps.cluster import ClusterWorkers

        return ClusterWorkers(scheduler)
    if jobs is not None and jobs < 1:
        raise SweepError(f"--jobs: expected at least 1, got {jobs}")
    return LocalWorkers(jobs or cores())


def sweep(
    source: str | Path | Sweep,
    out: str | Path,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    update: bool = False,
    repair: bool = False,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Run a sweep, or what is left of it, into a folder; `hinting.open` reads it, also while it runs.

    source: a TOML file, a built-in sweep by name, or a Sweep. jobs: worker processes, by default one a core.
    scheduler: address of a Dask cluster to use instead. update: go on although the file has changed. repair: set
    damaged files aside. retry_failed: run failed points again. Raises SweepError or ResultsError before anything is
    changed; whenever it ends, by whatever, the same call goes on from there.
    """
    plan = source if isinstance(source, Sweep) else Sweep.load(source)
    design = Design(plan, None if isinstance(source, Sweep) else Path(source).parent)
    store = Store.open(Path(out), design.provenance(), design.columns, design.points, update=update, repair=repair)
    try:
        if retry_failed:
            store.ledger.retry_failed()
        with Driver(store, design.document, plan.series, lambda: workers_for(scheduler, jobs), progress) as driver:
            driver.run(store.pending())
            return driver.summary
    finally:
        store.close()


class Driver:
    """Feeds workers and saves what they send. workers: makes them, when there is something to do."""

    def __init__(self, store: Store, document: Mapping[str, Any], series: str, workers: Callable[[], Workers],
                 progress: Progress | None) -> None:
        self.store, self.document, self.series, self.progress = store, document, series, progress
        self._make = workers
        self._workers: Workers | None = None
        self._started = time.monotonic()
        self._mean_s = 0.0
        self._deaths: Counter[str] = Counter()
        self._unsaved: list[Outcome] = []
        self._saved_at = self._started
        counts = store.ledger.counts()
        self.summary = Summary(counts[DONE] + counts[FAILED] + counts[PENDING], counts[DONE], counts[FAILED])

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *error: object) -> None:
        if self._workers is not None:
            self._workers.close()

    def run(self, points: Iterable[Point]) -> None:
        """Run points until all have ended. What has ended is saved whatever happens."""
        waiting = deque(points)
        self.summary.points = self.summary.done + self.summary.failed + len(waiting)
        alone: deque[Point] = deque()
        running = 0
        if waiting and self._workers is None:
            self._workers = self._make()
        try:
            while waiting or alone or running:
                assert self._workers is not None
                while (waiting or alone) and running < self._workers.slots:
                    size = 1 if alone else self._task_size(len(waiting))
                    source = alone or waiting
                    self._workers.submit(Task(self.document, self.series, tuple(source.popleft() for _ in range(size))))
                    running += 1
                for task, answer in self._workers.wait(SAVE_S):
                    running -= 1
                    if isinstance(answer, Lost):
                        alone.extend(self._lost(task, answer))
                    else:
                        self._ended(answer)
                if time.monotonic() - self._saved_at >= SAVE_S:
                    self._save()
        finally:
            self._save()

    def _task_size(self, left: int) -> int:
        """So many points that they take TASK_S, fewer near the end, so that no worker is idle then."""
        assert self._workers is not None
        wanted = TASK_S / self._mean_s if self._mean_s else 1
        return max(1, min(int(wanted), math.ceil(left / (2 * self._workers.slots))))

    def _ended(self, outcomes: list[Outcome]) -> None:
        took = sum(outcome.run["duration_s"] for outcome in outcomes)
        mean = max(took / len(outcomes), 1e-4)
        self._mean_s = mean if not self._mean_s else 0.7 * self._mean_s + 0.3 * mean
        self._unsaved += outcomes
        self.summary.busy_s += took
        self.summary.new += len(outcomes)

    def _lost(self, task: Task, lost: Lost) -> list[Point]:
        """Points of a task to run again, each by itself; one that has killed its workers often enough has failed."""
        self.summary.deaths += 1
        again = []
        for point in task.points:
            if lost.blamed and len(task.points) == 1:
                self._deaths[point.key] += 1
            if self._deaths[point.key] >= MOST_DEATHS:
                self._ended([Outcome(point, {"duration_s": 0.0}, error=f"given up after {MOST_DEATHS} tries: {lost.reason}")])
            else:
                again.append(point)
        return again

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        if self._unsaved:
            with _uninterrupted():
                outcomes, self._unsaved = self._unsaved, []
                self.store.save(outcomes)
                failed = sum(outcome.values is None for outcome in outcomes)
                self.summary.failed += failed
                self.summary.done += len(outcomes) - failed
        self.summary.seconds = time.monotonic() - self._started
        if self.progress is not None:
            self.progress(self.summary)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C and termination back for a moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    hold = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(each, lambda number, _: came.append(number)) for each in hold]
    try:
        yield
    finally:
        for each, handler in zip(hold, handlers, strict=True):
            signal.signal(each, handler)
        for number in came:
            signal.raise_signal(number)

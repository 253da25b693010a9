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
from hinting.sweeps.child import Lost
from hinting.sweeps.design import Design, Point
from hinting.sweeps.model import Sweep
from hinting.sweeps.solve import Outcome, Task, given_up
from hinting.sweeps.store import Store
from hinting.sweeps.workers import LocalWorkers, Workers, cores
from hinting.units import parse_duration

__all__ = ["Driver", "Progress", "Summary", "seconds_of", "sweep", "workers_for"]

#: A task is to take so long (s).
TASK_S = 3.0
#: What has ended is written at least so often (s), and not more often.
SAVE_S = 1.0
#: A point whose worker died so often while it ran has failed.
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


def seconds_of(timeout: str | int | None) -> float | None:
    """A time-out in seconds. Raises UnitError or SweepError."""
    if timeout is None:
        return None
    found = parse_duration(timeout, "--timeout")
    if not found:
        raise SweepError(f"--timeout: expected a duration above 0 such as '10min', got {timeout!r}")
    return found / 1e9


def sweep(
    source: str | Path | Sweep,
    out: str | Path,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    update: bool = False,
    repair: bool = False,
    retry_failed: bool = False,
    timeout: str | int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Run a sweep, or what is left of it, into a folder; `hinting.open` reads it, also while it runs.

    source: a TOML file, a built-in sweep by name, or a Sweep. jobs: worker processes, by default one a core.
    scheduler: address of a Dask cluster to use instead. update: go on although the file has changed. repair: set
    damaged files aside. retry_failed: run failed points again. timeout: a point that takes longer ("10min") has failed.
    Raises SweepError or ResultsError before anything is changed; whenever it ends, by whatever, the same call goes on from
    there.
    """
    timeout_s = seconds_of(timeout)
    plan = source if isinstance(source, Sweep) else Sweep.load(source)
    design = Design(plan, None if isinstance(source, Sweep) else Path(source).parent)
    store = Store.open(Path(out), design.provenance(), design.columns, design.points, update=update, repair=repair)
    try:
        if retry_failed:
            store.ledger.retry_failed()
        with Driver(store, design.document, plan.series, lambda: workers_for(scheduler, jobs), progress, timeout_s) as driver:
            driver.run(store.pending())
            return driver.summary
    finally:
        store.close()


class Driver:
    """Feeds workers and saves what they send. workers: makes them, when there is something to do."""

    def __init__(self, store: Store, document: Mapping[str, Any], series: str, workers: Callable[[], Workers],
                 progress: Progress | None, timeout_s: float | None = None) -> None:
        self.store, self.document, self.series, self.progress, self.timeout_s = store, document, series, progress, timeout_s
        self._make = workers
        self._workers: Workers | None = None
        self._started = time.monotonic()
        self._mean_s = 0.0
        self._waiting: deque[Point] = deque()
        self._alone: deque[Point] = deque()
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
        self._waiting.extend(points)
        running = 0
        if self._waiting and self._workers is None:
            self._workers = self._make()
        try:
            while self._waiting or self._alone or running:
                assert self._workers is not None
                while (self._waiting or self._alone) and running < self._workers.slots:
                    self._workers.submit(self._task())
                    running += 1
                for task, (outcomes, lost) in self._workers.wait(SAVE_S):
                    running -= 1
                    self._ended(outcomes)
                    self._go_on(task.points[len(outcomes) :], lost)
                if time.monotonic() - self._saved_at >= SAVE_S:
                    self._save()
        finally:
            self._save()

    def _task(self) -> Task:
        """So many points that they take TASK_S, fewer near the end, so that no worker is idle then; or one alone."""
        assert self._workers is not None
        size, source = 1, self._alone
        if not source:
            wanted = TASK_S / self._mean_s if self._mean_s else 1
            size, source = max(1, min(int(wanted), math.ceil(len(self._waiting) / (2 * self._workers.slots)))), self._waiting
        return Task(self.document, self.series, tuple(source.popleft() for _ in range(size)), self.timeout_s)

    def _ended(self, outcomes: list[Outcome]) -> None:
        took = [outcome.run["duration_s"] for outcome in outcomes]
        whole = [outcome.run["duration_s"] for outcome in outcomes if outcome.values is not None]
        if whole:
            mean = max(sum(whole) / len(whole), 1e-4)
            self._mean_s = mean if not self._mean_s else 0.7 * self._mean_s + 0.3 * mean
        self._unsaved += outcomes
        self.summary.busy_s += sum(took)
        self.summary.new += len(outcomes)

    def _go_on(self, left: tuple[Point, ...], lost: Lost | None) -> None:
        """Points of a task that have no outcome run again, each alone if it may have killed its worker, but not for ever."""
        if lost is not None:
            self.summary.deaths += 1
            suspects = left[:1] if lost.blamed else left
            left = left[len(suspects) :]
            for point in suspects:
                self._deaths[point.key] += lost.blamed
                if self._deaths[point.key] < MOST_DEATHS:
                    self._alone.append(point)
                else:
                    self._ended([given_up(point, f"given up after {MOST_DEATHS} tries: {lost.reason}")])
        self._waiting.extendleft(reversed(left))

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

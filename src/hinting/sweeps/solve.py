"""What a worker does: points of a task become metrics and series, or an error with its traceback."""

from __future__ import annotations

import datetime
import json
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import hinting
from hinting import experiments
from hinting.errors import SweepError
from hinting.experiments import ArmResult
from hinting.metrics.timeline import HOST
from hinting.results.provenance import machine
from hinting.sweeps.design import Point, scenario_of

__all__ = ["Outcome", "Task", "given_up", "solve", "solve_point"]


@dataclass(frozen=True)
class Task:
    """Points for one worker. document: the scenario that they change. series: which are kept. version: of the driver.

    timeout_s: a point that takes longer is stopped.
    """

    document: Mapping[str, Any]
    series: str
    points: tuple[Point, ...]
    timeout_s: float | None = None
    version: str = hinting.__version__


@dataclass(frozen=True)
class Outcome:
    """What came of a point. values: its metrics and how it ended; run: when, where and how long; series: as Simulation.series.

    error, traceback: of a point that failed, which has no values.
    """

    point: Point
    run: dict[str, Any]
    values: dict[str, Any] | None = None
    series: pa.Table | None = None
    error: str = ""
    traceback: str = ""


def solve(task: Task) -> Iterator[Outcome]:
    """Run the points of a task, one after the other. Raises SweepError if this is another version than the driver's."""
    if task.version != hinting.__version__:
        raise SweepError(f"worker on {machine()['node']}: has hinting {hinting.__version__}, the sweep {task.version}")
    for point in task.points:
        yield solve_point(task.document, task.series, point)


def given_up(point: Point, error: str, duration_s: float = 0.0) -> Outcome:
    """What came of a point that nobody could run to its end."""
    return Outcome(point, {"hinting": hinting.__version__, "duration_s": duration_s}, error=error)


def solve_point(document: Mapping[str, Any], series: str, point: Point) -> Outcome:
    """Run one point; whatever it raises becomes its error."""
    started, clock = datetime.datetime.now(datetime.UTC), time.perf_counter()
    run = {"started": started, "machine": json.dumps(machine(), sort_keys=True), "hinting": hinting.__version__}
    try:
        scenario = scenario_of(document, point)
        run["costs_sha256"] = scenario.costs.load().hash
        arm = experiments.run(scenario).arms[0]
        values, kept = _values(arm), _kept(arm.series, series)
    except Exception as error:
        run["duration_s"] = time.perf_counter() - clock
        return Outcome(point, run, error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
    run["duration_s"] = time.perf_counter() - clock
    return Outcome(point, run, values, kept)


def _values(arm: ArmResult) -> dict[str, Any]:
    host = arm.metrics.slice(0, 1).to_pylist()[0]
    del host["guest"]
    return host | {"guests_fit": float(arm.guests_launched), "emulated_s": arm.emulated_s, "stopped_by": arm.stopped_by}


def _kept(series: pa.Table, which: str) -> pa.Table | None:
    if which == "none":
        return None
    return series if which == "all" else series.filter(pc.equal(series["guest"], HOST))

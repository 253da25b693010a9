"""Who solves tasks: processes on this machine. A worker that dies loses its task and nothing else."""

from __future__ import annotations

import os
from multiprocessing import connection
from typing import Protocol

from hinting.sweeps.child import Child, Solved
from hinting.sweeps.solve import Task

__all__ = ["Answer", "LocalWorkers", "Workers", "cores"]


#: A task and what came of it.
Answer = tuple[Task, Solved]


class Workers(Protocol):
    """Where tasks go. At most `slots` of them may be there at once."""

    @property
    def slots(self) -> int:
        """Tasks that may be there at once."""

    def submit(self, task: Task) -> None:
        """Hand a task over."""

    def wait(self, timeout_s: float) -> list[Answer]:
        """Tasks that have ended, waiting for one if need be."""

    def close(self) -> None:
        """End all workers; tasks that are not done are dropped."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


class LocalWorkers:
    """One process a core, each with one task at a time; a process that dies is replaced."""

    def __init__(self, jobs: int) -> None:
        self._workers = [Child() for _ in range(jobs)]

    @property
    def slots(self) -> int:
        """One task a worker."""
        return len(self._workers)

    def submit(self, task: Task) -> None:
        """Hand a task to an idle worker."""
        next(worker for worker in self._workers if worker.task is None).submit(task)

    def wait(self, timeout_s: float) -> list[Answer]:
        """Tasks that have ended: solved, or lost with their worker. Raises what a worker raised."""
        busy = [(worker, worker.task) for worker in self._workers if worker.task is not None]
        connection.wait([worker.connection for worker, _ in busy], min([timeout_s, *(worker.left_s() for worker, _ in busy)]))
        return [(task, solved) for worker, task in busy if (solved := worker.step()) is not None]

    def close(self) -> None:
        """Kill all workers."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()

"""Who solves tasks: processes on this machine. A worker that dies loses its task and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from typing import Protocol

from hinting.sweeps.solve import Outcome, Task

__all__ = ["LocalWorkers", "Lost", "Workers", "cores"]


@dataclass(frozen=True)
class Lost:
    """A task whose worker died. blamed: the task may have been the reason."""

    reason: str
    blamed: bool = True


#: What comes back for a task.
Answer = tuple[Task, "list[Outcome] | Lost"]


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


class _Worker:
    def __init__(self) -> None:
        own, others = socket.socketpair()
        with others:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hinting.sweeps.worker", str(others.fileno()), str(os.getpid())],
                pass_fds=[others.fileno()], stdin=subprocess.DEVNULL, stdout=2, start_new_session=True,
            )  # fmt: skip
        self.connection = connection.Connection(own.detach())
        self.task: Task | None = None

    def end(self) -> int:
        """Kill it and return the exit status that it had."""
        self.connection.close()
        self.process.kill()
        return self.process.wait()


class LocalWorkers:
    """One process a core, each with one task at a time; a process that dies is replaced."""

    def __init__(self, jobs: int) -> None:
        self._workers = [_Worker() for _ in range(jobs)]

    @property
    def slots(self) -> int:
        """One task a worker."""
        return len(self._workers)

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers."""
        return [worker.process.pid for worker in self._workers]

    def submit(self, task: Task) -> None:
        """Hand a task to an idle worker."""
        worker = next(worker for worker in self._workers if worker.task is None)
        worker.task = task
        with suppress(OSError):  # it died idle: `wait` sees that
            worker.connection.send(task)

    def wait(self, timeout_s: float) -> list[Answer]:
        """Tasks that have ended: solved, or lost with their worker. Raises what a worker raised."""
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        answers: list[Answer] = []
        for ready in connection.wait(list(busy), timeout_s):
            worker = busy[ready]  # type: ignore[index]
            assert worker.task is not None
            try:
                answer = worker.connection.recv()
            except (EOFError, OSError):
                answers.append((worker.task, Lost(self._replace(worker))))
                continue
            if isinstance(answer, Exception):
                raise answer
            answers.append((worker.task, answer))
            worker.task = None
        return answers

    def _replace(self, worker: _Worker) -> str:
        try:
            status = worker.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            status = worker.end()
        worker.connection.close()
        self._workers[self._workers.index(worker)] = _Worker()
        return f"its worker {f'was killed by {signal.Signals(-status).name}' if status < 0 else f'ended with status {status}'}"

    def close(self) -> None:
        """Kill all workers."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()

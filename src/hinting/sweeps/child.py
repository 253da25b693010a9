"""A process that solves the points of a task one by one and sends each as it ends: what has ended is kept whatever
happens to the next one, which is known, and stopped when it takes too long."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection

from hinting.sweeps.solve import Outcome, Task, given_up

__all__ = ["Child", "Lost", "Solved", "solve_in_child"]


@dataclass(frozen=True)
class Lost:
    """The points that are left of a task have lost their worker. blamed: the first of them may have been the reason."""

    reason: str
    blamed: bool = True


#: What came of a task: outcomes of its first points, and what befell the next one, None if nothing did.
Solved = tuple[list[Outcome], Lost | None]


class Child:
    """One process, started when it is needed."""

    def __init__(self) -> None:
        self.task: Task | None = None
        self._outcomes: list[Outcome] = []
        self._deadline = float("inf")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the process if there is none."""
        if self._process is not None:
            return
        own, others = socket.socketpair()
        with others:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hinting.sweeps.worker", str(others.fileno()), str(os.getpid())],
                pass_fds=[others.fileno()], stdin=subprocess.DEVNULL, stdout=2, start_new_session=True,
            )  # fmt: skip
        self.connection = connection.Connection(own.detach())

    def submit(self, task: Task) -> None:
        """Hand a task over; one at a time."""
        self.start()
        self.task, self._outcomes, self._deadline = task, [], float("inf")
        with suppress(OSError):  # it died idle: `step` sees that
            self.connection.send(task)

    def left_s(self) -> float:
        """Time until the point under way takes too long."""
        return max(0.0, self._deadline - time.monotonic())

    def step(self) -> Solved | None:
        """Take what has come; what came of the task when that is known. Raises what stops the whole sweep."""
        assert self.task is not None
        while True:
            try:
                if not self.connection.poll():
                    break
                came = self.connection.recv()
            except (EOFError, OSError):
                return self._ended(Lost(f"its worker {self.end(grace_s=1.0)}"))
            if isinstance(came, Exception):
                self.task = None
                raise came
            if came is not None:
                self._outcomes.append(came)
            if len(self._outcomes) == len(self.task.points):
                return self._ended(None)
            if self.task.timeout_s is not None:
                self._deadline = time.monotonic() + self.task.timeout_s
        if time.monotonic() < self._deadline:
            return None
        self.end()
        slow, timeout_s = self.task.points[len(self._outcomes)], self.task.timeout_s or 0.0
        self._outcomes.append(given_up(slow, f"TimeoutError: has not ended after {timeout_s:g} s (--timeout)", timeout_s))
        return self._ended(None)

    def _ended(self, lost: Lost | None) -> Solved:
        self.task = None
        return self._outcomes, lost

    def end(self, grace_s: float = 0.0) -> str:
        """End the process, which has grace_s to do so itself; says how it ended."""
        if self._process is None:
            return "was not there"
        self.connection.close()
        try:
            status = self._process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process = None
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


_HERE = threading.local()


def solve_in_child(task: Task) -> Solved:
    """Solve a task in a process that belongs to this thread."""
    child = _HERE.child = getattr(_HERE, "child", None) or Child()
    child.submit(task)
    try:
        while (solved := child.step()) is None:
            connection.wait([child.connection], None if child.left_s() == float("inf") else child.left_s())
        return solved
    except BaseException:
        child.end()
        raise

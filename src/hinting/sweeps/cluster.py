"""Workers of a Dask cluster that is there already."""

from __future__ import annotations

import queue
import time
import uuid
from concurrent.futures import CancelledError
from typing import Any

import hinting
from hinting.errors import SweepError
from hinting.results.reading import extra
from hinting.sweeps.child import Lost, Solved, solve_in_child
from hinting.sweeps.solve import Task
from hinting.sweeps.workers import Answer

__all__ = ["ClusterWorkers"]

#: How long (s) to wait for the scheduler and a first worker, and for a scheduler that is gone.
PATIENCE_S = 30.0
#: The number of threads is asked for again after so long (s).
RECOUNT_S = 5.0


def _version() -> str:
    return hinting.__version__


class ClusterWorkers:
    """Tasks on the threads of a Dask cluster, two a thread, so that none waits for the driver; each has a process of its own.

    Raises SweepError if the scheduler cannot be reached, has no workers, or the workers have another version.
    """

    def __init__(self, address: str, patience_s: float = PATIENCE_S) -> None:
        distributed = extra("distributed", "--scheduler")
        self._lost = (distributed.scheduler.KilledWorker,)
        self.address, self._patience_s = address, patience_s
        try:
            self._client: Any = distributed.Client(address, timeout=patience_s, set_as_default=False)
        except (OSError, ValueError, TypeError, ImportError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise SweepError(f"--scheduler {address}: cannot be reached (waited {patience_s:g} s at most): {reason}") from None
        self._check()
        self._running: dict[str, tuple[Task, Any]] = {}
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._counted, self._slots = 0.0, 1
        self._seen = time.monotonic()

    def _check(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=self._patience_s)
            found = self._client.run(_version)
        except TimeoutError:
            self._client.close()
            raise SweepError(f"--scheduler {self.address}: has no workers (waited {self._patience_s:g} s)") from None
        except Exception as error:
            self._client.close()
            reason = f"{type(error).__name__}: {error}"
            raise SweepError(f"--scheduler {self.address}: hinting cannot be used there: {reason}") from None
        others = {address: version for address, version in found.items() if version != hinting.__version__}
        if others:
            self._client.close()
            address, version = next(iter(others.items()))
            raise SweepError(f"--scheduler {self.address}: worker {address} has hinting {version}, here is {hinting.__version__}")

    @property
    def slots(self) -> int:
        """Two tasks a thread of the cluster as it is now."""
        if time.monotonic() - self._counted > RECOUNT_S and self._client.status == "running":
            self._counted = time.monotonic()
            self._slots = 2 * max(1, sum(self._client.nthreads().values()))
        return self._slots

    def submit(self, task: Task) -> None:
        """Hand a task to the scheduler."""
        self._check_alive()
        key = f"hinting-{uuid.uuid4().hex}"
        future = self._client.submit(solve_in_child, task, key=key, pure=False)
        self._running[key] = (task, future)
        future.add_done_callback(lambda done: self._ended.put(done.key))

    def wait(self, timeout_s: float) -> list[Answer]:
        """Tasks that have ended. Raises SweepError if the scheduler is gone, or what a task raised."""
        keys = []
        try:
            keys.append(self._ended.get(timeout=timeout_s))
            while True:
                keys.append(self._ended.get_nowait())
        except queue.Empty:
            pass
        self._check_alive()
        ended = [self._running.pop(key) for key in keys if key in self._running]
        return [(task, self._solved(task, future)) for task, future in ended]

    def _solved(self, task: Task, future: Any) -> Solved:
        if future.status == "finished":
            try:
                return future.result(timeout=self._patience_s)
            except (OSError, TimeoutError, CancelledError):
                return [], Lost("its result went with a worker or the scheduler", blamed=False)
        if future.status != "error":
            return [], Lost("the scheduler dropped it", blamed=False)
        error = future.exception()
        if isinstance(error, self._lost):
            return [], Lost(f"its workers died: {error}", blamed=len(task.points) == 1)
        raise error if isinstance(error, Exception) else SweepError(f"--scheduler {self.address}: {error}")

    def _check_alive(self) -> None:
        if self._client.status == "running":
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > self._patience_s or self._client.status == "closed":
            raise SweepError(f"--scheduler {self.address}: is gone; what is finished is safe, run the command again to go on")

    def close(self) -> None:
        """Drop what is not done and leave the cluster."""
        for _, future in self._running.values():
            if self._client.status == "running":
                future.cancel()
        self._client.close(timeout=2)

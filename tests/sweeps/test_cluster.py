"""The same sweep on a Dask cluster gives the same table, whatever of the cluster is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from hinting.errors import SweepError
from hinting.sweeps import driver
from tests.sweeps import harness

distributed = pytest.importorskip("distributed")


class Cluster:
    """A scheduler and two workers, started as docs/sweeps.md says."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes = []

    def start(self, workers=True):
        self.scheduler = self._dask("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        if workers:
            self.nanny = self._dask("worker", self.address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard")
        return self

    def _dask(self, *arguments):
        environment = os.environ | {"DASK_DISTRIBUTED__COMM__RETRY__COUNT": "0"}
        process = subprocess.Popen([sys.executable, "-m", "dask", *arguments], stderr=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, env=environment, start_new_session=True)  # fmt: skip
        self.processes.append(process)
        return process

    def stop(self):
        for process in self.processes:
            for pid in [*harness.children(process.pid), process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture
def cluster():
    started = Cluster()
    yield started
    started.stop()


@pytest.fixture
def patient(monkeypatch):
    """A short wait for what is not there."""
    from hinting.sweeps import cluster as module

    monkeypatch.setattr(module.ClusterWorkers.__init__, "__defaults__", (2.0,))


def test_same_table_with_a_worker_killed_and_a_scheduler_killed(tmp_path, finished, cluster, monkeypatch):
    cluster.start()
    file, out = harness.write(tmp_path), tmp_path / "out"
    for name, value in (("TASK_S", 0.02), ("SAVE_S", 0.01)):
        monkeypatch.setattr(driver, name, value)
    events = []

    def disturb(summary):
        """Kill a worker after some points, the scheduler after some more."""
        if summary.done >= 10 and not events:
            workers = [pid for pid in harness.children(cluster.nanny.pid) if "spawn_main" in command_of(pid)]
            os.kill(workers[0], signal.SIGKILL)
            events.append("worker")
        elif summary.done >= 30 and events == ["worker"]:
            cluster.scheduler.kill()
            events.append("scheduler")

    from hinting.sweeps import cluster as module

    monkeypatch.setattr(module.ClusterWorkers.__init__, "__defaults__", (20.0,))
    with pytest.raises(SweepError, match="is gone; what is finished is safe"):
        harness.run(file, out, scheduler=cluster.address, progress=disturb)
    assert events == ["worker", "scheduler"]
    cluster.stop()
    again = Cluster(cluster.port).start()
    cluster.processes = again.processes
    summary = harness.run(file, out, scheduler=cluster.address)
    assert summary.done == 75
    assert 0 < summary.new <= 45
    assert harness.tables(out) == harness.tables(finished[1])


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read()
    except OSError:
        return ""


def test_a_scheduler_that_is_not_there(tmp_path, patient):
    file = harness.write(tmp_path)
    started = time.monotonic()
    with pytest.raises(SweepError, match=r"--scheduler tcp://127.0.0.1:\d+: cannot be reached"):
        harness.run(file, tmp_path / "out", scheduler=f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(SweepError, match="cannot be reached"):
        harness.run(file, tmp_path / "out", scheduler="no address")
    assert time.monotonic() - started < 30


def test_a_cluster_without_workers(tmp_path, cluster, monkeypatch):
    from hinting.sweeps import cluster as module

    monkeypatch.setattr(module.ClusterWorkers.__init__, "__defaults__", (4.0,))
    cluster.start(workers=False)
    time.sleep(2)
    with pytest.raises(SweepError, match=r"has no workers|cannot be reached"):
        harness.run(harness.write(tmp_path), tmp_path / "out", scheduler=cluster.address)

"""Points that hang and points that kill their worker fail, and the sweep goes on."""

import pytest

import hinting as h
from hinting.errors import HintingError
from tests.sweeps import harness
from tests.sweeps.harness import hinting
from tests.sweeps.test_cluster import Cluster

HARM = """\
import os
import signal
import time
from pathlib import Path
from hinting.strategies import V8

HERE = Path(__file__).parent


class Hang(V8):
    '''Hangs until there is a file.'''

    def core(self):
        while not (HERE / "fixed").exists():
            time.sleep(1)
        return super().core()


class Kill(V8):
    '''Its process is killed as by the kernel when memory runs out.'''

    def core(self):
        with (HERE / "tries").open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
"""


def harmful(folder, names):
    """A sweep of v8 and harmful strategies: a point each."""
    (folder / "harm.py").write_text(HARM)
    strategies = ", ".join(f'"{folder}/harm.py:{name}"' for name in names)
    head = harness.MICRO.replace("repeats = 3", "repeats = 1").partition("[axes]")[0]
    return harness.write(folder, f'{head}[axes]\nstrategy = [{strategies}, "v8"]\n')


def states(out):
    points = h.open(out).arrow("points").to_pylist()
    return [point["state"] for point in points]


@pytest.fixture(params=["local", "dask"])
def where(request):
    """Options of a sweep on this machine's processes, and on a cluster."""
    if request.param == "local":
        yield {"jobs": 2}
        return
    pytest.importorskip("distributed")
    cluster = Cluster().start()
    yield {"scheduler": cluster.address}
    cluster.stop()


def test_a_point_that_hangs_and_one_that_kills_its_worker(tmp_path, where):
    file, out = harmful(tmp_path, ["Hang", "Kill"]), tmp_path / "out"
    summary = harness.run(file, out, timeout="5s", **where)
    assert (summary.done, summary.failed, summary.deaths) == (1, 2, 5)
    assert states(out) == ["failed", "failed", "done"]
    assert [one["error"] for one in h.open(out).arrow("errors").to_pylist()] == [
        "TimeoutError: has not ended after 5 s (--timeout)",
        "given up after 5 tries: its worker was killed by SIGKILL",
    ]
    assert (tmp_path / "tries").read_text() == "xxxxx"


def test_retried_on_the_command_line(tmp_path):
    file, out = harmful(tmp_path, ["Hang"]), tmp_path / "out"
    done = hinting("sweep", file, "--out", out, "--timeout", "5s", status=1)
    assert "1 failed; the first, point 0: TimeoutError: has not ended after 5 s (--timeout)" in done.stdout
    (tmp_path / "fixed").touch()
    hinting("sweep", file, "--out", out, "--timeout", "60s", "--retry-failed")
    assert states(out) == ["done"] * 2


@pytest.mark.parametrize(
    ("timeout", "words"), [("soon", "--timeout: 'soon' is not a duration"), ("0s", "expected a duration above 0")]
)
def test_bad_time_outs(tmp_path, timeout, words):
    with pytest.raises(HintingError, match=words):
        harness.run(harness.write(tmp_path), tmp_path / "out", timeout=timeout)
    assert not (tmp_path / "out").exists()

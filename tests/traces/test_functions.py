"""Azure Functions 2019: the three files of a day, and the workload that follows them."""

import shutil

import numpy as np
import pytest

import hinting as h
from hinting._core.engine.ops import OPS
from hinting.errors import TraceError, WorkloadError
from hinting.traces import load_functions
from tests.conftest import DATA

DAY = "anon.d01.csv"
CALLS = DATA / "traces" / f"invocations_per_function_md.{DAY}"


@pytest.fixture
def day(tmp_path):
    """A copy of the day, and a function that changes a line of one of its files."""
    for path in (DATA / "traces").glob(f"*.{DAY}"):
        shutil.copy(path, tmp_path)

    def change(name, line, before, after):
        path = tmp_path / f"{name}.{DAY}"
        lines = path.read_text().splitlines(keepends=True)
        assert before in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(before, after, 1)
        path.write_text("".join(lines))

    return tmp_path / CALLS.name, change


def test_what_a_day_says():
    trace = load_functions(CALLS)
    assert trace.names == ("o1/a1/f1", "o1/a1/f2", "o2/a2/f3")
    assert trace.left_out == 1                              # f4: calls, but no runs
    assert trace.calls.shape == (3, 1440)
    assert trace.calls[0].sum() == 2880
    assert trace.calls[1].nonzero()[0].tolist() == list(range(0, 1440, 15))
    assert trace.runs_ns[0].tolist() == [ms * 1e6 for ms in (10, 20, 200, 400, 700, 2500, 3000)]
    assert trace.memory_bytes[1].tolist() == [mb << 20 for mb in (80, 90, 100, 115, 130, 150, 160, 170)]


def calls_of(**parameters):
    """Times of the calls in seconds from the workload's start, by function."""
    rows = h.workloads.faas_trace(str(CALLS), **parameters)
    touches = np.flatnonzero(rows["op"] == OPS["TOUCH"])
    times = {}
    for row in touches:
        sleeps = rows["a"][:row][rows["op"][:row] == OPS["SLEEP"]]
        times.setdefault(int(rows["proc"][row]), []).append(sleeps[-1] / 1e9)
    return times


def test_every_call_of_the_window_is_made_in_its_minute():
    times = calls_of(skip="30min", duration="30min", functions=20)
    trace = load_functions(CALLS)
    counts = sorted(int(trace.calls[i, 30:60].sum()) for i in range(2))   # f3 is not called then
    assert sorted(len(mine) for mine in times.values()) == counts
    busy = max(times.values(), key=len)
    assert np.bincount((np.array(busy) // 60).astype(int), minlength=30).tolist() == [2] * 30
    fast = calls_of(skip="30min", duration="30min", speed=10)
    assert max(map(max, fast.values())) <= 180


def test_containers_hold_what_the_trace_says():
    rows = h.workloads.faas_trace(str(CALLS), skip="100min", duration="30min", seed=4)
    mib = rows["a"][rows["op"] == OPS["MMAP"]] / 256
    assert all(40 <= size <= 170 for size in mib)
    spawned = rows["op"] == OPS["SPAWN"]
    assert spawned.sum() == (rows["op"] == OPS["EXIT"]).sum()


def test_the_seed_draws_functions():
    chosen = {tuple(len(mine) for mine in calls_of(functions=1, skip="100min", duration="30min", seed=seed).values())
              for seed in range(8)}
    assert len(chosen) > 1


def test_a_guest_runs_them():
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("1GiB"), boot=False,
                    workload=h.workloads.faas_trace(str(CALLS), skip="100min", duration="5min", keep_alive="30s"))
    assert vm.run_until_idle("1h")
    sim.check()
    assert vm.counts()["touched_pages"] > 40 * 256
    assert vm.processes() == {}


@pytest.mark.parametrize(("name", "line", "before", "after", "words"), [
    ("invocations_per_function_md", 3, "timer,1,0", "timer,-1,0", r"invocations.*row 3: minute 1 must be a number of calls"),
    ("invocations_per_function_md", 2, "http,2,2", "http,2,x", r"row 2: minute 2 must be a number of calls, got 'x'"),
    ("invocations_per_function_md", 2, "http,2,2", "http,2,1.5", r"row 2: minute 2 must be a number of calls, got '1.5'"),
    ("invocations_per_function_md", 1, "HashApp", "App", r"row 1: the header must name HashOwner, HashApp"),
    ("function_durations_percentiles", 2, ",400,", ",-4,", r"durations.*row 2: percentile_Average_50 must be a number between 0"),
    ("function_durations_percentiles", 3, ",2500,", ",900,", r"row 3: percentile_Average_0 to .* must not fall"),
    ("app_memory_percentiles", 2, ",115,", ",much,", r"memory.*row 2: AverageAllocatedMb_pct50 must be a number between 0"),
])
def test_bad_rows(day, name, line, before, after, words):
    path, change = day
    change(name, line, before, after)
    with pytest.raises(TraceError, match=words):
        load_functions(path)


def test_missing_files(day, tmp_path):
    path, _ = day
    with pytest.raises(TraceError, match="expected a file with calls"):
        load_functions(tmp_path / "none.csv")
    (tmp_path / f"app_memory_percentiles.{DAY}").unlink()
    with pytest.raises(TraceError, match=r"beside it, app_memory_percentiles\.anon\.d01\.csv is missing"):
        load_functions(path)
    with pytest.raises(TraceError, match="expected a file invocations_per_function_md"):
        load_functions(DATA / "traces" / "google-2019.csv")
    with pytest.raises(WorkloadError, match="no function is called from minute 1441"):
        h.workloads.faas_trace(str(CALLS), skip="24h", duration="1h")

"""Traces as workloads: the rows follow the demand page by page, and run from a scenario file."""

import json
import subprocess

import numpy as np
import pytest

import hinting as h
from hinting.errors import HintingError, TraceError
from hinting.workloads import OPS, demand_trace, kernel_trace
from tests.conftest import DATA, HINTING

TRACES = DATA / "traces"
GIB = 1 << 30
GOOGLE = str(TRACES / "google-2019.csv")


def pages_over_time(rows):
    """[(ns, pages of the process, cached pages)] after each sleep, by following the rows slowly."""
    present, cached, now, out = set(), 0, 0, []
    for row in rows:
        op, region, a, b = (int(row[name]) for name in ("op", "region", "a", "b"))
        if op == OPS["SLEEP"]:
            out.append((now, len(present), cached))
            now = a
        elif op == OPS["TOUCH"]:
            touched = {(region, page) for page in range(a, a + b)}
            assert not touched & present
            present |= touched
        elif op == OPS["UNMAP"]:
            gone = {(region, page) for page in range(a, a + b)}
            assert gone <= present
            present -= gone
        elif op == OPS["READ"]:
            assert a == cached
            cached = a + b
        elif op == OPS["TRUNCATE"]:
            cached = a
    return [*out[1:], (now, len(present), cached)]


@pytest.mark.parametrize("policy", ["mix", "lifo", "random_block", "random_page"])
def test_rows_follow_the_demand(policy):
    rows = demand_trace(GOOGLE, instance="380/0", size=GIB // 4, policy=policy, speed=300.0)
    found = pages_over_time(rows)
    want = [(0, 0.016, 0.004), (1, 0.036, 0.004), (2, 0.009, 0.001), (3, 0.009, 0.001)]
    assert [t for t, _, _ in found] == [s * 10**9 for s, _, _ in want]
    for (_, used, cached), (_, anon, cache) in zip(found, want, strict=True):
        assert used == pytest.approx(anon * GIB / 4 / 4096, abs=512)
        assert cached == pytest.approx(cache * GIB / 4 / 4096, abs=1)


def test_linear_steps_lie_between_the_samples():
    found = pages_over_time(demand_trace(GOOGLE, instance="380/0", size=GIB, policy="lifo", steps=3))
    assert [round(t / 1e9) for t, _, _ in found] == [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]
    used = [pages for _, pages, _ in found]
    assert used[1] - used[0] == pytest.approx((used[3] - used[0]) / 3, abs=1)


def test_a_window_of_the_trace():
    found = pages_over_time(demand_trace(GOOGLE, instance="380/0", size=GIB, policy="lifo", skip="400s", duration="400s"))
    assert [round(t / 1e9) for t, _, _ in found] == [0, 200, 400]
    assert found[0][1] == pytest.approx(0.036 * GIB / 4096, abs=1)
    with pytest.raises(HintingError, match="after the guest's end"):
        demand_trace(GOOGLE, instance="380/0", skip="2h")


def test_without_an_instance_the_seed_chooses():
    chosen = {demand_trace(GOOGLE, seed=seed).size for seed in range(20)}
    assert len(chosen) == 2
    assert np.array_equal(demand_trace(GOOGLE, seed=3), demand_trace(GOOGLE, seed=3))
    with pytest.raises(TraceError, match="instance '380/7' is not in the trace, expected one of 2: 380/0, 380/1"):
        demand_trace(GOOGLE, instance="380/7")


def test_scattered_pages_fragment_a_guest():
    """The same demand leaves fewer free blocks of 2 MiB if single pages go than if the newest go."""
    free = {}
    for policy in ("lifo", "random_page"):
        sim = h.Simulation(h.Host("4GiB"), seed=1)
        rows = demand_trace(GOOGLE, instance="380/0", size="8GiB", policy=policy, speed=300.0, duration="650s")
        vm = sim.launch(h.Guest("1GiB", thp="never"), workload=rows[:-2])
        sim.run()
        free[policy] = vm.guest.buddyinfo()[:, 9:].sum()
    assert free["random_page"] < free["lifo"]


def test_kernel_trace_keeps_order_and_time():
    rows = kernel_trace(str(TRACES / "ftrace.txt"))
    names = {number: name for name, number in OPS.items()}
    assert [names[int(op)] for op in rows["op"]] == [
        "MARK", "SPAWN", "MMAP", "SLEEP", "TOUCH", "SLEEP", "TOUCH", "SLEEP", "ALLOC", "SLEEP", "UNMAP",
        "SLEEP", "UNMAP", "TOUCH", "SLEEP", "FREE", "EXIT", "MARK",
    ]  # fmt: skip
    assert rows["a"][rows["op"] == OPS["SLEEP"]].tolist() == [0, 100_000, 10_000_000, 30_000_000, 40_000_000, 50_000_000]
    assert rows["order"][rows["op"] == OPS["ALLOC"]].tolist() == [3]


def test_kernel_trace_runs_and_gives_back():
    sim = h.Simulation(h.Host("2GiB"), seed=1)
    vm = sim.launch(h.Guest("512MiB"), boot=False, workload=kernel_trace(str(TRACES / "ftrace.txt")))
    sim.run(until="1s")
    assert vm.is_idle
    assert vm.counts()["touched_pages"] == 3
    assert vm.counts()["passed_over_rows"] == 0
    sim.check()


SCENARIO = """
text = "two guests of a fleet"
[host]
memory = "8GiB"
[[guests]]
count = 2
memory = "1GiB"
[[guests.workloads]]
name = "demand_trace"
file = "{file}"
size = "8GiB"
speed = 300
"""


def run(tmp_path, text, *arguments):
    (tmp_path / "fleet.toml").write_text(text)
    return subprocess.run([HINTING, "run", "fleet.toml", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=300)


def test_from_a_scenario_file(tmp_path):
    done = run(tmp_path, SCENARIO.format(file=GOOGLE), "--json", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["arms"][0]["guests_launched"] == 2
    assert GOOGLE in json.loads((tmp_path / "out" / "provenance.json").read_text())["files"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("file =", "fil ="), "fil: unknown parameter"),
        ((GOOGLE, "none.csv"), "file: must be the path of a file, got 'none.csv'"),
        (('name = "demand_trace"', 'name = "demand_trace"\nformat = "aws"'), "format: must be one of azure-vm"),
        (('name = "demand_trace"', 'name = "demand_trace"\nformat = "alibaba-2021-node"'), "the header must name timestamp"),
        (('name = "demand_trace"', 'name = "demand_trace"\ninstance = "9/9"'), "instance '9/9' is not in the trace"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, change, words):
    text = SCENARIO.format(file=GOOGLE)
    assert change[0] in text
    done = run(tmp_path, text.replace(*change))
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_trace_without_its_file_is_refused():
    with pytest.raises(HintingError, match="file must be the path of a file, and is not given"):
        demand_trace()

"""Searches: the same trials whatever happens, and a front that nothing betters."""

import json
import signal
import subprocess
import sys

import pytest

import hinting as h
from hinting.errors import SweepError
from hinting.results.trials import pareto_front
from hinting.sweeps.repeat import repeat_points
from hinting.sweeps.tune import Search, tune
from tests.sweeps import harness
from tests.sweeps.harness import hinting

pytest.importorskip("optuna")

SEARCH = harness.MICRO.partition("[axes]")[0].replace("repeats = 3", "repeats = 2\ntrials = 12\ngeneration = 4") + """\
[axes]
strategy = ["v8", "page-reporting", "none"]
"v8.entries" = { from = 50, to = 5000, log = true }
"guests.0.workloads.0.size" = { from = "4MiB", to = "16MiB" }
[objectives]
footprint = "less"
guest_time = "less"
"""

#: Ends itself with kill -9 before or after the call of that number of a method: between the two there is nothing to lose or
#: to do twice.
DRIVE = """\
import os, signal, sys
from hinting.results.ledger import Ledger
from hinting.results.parts import Parts
from hinting.sweeps import driver
from hinting.sweeps.repeat import repeat_points
from hinting.sweeps.tune import tune

driver.TASK_S, driver.SAVE_S = 0.02, 0.01
file, out, when, owner, name, number = sys.argv[1:]
owner, number = {"Ledger": Ledger, "Parts": Parts}[owner], int(number)
method = getattr(owner, name)


def dying(*arguments):
    global number
    number -= 1
    if number == 0 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    found = method(*arguments)
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return found


setattr(owner, name, dying)
tune(file, out, jobs=2)
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    file = harness.write(folder, SEARCH, "search.toml")
    summary = tune(file, folder / "out", jobs=2)
    assert summary.failed == 0
    return file, folder / "out"


def test_trials_and_their_front(searched):
    results = h.open(searched[1])
    assert results.names == ("points", "runs", "errors", "series", "trials")
    trials = results.arrow("trials").to_pylist()
    assert [trial["trial"] for trial in trials] == list(range(12))
    assert {trial["state"] for trial in trials} == {"done"}
    points = results.arrow("points").to_pylist()
    first = [point for point in points if point["guests.0.workloads.0.size"] == trials[0]["guests.0.workloads.0.size"]]
    assert trials[0]["footprint"] == sum(point["footprint"] for point in first) / len(first)
    values = [(trial["footprint"], trial["guest_time"]) for trial in trials]
    for trial, own in zip(trials, values, strict=True):
        bettered = any(other[0] <= own[0] and other[1] <= own[1] and other != own for other in values)
        assert trial["pareto"] is not bettered
    for trial in trials:
        assert (trial["v8.entries"] is None) == (trial["strategy"] != "v8")
        assert trial["v8.entries"] is None or 50 <= trial["v8.entries"] <= 5000
        assert 4 << 20 <= trial["guests.0.workloads.0.size"] <= 16 << 20


def test_again_and_on_the_command_line(searched):
    file, out = searched
    document = json.loads(hinting("tune", file, "--out", out, "--json").stdout)
    assert (document["trials"], document["new"]) == (12, 0)
    assert document["trials_sha256"] == h.open(out).sha256("trials")
    assert 1 <= len(document["front"]) <= 12
    printed = hinting("tune", file, "--out", out).stdout
    assert f"of 12 trials are on the front; in {out}" in printed
    assert {line.split()[1] for line in printed.splitlines()[1:-1]} <= {"v8", "page-reporting", "none"}
    assert all("iB" in line for line in printed.splitlines()[1:-1])


def test_killed_and_gone_on_with_it_is_the_same_search(searched, tmp_path):
    file, out = harness.write(tmp_path, SEARCH, "search.toml"), tmp_path / "out"
    for place in ("after Parts write 2", "before Ledger add 1", "after Ledger add 1", "after Ledger commit 2"):
        done = subprocess.run([sys.executable, "-c", DRIVE, file, out, *place.split()], stderr=subprocess.PIPE, timeout=100)
        assert done.returncode == -signal.SIGKILL, (place, done.stderr.decode())
    assert tune(file, out, jobs=2).new > 0
    for name in ("trials", "points", "series"):
        assert h.open(out).sha256(name) == h.open(searched[1]).sha256(name)


def test_a_point_of_a_search_again(searched):
    [one] = repeat_points(searched[1], ["3"])
    assert (one.number, one.differs) == (3, ())


def test_more_trials_go_on(searched, tmp_path):
    few = harness.write(tmp_path, SEARCH.replace("trials = 12", "trials = 4"), "search.toml")
    tune(few, tmp_path / "out", jobs=2)
    first = h.open(tmp_path / "out").arrow("trials").drop_columns("pareto")
    harness.write(tmp_path, SEARCH.replace("trials = 12", "trials = 8"), "search.toml")
    assert tune(few, tmp_path / "out", jobs=2).new > 0
    assert first.equals(h.open(tmp_path / "out").arrow("trials").drop_columns("pareto").slice(0, 4))
    assert first.equals(h.open(searched[1]).arrow("trials").drop_columns("pareto").slice(0, 4))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("footprint =", "foot =", "objectives: unknown metric 'foot', expected one of memory_returned"),
        ('"less"', '"least"', "objectives.footprint: expected 'more' or 'less'"),
        ("guests.0.workloads.0.size", "guests.0.workloads.0.sice", "sice"),
        ('"page-reporting", "none"]', '"v99"]', "unknown strategy 'v99'"),
        ("to = 5000", "to = 10000000", "axes at their high ends: .*entries must be"),
        ('"4MiB"', '"4ms"', "not of one unit"),
    ],
)
def test_bad_searches(tmp_path, old, new, words):
    assert old in SEARCH
    with pytest.raises(SweepError, match=words):
        tune(harness.write(tmp_path, SEARCH.replace(old, new)), tmp_path / "out")


def test_a_search_and_a_sweep_are_not_the_same(finished, searched, tmp_path):
    with pytest.raises(SweepError, match="holds another sweep"):
        tune(searched[0], finished[1])
    assert Search.load("seed-front").objectives == {"memory_returned": "more", "guest_cpu": "less"}


def test_the_front_against_every_pair():
    values = [[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [0.0, 3.0], [1.0, 2.0], None]
    assert pareto_front(values, ["less", "less"]) == [True, True, False, True, True, False]
    assert pareto_front(values, ["more", "less"]) == [False, True, False, False, False, False]

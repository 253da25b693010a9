"""The command as a user runs it: results on standard output, one line on errors, exit statuses."""

import json
import subprocess

import pyarrow.parquet as pq
import pytest

from tests.conftest import DATA, HINTING

SMALL_HOST = [
    *("--set", "host_memory=6GiB"),
    *("--set", "guest_memory=2GiB"),
    *("--set", "program=1400MiB"),
    *("--set", "v8.entries=128"),
]


def hinting(*arguments, status=0):
    done = subprocess.run([HINTING, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stderr
    return done


def test_run_seed_json():
    document = json.loads(hinting("run", "seed", *SMALL_HOST, "--json").stdout)
    assert [arm["strategy"] for arm in document["arms"]] == ["none", "v8"]
    assert document["arms"][1]["guests_launched"] > document["arms"][0]["guests_launched"]


def test_run_seed_files_are_the_same_bytes_twice(tmp_path):
    for name in ("a", "b"):
        assert "guests" in hinting("run", *SMALL_HOST, "--out", tmp_path / name).stdout
    tables = ("arms", "guests", "timeline", "metrics", "series")
    names = {"seed.png", "seed.svg", "provenance.json", "execution.json"} | {f"{table}.parquet" for table in tables}
    assert {path.name for path in (tmp_path / "a").iterdir()} == names
    for name in names - {"execution.json"}:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert pq.read_table(tmp_path / "a" / "arms.parquet").num_rows == 2
    assert (tmp_path / "a" / "seed.png").read_bytes().startswith(b"\x89PNG")


def test_expect():
    hinting("run", "--strategy", "none", *SMALL_HOST[:6], "--expect", "none=2")
    hinting("run", "--strategy", "none", *SMALL_HOST[:6], "--expect", "none=9", status=1)


def test_run_takes_parameters_with_a_strategy_as_compare_does():
    small = [*SMALL_HOST[:6], "--json"]
    one, other = (
        json.loads(hinting("run", *arguments, *small).stdout)["arms"]
        for arguments in (["--strategy", "v8:entries=128"], ["--strategy", "v8", "--set", "v8.entries=128"])
    )
    assert [arm["guests_launched"] for arm in one] == [arm["guests_launched"] for arm in other]
    two = json.loads(hinting("run", "--strategy", "v8:entries=128", "--strategy", "v8:entries=64", *small).stdout)["arms"]
    assert [arm["strategy"] for arm in two] == ["v8 entries=128", "v8 entries=64"]


def test_run_and_compare_refuse_the_same_strategy_twice():
    for twice in (["v8", "v8"], ["v8:entries=64", "none", "v8:entries=64"]):
        arguments = [word for text in twice for word in ("--strategy", text)]
        said = {command: hinting(command, "seed", *arguments, status=2).stderr for command in ("run", "compare")}
        assert said["run"] == said["compare"]
        assert f"strategy.{len(twice) - 1}" in said["run"]
        assert "is there twice" in said["run"]


@pytest.mark.parametrize("text", ["v99", "v8:entries", "v8:entries=1", "v8:entries=5,entries=6", "v8:nothing=1", "none:a=1"])
def test_run_and_compare_refuse_a_strategy_with_the_same_words(text):
    said = {command: hinting(command, "seed", "--strategy", text, status=2).stderr for command in ("run", "compare")}
    assert said["run"] == said["compare"] != ""


def test_replay():
    done = hinting("replay", DATA / "hackbench-768m-1cpu", "--level", "request", "--json")
    document = json.loads(done.stdout)
    assert document["allocations"] == document["identical"]
    assert document["free_lists_identical"] is document["pcp_lists_identical"] is True
    assert document["first_difference"] is None
    assert {"run", "level", "kernel", "events", "events_per_s"} <= document.keys()
    assert "hackbench" in hinting("replay", DATA / "hackbench-768m-1cpu", "--level", "state", "--check", "10000").stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["strategies"], "v8"), (["strategies", "v8"], "entries"), (["kernels"], "linux-6.12"), (["scenarios"], "seed")],
)
def test_listing(arguments, word):
    assert word in hinting(*arguments).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "nothing"],
        ["run", "--strategy", "v99"],
        ["run", "--set", "v8.entries=1"],
        ["run", "--set", "v8.nothing=1"],
        ["run", "--set", "nothing=1"],
        ["run", "--set", "host_memory=512MiB"],
        ["run", "--set", "guest_memory=0"],
        ["run", "--set", "guest_memory=5000001"],
        ["run", "--set", "kernel=linux-2.6"],
        ["run", "--set", "max_guests=x"],
        ["run", "--out", str(DATA / "README.md" / "below")],
        ["replay", "no-such-folder"],
        ["replay", str(DATA / "hackbench-768m-1cpu"), "--level", "nothing"],
        ["replay", str(DATA / "hackbench-768m-1cpu"), "--level", "hinting"],
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line(arguments):
    done = hinting(*arguments, status=2)
    assert done.stdout == ""
    assert done.stderr.startswith("hinting: ")
    assert done.stderr.count("\n") == 1

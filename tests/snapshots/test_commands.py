"""`hinting snapshot` and `hinting show` as a user runs them."""

import json
import subprocess
import sys

import pytest

import hinting
from hinting import Guest, Snapshot
from tests.conftest import DATA
from tests.strategies.harness import environment

RECORDING = DATA / "v8-test-5g-1cpu"


def run(*arguments, status=0):
    code = "from hinting.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
                          timeout=120, env=environment(), check=False)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("snapshot") / "moment.npz"
    assert str(path) in run("snapshot", RECORDING, "--out", path, "--at", "t1").stderr
    return path


def test_snapshot_of_a_recording(file):
    assert Snapshot.load(file) == Guest.from_snapshot(RECORDING, at="t1").snapshot()


@pytest.mark.parametrize("view", ["buddyinfo", "pagetypeinfo", "zoneinfo"])
def test_show_as_proc(file, view):
    text = getattr(Guest.from_snapshot(file), f"{view}_text")()
    assert run("show", file, "--as", view).stdout == text
    assert run("show", RECORDING, "--at", "t1", "--as", view).stdout == text
    assert run("show", RECORDING, "--as", view).stdout != text


def test_show_in_short_and_as_json(file):
    short = run("show", file).stdout
    assert "linux-6.1" in short
    assert "5120 MiB, 1 vCPU" in short
    assert "guest_returned_memory 6515568 KiB" in short
    document = json.loads(run("show", file, "--json").stdout)
    assert document["kernel"] == "linux-6.1"
    assert document["buddyinfo"] == Guest.from_snapshot(file).buddyinfo().tolist()
    assert document["zoneinfo"]["Normal"]["managed"] == 500460


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nothing"], "nothing: no such file"),
        (["show", str(DATA)], "expected a snapshot file, or a recording"),
        (["snapshot", str(RECORDING), "--out", "/no/folder/file"], "cannot be written"),
        (["snapshot", str(RECORDING / "meta.json"), "--out", "file"], "not a snapshot file"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments, status=2)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_exported():
    assert hinting.Snapshot is Snapshot
    assert "Snapshot" in hinting.__all__

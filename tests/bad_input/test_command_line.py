"""Bad input on the command line: exit status 2, one line on standard error that names the culprit, nothing written."""

import subprocess

import pytest

from tests.conftest import DATA, HINTING
from tests.damage import change_meta, change_value, copy_of

HACKBENCH = str(DATA / "hackbench-768m-1cpu")


def refused(*arguments, words, cwd=None):
    done = subprocess.run([HINTING, *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("hinting: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")
    assert words in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["walk"], "'walk'"),
        (["run", "--fast"], "--fast"),
        (["run", "--seed", "x"], "--seed"),
        (["run", "--seed", "-1"], "seed"),
        (["run", "seed", "seed"], "seed"),
        (["run", "--set"], "--set"),
        (["run", "--set", ""], "--set: expected a value"),
        (["run", "--out", ""], "--out: expected a value"),
        (["run", "--out="], "--out: expected a value"),
        (["run", "--set", "metrics.memory_map=1ns"], "10us or longer"),
        (["compare", "--strategy", "v8:entries=nan"], "entries"),
        (["report", ""], "provenance.json is missing"),
        (["run", "--set", "vcpus"], "KEY=VALUE"),
        (["run", "--set", "=1"], "KEY=VALUE"),
        (["run", "--set", "vcpus=0"], "vcpus"),
        (["run", "--set", "thp=maybe"], "thp"),
        (["run", "--set", "fragmentation=2"], "fragmentation"),
        (["run", "--set", "host_base=20GiB"], "base"),
        (["run", "--set", "program=0"], "size"),
        (["run", "--set", "costs=none.toml"], "none.toml"),
        (["run", "--set", "v8.drain=some"], "drain"),
        (["run", "--set", "v8.entries=--5"], "entries"),
        (["run", "--set", "v8.entries=\u00b2"], "entries"),
        (["run", "--expect", "v8=\u00b2"], "--expect"),
        (["run", "--set", "v99.entries=5"], "v99"),
        (["run", "--strategy", "none", "--set", "v8.entries=500"], "no arm"),
        (["run", "--expect", "v8"], "KEY=VALUE"),
        (["run", "--expect", "v8=many"], "v8=many"),
        (["run", "--expect", "v9=3"], "v9=3"),
        (["replay"], "DIR"),
        (["replay", HACKBENCH, "--check", "-1"], "--check"),
        (["replay", HACKBENCH, "--check", "x"], "--check"),
        (["replay", HACKBENCH, "no-such-folder"], "no-such-folder"),
        (["strategies", "v99"], "v99"),
        (["strategies", "none"], "none"),
        (["kernels", "x"], "x"),
    ],
    ids=" ".join,
)
def test_one_line(arguments, words):
    refused(*arguments, words=words)


def test_a_damaged_recording_is_named_by_file_and_row(tmp_path):
    folder = copy_of("hackbench-768m-1cpu", tmp_path)
    change_value(folder, "events.parquet", "pfn", 100, -7)
    refused("replay", folder, "--json", words=f"{folder}/events.parquet: row 100")
    (folder / "events.parquet").write_bytes(b"nothing of the kind")
    refused("replay", folder, words=f"{folder}/events.parquet: damaged")
    change_meta(folder, ("kernel",), "2.6.32")
    refused("replay", folder, words=f"{folder}/meta.json: kernel release '2.6.32' has no profile")
    (folder / "meta.json").write_text('{"kernel": \n')
    refused("replay", folder, words=f"{folder}/meta.json: not readable as JSON")


def test_out_where_nothing_can_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    for out in (file, file / "below"):
        refused("run", "--out", out, words=str(out))
    assert file.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [file]


def test_bad_settings_leave_no_folder(tmp_path):
    refused("run", "--out", tmp_path / "out", "--strategy", "v99", words="v99")
    refused("run", "--out", tmp_path / "out", "--set", "nothing=1", words="nothing")
    refused("run", "--out", tmp_path / "out", "--expect", "v9=1", words="v9")
    refused("run", "--out", tmp_path / "out", "--set", "vcpus=0", words="vcpus")
    assert list(tmp_path.iterdir()) == []

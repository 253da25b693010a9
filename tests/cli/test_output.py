"""Standard output holds the result and nothing else, in every command; status and notes go to standard error."""

import json
import subprocess
import sys
import xml.etree.ElementTree

import pyarrow.parquet as pq
import pytest

import hinting as h
from tests.conftest import DATA, HINTING

SMALL = [
    "--set", "host_memory=5GiB", "--set", "guest_memory=1GiB", "--set", "program=512MiB",
]  # fmt: skip
HACKBENCH, K612, V8 = (
    str(DATA / name) for name in ("hackbench-768m-1cpu", "k612-stressng-512m-1cpu", "v8-test-5g-1cpu")
)


def hinting(*arguments, status=0, cwd=None):
    done = subprocess.run([HINTING, *map(str, arguments)], capture_output=True, text=True, timeout=120, cwd=cwd)
    assert done.returncode == status, done.stderr
    return done


def test_version_and_help():
    assert hinting("--version").stdout == f"{h.__version__}\n"
    for arguments in (["--help"], ["run", "--help"], ["replay", "--help"], ["strategies", "--help"]):
        assert "Usage: hinting" in hinting(*arguments).stdout
    assert {"run", "replay", "strategies", "scenarios", "kernels"} <= set(hinting("--help").stdout.split())


def test_without_a_command_the_help_and_status_2():
    done = hinting(status=2)
    assert "Usage: hinting" in done.stdout + done.stderr


def test_the_default_experiment_as_json():
    document = json.loads(hinting("run", "seed", "--json").stdout)
    assert document["experiment"] == "seed"
    assert document["host_memory_bytes"] == 15837 << 20
    arms = {arm["strategy"]: arm for arm in document["arms"]}
    assert arms["none"]["guests_launched"] == 3
    assert arms["v8"]["guests_launched"] >= 5
    for arm in arms.values():
        assert arm.keys() >= {"strategy", "guests_launched", "host_used_bytes", "emulated_s", "wall_s", "counters"}


def test_settings_and_strategies():
    options = ["--strategy", "v8-stats", "--strategy", "none", "--set", "v8-stats.entries=128", "--seed", "3", "--json"]
    document = json.loads(hinting("run", *SMALL, *options).stdout)
    assert [arm["strategy"] for arm in document["arms"]] == ["v8-stats", "none"]
    assert document["setting"]["seed"] == 3
    assert document["setting"]["guest_memory"] == "1GiB"
    other = json.loads(hinting("run", *SMALL, *options[:-2], "4", "--json").stdout)
    assert other["arms"][1]["host_used_bytes"] != document["arms"][1]["host_used_bytes"]


def test_the_table_names_what_was_missed_and_why():
    out = hinting("run", *SMALL, "--set", "v8.entries=128").stdout
    for words in ("How many guests fit", "none", "v8", "captured", "not isolated: in use again", "stopped because"):
        assert words in out


@pytest.mark.parametrize(("least", "status"), [(4, 0), (5, 1)])
def test_expect_on_both_sides(least, status):
    done = hinting("run", *SMALL, "--strategy", "none", "--expect", f"none={least}", "--json", status=status)
    assert json.loads(done.stdout)["arms"][0]["guests_launched"] == 4
    assert ("expected at least 5" in done.stderr) == (status == 1)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "deep" / "out"
    done = hinting("run", *SMALL, "--set", "v8.entries=128", "--out", folder, "--json")
    return folder, json.loads(done.stdout), done


def test_files(out):
    folder, document, done = out
    tables = ("arms", "guests", "timeline", "metrics", "series")
    names = {"seed.png", "seed.svg", "provenance.json", "execution.json"} | {f"{table}.parquet" for table in tables}
    assert {path.name for path in folder.iterdir()} == names
    assert all(name in done.stderr for name in names)
    arms = pq.read_table(folder / "arms.parquet").to_pylist()
    assert [arm["guests_launched"] for arm in arms] == [arm["guests_launched"] for arm in document["arms"]]
    guests = pq.read_table(folder / "guests.parquet").to_pylist()
    used = [row["value"] for row in guests if row["metric"] == "host_used" and row["strategy"] == "v8"]
    assert used == document["arms"][1]["host_used_bytes"]
    timeline = pq.read_table(folder / "timeline.parquet")
    assert timeline.num_rows > 100
    assert set(timeline["strategy"].to_pylist()) == {"none", "v8"}
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["hinting"] == h.__version__
    assert provenance["scenario"]["strategy"][1] == {"name": "v8", "entries": 128}


def test_pictures(out):
    folder, _, _ = out
    picture = (folder / "seed.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) > 10_000
    root = xml.etree.ElementTree.parse(folder / "seed.svg").getroot()
    assert root.tag.endswith("svg")
    assert len(list(root.iter())) > 50


def test_same_bytes_again_over_the_old_files(out):
    folder, _, _ = out
    def read():
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "execution.json"}

    before = read()
    hinting("run", *SMALL, "--set", "v8.entries=128", "--out", folder)
    assert read() == before


@pytest.mark.parametrize("level", ["state", "request"])
def test_replay_of_several_recordings(level):
    documents = json.loads(hinting("replay", HACKBENCH, K612, "--level", level, "--json").stdout)
    assert [document["run"] for document in documents] == ["hackbench-768m-1cpu", "k612-stressng-512m-1cpu"]
    assert all(document["identical"] == document["allocations"] for document in documents)
    table = hinting("replay", HACKBENCH, K612, "--level", level).stdout
    assert "14,927" in table
    assert "45,407" in table


def test_replay_with_explanation_and_checks():
    done = hinting("replay", HACKBENCH, "--explain", "--check", "8000", "--json")
    assert json.loads(done.stdout)["first_difference"] is None


def test_replay_from_within_the_folder():
    assert json.loads(hinting("replay", ".", "--json", cwd=HACKBENCH).stdout)["run"] == "hackbench-768m-1cpu"


def test_lists_are_complete():
    strategies = hinting("strategies").stdout
    fresh = "import hinting; print(*hinting.strategies.names())"
    names = subprocess.run([sys.executable, "-c", fresh], capture_output=True, text=True, check=True).stdout.split()
    assert {"none", "v8"} <= set(names)
    assert all(name in strategies for name in names)
    kernels = hinting("kernels").stdout
    assert all(name in kernels for name in h.kernels.names())
    explained = hinting("strategies", "v8").stdout
    for name, rule in h.strategies.V8.parameters().items():
        assert name in explained
        assert rule.text.split(",")[0].split()[0] in explained
    assert "4 February 2019" in explained
    assert "seed" in hinting("scenarios").stdout


def test_many_launches_stay_readable():
    """Ten launches a line, so that an ordinary terminal shows every number whole."""
    done = hinting("run", "seed", "--strategy", "v12", "--set", "max_guests=12", "--set", "host_memory=40GiB",
                   "--set", "guest_memory=2GiB", "--set", "program=1GiB")
    lines = done.stdout.splitlines()
    head = next(line.split() for line in lines if line.startswith("strategy  from"))
    assert head == ["strategy", "from", *(f"+{number}" for number in range(10))]
    first, second = (line.split() for line in lines if line.startswith("v12 ") and line.split()[1] in ("1", "11"))
    assert (len(first), len(second)) == (12, 4)
    assert "…" not in done.stdout


def test_listings_show_times_as_people_write_them():
    shown = [line.split()[:2] for line in hinting("strategies", "page-reporting").stdout.splitlines()]
    assert ["delay", "2s"] in shown
    assert hinting("policies", "pressure-aware").stdout.splitlines()[-1].split()[:2] == ["max_age", "1min"]

"""The profile that a calibration writes, read again; and the command."""

import json
import subprocess
import tomllib

import pytest

import hinting
from hinting import costs
from hinting.calibration import Machine, to_toml, write
from hinting.errors import CalibrationError, CostError
from tests.calibration.harness import GUEST, measured, probe
from tests.conftest import HINTING


@pytest.fixture
def calibration():
    return measured(
        probe(syscall=lambda n: [200] if n == 1 else [260]),
        probe("a halted vCPU", event_two_cpus=[160_000]),
        probe(advise_none=[500], advise_huge=[400]),
        machine=GUEST,
    )


def test_provenance(calibration):
    document = tomllib.loads(to_toml(calibration, "here"))
    assert document["name"] == "here"
    assert document["description"] == "virtual machine with 4 CPUs, Test CPU, Linux 6.12.1, 2026-01-02"
    machine = document["machine"]
    assert (machine["kernel"], machine["cpu"], machine["is_vm"]) == ("6.12.1", "Test CPU", True)
    assert machine["date"] == "2026-01-02T03:04:05+00:00"
    assert "medians" in machine["method"]
    assert machine["not_measured"] == {"host.zap_2m_thp": "advise_huge is not longer than advise_none"}
    entry = document["cost"]["sched"]["syscall"]
    assert (entry["typical"], entry["p10"], entry["n"], entry["unit"], entry["unstable"]) == (230, 206, 2, "ns", True)
    assert document["cost"]["sched"]["wakeup_idle_cpu"]["unreliable"] == "a halted vCPU"
    assert "/tmp" not in to_toml(calibration, "here")


def test_a_profile_is_a_cost_profile(calibration, tmp_path):
    path = tmp_path / "here.toml"
    write(calibration, path)
    profile = costs.load(path)
    assert profile.name == "here"
    assert profile["sched.syscall"] == 230
    assert profile["sched.wakeup_idle_cpu"] == costs.load()["sched.wakeup_idle_cpu"], "an unreliable cost is left out"
    scenario = hinting.Scenario.load("seed", {"costs": str(path), "max_guests": 1}, ["none"])
    assert scenario.costs.load().hash == profile.hash
    assert profile.hash != costs.load().hash


def test_a_profile_can_be_set_whatever_the_file_says(calibration, tmp_path):
    write(calibration, tmp_path / "here.toml")
    document = hinting.Scenario.load("seed").document()
    for given in ("zen3-vm-example", {"profile": "default", "overrides": {"mem.clear_4k": 7}}):
        scenario = hinting.Scenario.from_document(document | {"costs": given}, {"costs.profile": str(tmp_path / "here.toml")})
        assert scenario.costs.load()["sched.syscall"] == 230
    assert scenario.costs.load()["mem.clear_4k"] == 7


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("schema = 1", "schema = 2", "schema 2 is of a newer version of hinting, this one reads schema 1"),
        ("typical = 230", "typical = -1", "sched.syscall must be a number of ns, 0 or more, got -1"),
        ("[cost.sched.syscall]", "[cost.sched.systemcall]", "unknown cost 'sched.systemcall'"),
        ("typical = 80000", "typical = -80000", "sched.wakeup_idle_cpu must be a number of ns"),
    ],
)
def test_a_profile_that_is_wrong(calibration, tmp_path, old, new, words):
    text = to_toml(calibration, "here")
    assert old in text
    (tmp_path / "here.toml").write_text(text.replace(old, new))
    with pytest.raises(CostError, match=words):
        costs.load(tmp_path / "here.toml")
    done = subprocess.run([HINTING, "run", "--costs", "here.toml"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(CalibrationError, match="expected a folder"):
        Machine.here(tmp_path / "none")


@pytest.mark.parametrize("arguments", [["--out", "none/here.toml"], ["--folder", "none"], ["--out", "."]])
def test_bad_input_is_refused_before_anything_is_measured(tmp_path, arguments):
    done = subprocess.run([HINTING, "calibrate", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert arguments[0] in done.stderr


def test_a_real_quick_run(tmp_path):
    command = [HINTING, "calibrate", "--quick", "--json", "--out", "here.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["machine"]["kernel"]
    names = {"sched.syscall", "mem.clear_4k", "host.madvise_call_empty", "host.zap_4k_bulk"}
    assert names <= document["costs"].keys() | document["refused"].keys()
    for cost in document["costs"].values():
        assert 0 <= cost["p10"] <= cost["typical"] <= cost["p90"] or cost["unstable"]
    assert costs.load(tmp_path / "here.toml").name == "here"

"""`hinting reproduce` as a user runs it."""

import json

import pyarrow.parquet as pq
import pytest

from hinting.reproduce import experiments
from tests.cli.test_output import hinting


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("reproduce") / "out"
    return hinting("reproduce", "12.4", "--json", "--workers", 1, "--out", out), out


def test_json(done):
    rows = json.loads(done[0].stdout)["rows"]
    assert len(rows) == len(next(table.rows for table in experiments() if table.number == "12.4"))
    for row in rows:
        assert row.keys() >= {"id", "source", "published", "emulated", "unit", "error", "within", "sign", "tolerance"}
        assert row["error"] == pytest.approx(row["emulated"] / row["published"] - 1)


def test_files(done):
    printed, out = done
    table = pq.read_table(out / "reproduce.parquet")
    assert table.to_pylist() == json.loads(printed.stdout)["rows"]
    names = {"reproduce.parquet", "reproduce.png", "reproduce.svg", "reproduce-rows.png", "reproduce-rows.svg"}
    assert {file.name for file in out.iterdir()} == names | {"provenance.json", "execution.json"}
    about = json.loads((out / "provenance.json").read_text())
    assert (about["kind"], list(about["experiments"])) == ("reproduce", ["reporting-speed"])


@pytest.mark.parametrize("name", ["12.7", "seeds", ""])
def test_unknown_names(name):
    failed = hinting("reproduce", name, status=2)
    assert failed.stdout == ""
    (line,) = failed.stderr.splitlines()
    assert repr(name) in line
    for table in experiments():
        assert table.name in line
        assert table.number in line


def test_workers_that_cannot_be():
    assert "workers must be" in hinting("reproduce", "seed", "--workers", 0, status=2).stderr

"""`hinting compare` as a user runs it."""

import json
import re
import shlex

import pyarrow.parquet as pq
import pytest

from hinting.experiments import compare
from hinting.metrics import metrics
from hinting.reports.rank import pareto_front
from hinting.strategies.choice import parse_choice
from tests import docs_examples
from tests.cli.test_cli import hinting
from tests.conftest import ROOT

SMALL = [
    *("--set", "host_memory=6GiB"),
    *("--set", "guest_memory=2GiB"),
    *("--set", "program=1400MiB"),
    *("--set", "max_guests=2"),
]
ARMS = ["--strategy", "none", "--strategy", "v8:entries=128", "--strategy", "v8:entries=256,drain=off"]
FILES = {"metrics.parquet", "series.parquet", "provenance.json", "execution.json"}
FILES |= {f"{name}.{kind}" for name in ("ranked", "pareto", "memory") for kind in ("png", "svg")}


def test_json_is_one_document():
    done = hinting("compare", "seed", *ARMS, *SMALL, "--json")
    document = json.loads(done.stdout)
    assert set(document) == {"scenario", "strategies"}
    assert document["scenario"] == "seed"
    assert [arm["name"] for arm in document["strategies"]] == ["none", "v8:entries=128", "v8:entries=256,drain=off"]
    for arm in document["strategies"]:
        assert list(arm) == ["name", "metrics"]
        assert list(arm["metrics"]) == list(metrics())
    none, small, _ = (arm["metrics"] for arm in document["strategies"])
    assert none["memory_returned"] == 0
    assert small["memory_returned"] > 0.1
    assert none["guests_fit"] == small["guests_fit"] == 2
    assert small["footprint"] < none["footprint"]
    assert none["slowdown"] == pytest.approx(1, abs=0.05)
    assert small["slowdown"] > 1.2


def test_same_bytes_twice(tmp_path):
    printed = [hinting("compare", *ARMS, *SMALL, "--out", tmp_path / name).stdout for name in ("a", "b")]
    assert printed[0] == printed[1]
    assert {path.name for path in (tmp_path / "a").iterdir()} == FILES
    for name in FILES - {"execution.json"}:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    table = pq.read_table(tmp_path / "a" / "metrics.parquet")
    assert table.column_names == ["scenario", "strategy", "seed", "profile", "guest", "metric", "value", "unit"]
    assert set(table["strategy"].to_pylist()) == {"none", "v8:entries=128", "v8:entries=256,drain=off"}
    assert set(table["guest"].to_pylist()) == {-1, 0, 1}
    assert pq.read_table(tmp_path / "a" / "series.parquet").column_names == ["strategy", "t_ns", "guest", "metric", "value"]
    assert json.loads((tmp_path / "a" / "provenance.json").read_text())["costs"]["sha256"]


def test_table_shows_the_chief_metrics_and_all_on_request():
    shown = hinting("compare", *ARMS[:4], *SMALL).stdout
    for metric in metrics().values():
        if metric.heading:
            assert re.search(rf"^  {re.escape(metric.heading)} .*{re.escape(metric.unit)} ", shown, re.MULTILINE), metric.name
    everything = hinting("compare", *ARMS[:4], *SMALL, "--all").stdout
    for metric in metrics().values():
        assert re.search(rf"^  {metric.name} ", everything, re.MULTILINE), metric.name


TWO_GROUPS = """
strategy = ["none", "page-reporting"]
until = "12s"

[host]
memory = "4GiB"

[[guests]]
count = 2
stagger = "2s"
memory = "512MiB"

[[guests]]
start = "1s"
memory = "1GiB"

[[guests.workloads]]
name = "memhog"
size = "256MiB"
"""


def test_a_scenario_of_several_groups(tmp_path):
    """Each guest's run time is held against one of its own group; the scenario's strategies are the default."""
    file = tmp_path / "two.toml"
    file.write_text(TWO_GROUPS)
    document = json.loads(hinting("compare", file, "--json").stdout)
    assert document["scenario"] == "two"
    assert [arm["name"] for arm in document["strategies"]] == ["none", "page-reporting"]
    for arm in document["strategies"]:
        assert arm["metrics"]["guests_fit"] == 3
        assert arm["metrics"]["slowdown"] == pytest.approx(1, abs=0.1)


def test_arms_have_the_same_guests():
    """What strategies cannot change is equal, and an arm does not depend on those beside it."""
    changes = dict(pair.split("=") for pair in SMALL[1::2])
    both = compare("seed", ["none", "v8:entries=128"], changes=changes, seed=3).arms
    alone = compare("seed", ["v8:entries=128"], changes=changes, seed=3).arms[0]
    assert both[1].table.equals(alone.table)
    assert both[1].series.equals(alone.series)
    assert both[0].metrics["freed"] == both[1].metrics["freed"]
    assert compare("seed", ["none"], changes=changes, seed=4).arms[0].metrics["freed"] != both[0].metrics["freed"]


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("v8", "v8", {}),
        ("v8:entries=500,drain=off", "v8", {"entries": "500", "drain": "off"}),
        ("none", "none", {}),
    ],
)
def test_choices(text, name, parameters):
    choice = parse_choice(text)
    assert (choice.name, choice.parameters, choice.label) == (name, parameters, text)


def test_pareto_front():
    assert pareto_front([(3.0, 1.0), (1.0, 3.0), (2.0, 4.0), (2.0, 2.0), (3.0, 1.0)]) == [1, 3, 0]
    assert pareto_front([]) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "unknown scenario"),
        (["--strategy", "v99"], "unknown strategy 'v99'"),
        (["--strategy", "v8:entries"], "NAME"),
        (["--strategy", "v8:entries=1"], "entries must be"),
        (["--strategy", "v8:entries=5,entries=6"], "once"),
        (["--strategy", "v8:nothing=1"], "unknown parameter"),
        (["--strategy", "none:a=1"], "no parameters"),
        (["--strategy", "v8", "--strategy", "v8"], "twice"),
        (["--strategy", "nothing.py:X"], "No such file"),
        (["--set", "nothing=1"], "unknown key"),
        (["--strategy", "none", "--set", "v8.entries=500"], "v8"),
        (["--seed", "-1"], "seed"),
        (["--out", str(ROOT / "README.md" / "below")], "cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(arguments, words):
    done = hinting("compare", *arguments, status=2)
    assert done.stdout == ""
    assert done.stderr.startswith("hinting: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_examples_of_the_docs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("numba")
    docs_examples.write_files("compare.md", "python", tmp_path)
    docs_examples.write_files("write-a-strategy.md", "python", tmp_path)
    monkeypatch.chdir(tmp_path)
    commands = docs_examples.commands("compare.md")
    assert len(commands) >= 4
    for command in commands:
        small = [] if "--set" in command else SMALL
        assert hinting(*shlex.split(command)[1:], *small).stdout
    docs_examples.run_python("compare.md")
    assert "v8" in capsys.readouterr().out

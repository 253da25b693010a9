"""Every strategy of the lineage with its parameters: defaults as posted, legal values, what a sweep may ask for, source."""

import dataclasses
import re

import pytest
from typer.testing import CliRunner

from hinting import strategies
from hinting.cli import app
from hinting.errors import StrategyError
from tests.conftest import ROOT

LINEAGE = [name for name in strategies.names() if re.match(r"v\d", name)]

#: Constants of each series.
POSTED = {
    "v1": {"entries": 1000, "threshold": 500, "remainder": "lost", "track_run": False, "stop_allocations": True,
           "host_action": "free"},
    "v7": {"entries": 1000, "threshold": 1, "remainder": "kept", "track_run": True, "stop_allocations": True,
           "host_action": "free"},
    "v8-transition": {"entries": 1000, "return_position": "head", "host_action": "dontneed", "call_pages": 1},
    "v8": {"entries": 1000, "min_order": 0, "drain": "local", "scan_drop_non_buddy": False, "dedup": "head",
           "return_position": "head", "host_action": "dontneed", "call_pages": 1, "idle_flush": 0, "isolation_cap": 0},
    "v8-early": {"entries": 1000, "min_order": 0, "host_action": "dontneed", "call_pages": 1},
    "v8.5-max-order": {"entries": 1000, "min_order": 10, "return_position": "head", "host_action": "dontneed", "call_pages": 1},
    "v9": {"entries": 256, "threshold": 128, "min_order": 10, "barrier": 0, "run_in": "inline", "lost_answers": True,
           "fail_every": 0, "return_position": "head", "host_action": "dontneed", "call_pages": 1},
    "v9-stats": {"run_in": "thread"},
    "v10": {"min_order": 9, "threshold": 16, "batch": 16, "worker_delay": 0, "return_position": "head", "host_action": "free",
            "call_pages": 0, "wait": "busy"},
    "v11": {"wait": "event", "host_action": "free"},
    "v12": {"min_order": 9, "threshold": 16, "batch": 16, "worker_delay": 0, "return_position": "head",
            "host_action": "dontneed", "call_pages": 0, "wait": "event"},
}  # fmt: skip
POSTED |= dict.fromkeys(("v8-posted", "v8-stats"), POSTED["v8"])
POSTED |= {"v8.9-async": POSTED["v8.5-max-order"], "v12-stats": POSTED["v12"]}

#: Values that are worth sweeping.
SWEPT = {
    "v1": {"entries": [1000, 2000], "threshold": [1, 250, 500, 900], "remainder": ["lost", "kept"], "host_action": ["none"]},
    "v7": {"entries": [250, 500, 1000, 2000]},
    "v8": {"entries": [64, 128, 256, 500, 1000, 2000, 4000], "min_order": [0, 4, 8, 9, 10], "drain": ["off", "local", "all"],
           "scan_drop_non_buddy": [False, True], "dedup": ["off", "head", "full"], "return_position": ["head", "tail"],
           "host_action": ["dontneed", "free", "none"], "call_pages": [1, 0], "wake_latency": [0, "10us", "1ms", "10ms"],
           "idle_flush": [0, "0.5s", "2s"], "isolation_cap": [0, 16, 32, 256]},
    "v9": {"entries": [256, 1000], "min_order": [9, 10], "barrier": [0, 64, 256, 512], "host_action": ["dontneed", "free"],
           "call_pages": [1, 0]},
    "v10": {"min_order": [8, 9, 10], "threshold": [8, 16, 32, 64], "batch": [8, 16, 32, 64],
            "worker_delay": [0, "10ms", "2s"], "host_action": ["free", "dontneed"], "return_position": ["head", "tail"]},
}  # fmt: skip
SWEPT["v12"] = SWEPT["v11"] = SWEPT["v10"]

#: (name, parameters) of the experiments that followed v9.
AFTER_V9 = [{"entries": 32, "threshold": 16}, {"entries": 16, "threshold": 8}, {"call_pages": 0}, {"host_action": "free"},
            {"barrier": 256}]


def command(*arguments):
    """Output of a command, white space made one."""
    shown = CliRunner().invoke(app, list(arguments))
    assert shown.exit_code == 0
    return " ".join(shown.stdout.split())


def test_every_strategy_of_the_lineage_is_there():
    assert set(LINEAGE) == set(POSTED)
    assert LINEAGE.index("v9") < LINEAGE.index("v10")


@pytest.mark.parametrize("name", LINEAGE)
def test_defaults_are_the_posted_ones(name):
    spec = strategies.find(name)
    given = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)}
    assert given | POSTED[name] == given


@pytest.mark.parametrize("name", LINEAGE)
def test_every_parameter_has_text_range_and_unit(name):
    spec = strategies.find(name)
    for parameter, rule in spec.parameters().items():
        default = getattr(spec, parameter)
        assert rule.text
        if rule.choices is not None:
            assert default in rule.choices
            illegal = "nonsense"
        else:
            assert rule.unit
            assert rule.low <= default <= rule.high
            illegal = rule.high + 1
            with pytest.raises(StrategyError, match=f"strategy {re.escape(name)}: {parameter} must be .* got {rule.low - 1}"):
                strategies.find(name, {parameter: rule.low - 1})
        with pytest.raises(StrategyError, match=f"strategy {re.escape(name)}: {parameter} must be .* got {illegal!r}"):
            strategies.find(name, {parameter: illegal})
        assert strategies.find(name, {parameter: default}) == spec


@pytest.mark.parametrize(("name", "parameter"), [(name, key) for name, values in SWEPT.items() for key in values])
def test_what_a_sweep_may_ask_for(name, parameter):
    made = [strategies.find(name, {parameter: value}) for value in SWEPT[name][parameter]]
    assert len(set(made)) == len(made)
    for spec in made:
        spec.core()


@pytest.mark.parametrize("parameters", AFTER_V9, ids=str)
def test_experiments_after_v9(parameters):
    strategies.find("v9", parameters).core()


@pytest.mark.parametrize("name", LINEAGE)
def test_explained_with_mail_or_tree_and_date(name):
    spec = strategies.find(name)
    assert re.search(r"(November|February|March|June|July|August) 201[789]", spec.source)
    assert spec.source.startswith(('"', "development tree"))
    text = command("strategies", name)
    assert f"Source: {spec.source}" in text
    assert all(parameter in text for parameter in spec.parameters())


def test_listed_with_their_sources():
    listed = command("strategies")
    for name in LINEAGE:
        assert f"{name} " in listed
    for words in ("4 February", "6 March", "3 June", "10 July", "12 August"):
        assert words in listed


def test_documented():
    text = (ROOT / "docs" / "strategies.md").read_text()
    for name in LINEAGE:
        assert f"\n| `{name}` |" in text
        family = name if name in ("v8-transition", "v8-early") else name.removesuffix("-stats").removesuffix("-posted")
        assert re.search(rf"^## .*\b{re.escape(family)}\b", text, re.M)


@pytest.mark.parametrize("name", LINEAGE)
def test_runs_and_prints_its_tables(name):
    text = command("run", "seed", "--strategy", name, "--set", "guest_memory=640MiB", "--set", "program=300MiB",
                   "--set", "host_memory=3GiB", "--set", "max_guests=2")
    assert f"{name}: 2 guests" in text
    assert ("what it missed" in text) == ("captued_memory" in strategies.find(name).core().counters())

"""The files of published numbers: whole, each number once, and asking for runs that exist."""

import tomllib
from importlib.resources import files

import pytest
from pydantic import ValidationError

from hinting.errors import ReproduceError
from hinting.reproduce import Experiment, experiments, select
from hinting.reproduce.run import _tasks
from hinting.scenarios import files as scenario_files

FILES = sorted(entry.name for entry in files("hinting.reproduce.published").iterdir() if entry.name.endswith(".toml"))


def document(name="reporting-speed.toml"):
    return tomllib.loads((files("hinting.reproduce.published") / name).read_text("utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_names_and_sources(name):
    table = Experiment.model_validate(document(name))
    assert f"{table.name}.toml" == name
    assert len(table.source) > 20
    assert len({row.setting for row in table.rows}) == len(table.rows)
    assert all(row.published > 0 for row in table.rows)
    assert all(run.module == "resize_speed" or run.scenario in scenario_files.names() for run in table.runs.values())


@pytest.mark.parametrize("table", experiments(), ids=lambda table: table.name)
def test_every_row_has_a_run_with_its_arm(table):
    tasks = list(_tasks(table))
    measured = sum(len(task.measures) for task in tasks if task.seed == table.runs[task.run].seeds[0])
    assert 0 < measured <= 2 * len(table.rows)
    assert {row.run for row in table.rows} == set(table.runs)


def test_selection():
    assert [table.name for table in select(["seed"])] == ["seed"]
    assert [table.name for table in select(["12.4", "seed", "reporting-speed"])] == ["seed", "reporting-speed"]
    assert select() == experiments()
    with pytest.raises(ReproduceError, match=r"unknown experiment '12\.9', expected one of .*seed.*12\.4"):
        select(["seed", "12.9"])


def broken(**changes):
    return document() | changes


def row(**changes):
    return broken(rows=[document()["rows"][0] | changes])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (broken(colour="red"), "colour"),
        (broken(tolerance=0), "tolerance"),
        (broken(rows=[]), "rows"),
        (broken(rows=document()["rows"][:1] * 2), "twice"),
        (row(run="nowhere"), "no run 'nowhere'"),
        (row(against="nowhere"), "no row 'nowhere'"),
        (row(measure="luck"), "luck"),
        (row(value="luck"), "expected an arm and a measure"),
        (broken(runs={"one": {"scenario": "seed", "module": "resize_speed"}}), "either a scenario or a module"),
        (row(bound="most"), "bound"),
        (row(relative=["product", "none"]), "relative"),
    ],
    ids=str,
)
def test_files_that_are_wrong(table, words):
    with pytest.raises(ValidationError, match=words):
        Experiment.model_validate(table)


def test_an_arm_that_the_scenario_does_not_have():
    table = Experiment.model_validate(row(arm="v99"))
    with pytest.raises(ReproduceError, match=r"no arm 'v99', but none, page-reporting-6\.1"):
        list(_tasks(table))

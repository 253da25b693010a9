"""Every example of docs/scenarios.md runs."""

import json
import shlex

from hinting.scenarios import Scenario
from hinting.scenarios.tables import CostsTable, GuestsTable, HostTable, MetricsTable, ScheduleTable, WorkloadTable
from tests import docs_examples
from tests.conftest import ROOT
from tests.strategies.harness import hinting_command

PAGE = "scenarios.md"


def test_commands(tmp_path):
    docs_examples.write_files(PAGE, "toml", tmp_path)
    commands = docs_examples.commands(PAGE)
    assert len(commands) == 5
    for command in commands:
        done = hinting_command(*shlex.split(command)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        if "--json" in command:
            assert json.loads(done.stdout)["experiment"] == "two-guests"
    assert (tmp_path / "out" / "two" / "two-guests.png").exists()


def test_python(tmp_path, monkeypatch, capsys):
    docs_examples.write_files(PAGE, "toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    docs_examples.run_python(PAGE)
    assert "none 3" in capsys.readouterr().out


def test_the_table_of_keys_is_complete():
    text = (ROOT / "docs" / PAGE).read_text()
    tables = {"host.": HostTable, "guests.N.": GuestsTable, "guests.N.workloads.M.": WorkloadTable}
    tables |= {"schedule.": ScheduleTable, "costs.": CostsTable, "metrics.": MetricsTable, "": Scenario}
    for prefix, table in tables.items():
        for key in table.model_fields:
            assert f"`{prefix}{key}" in text or key in ("name", "parameters"), f"{prefix}{key}"

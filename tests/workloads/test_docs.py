"""Every example of docs/workloads.md runs, and it names all workloads and ops."""

import shlex

from hinting.workloads import OPS, registry
from tests import docs_examples
from tests.conftest import ROOT
from tests.strategies.harness import hinting_command

PAGE = "workloads.md"


def test_commands(tmp_path):
    docs_examples.write_files(PAGE, "toml", tmp_path)
    commands = docs_examples.commands(PAGE)
    assert len(commands) == 4
    for command in commands:
        done = hinting_command(*shlex.split(command)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_python():
    names = docs_examples.run_python(PAGE)
    assert {mark[0] for mark in names["marks"]} == {0, 1, 3, 16}
    assert names["vm"].guest.buddyinfo()[:, 0].sum() > 10_000


def test_names_are_all_there():
    text = (ROOT / "docs" / PAGE).read_text()
    assert all(f"`{name}`" in text for name in (*registry.names(), *OPS))

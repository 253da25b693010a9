"""Every example of docs/results.md runs."""

import shlex

from tests import docs_examples
from tests.results.harness import hinting

PAGE = "results.md"


def test_examples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = docs_examples.commands(PAGE)
    assert len(commands) >= 2
    for command in commands:
        hinting(*shlex.split(command)[1:], cwd=tmp_path)
    assert docs_examples.run_python(PAGE)["results"].kind == "run"

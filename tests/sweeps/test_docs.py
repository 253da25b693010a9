"""The examples of docs/sweeps.md and docs/tune.md run."""

import shlex

import pytest

from tests import docs_examples
from tests.sweeps.harness import hinting


@pytest.mark.parametrize(("page", "number"), [("sweeps.md", 5), ("tune.md", 3)])
def test_examples(tmp_path, monkeypatch, page, number):
    for package in ("altair", "duckdb", "optuna", "pandas"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    docs_examples.write_files(page, "toml", tmp_path)
    commands = [command for command in docs_examples.commands(page) if "seed-grid" not in command]
    assert len(commands) == number
    for command in commands:
        hinting(*shlex.split(command)[1:], cwd=tmp_path)
    docs_examples.run_python(page)


def test_the_built_in_sweep_has_a_thousand_points():
    from hinting.sweeps import Design, Sweep

    assert len(Design(Sweep.load("seed-grid")).points) == 1000

"""Every example of the tutorials and of the first page runs."""

import shlex
import sys
from importlib.util import find_spec

import pytest

from hinting.strategies import base
from tests import docs_examples
from tests.strategies.harness import hinting_command

PAGES = {"index.md": 1, "tutorials/kernel-engineer.md": 3, "tutorials/capacity-engineer.md": 5}


@pytest.mark.parametrize("page", PAGES)
def test_commands(page, tmp_path):
    for package in ("numba", "altair"):
        if find_spec(package) is None:
            pytest.skip(f"needs {package}")
    for language in ("toml", "python"):
        docs_examples.write_files(page, language, tmp_path)
    commands = docs_examples.commands(page)
    assert len(commands) == PAGES[page]
    for command in commands:
        done = hinting_command(*shlex.split(command)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert bool(list(tmp_path.glob("out/*/report.html"))) is (page != "index.md")


def test_the_strategy_gives_memory_back(tmp_path, monkeypatch):
    pytest.importorskip("numba")
    from hinting import compare

    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))
    docs_examples.write_files("tutorials/kernel-engineer.md", "python", tmp_path)
    monkeypatch.chdir(tmp_path)
    result = compare("seed", ["none", "patient.py:Patient"], changes={"max_guests": 1})
    assert result.arms[1].metrics["memory_returned"] > 0.1
    sys.modules.pop("patient", None)


def test_embedding():
    pytest.importorskip("simpy")
    names = docs_examples.run_python("tutorials/simulator-author.md")
    assert names["held_pages"] > 50_000
    assert names["footprint"] > 0.1
    times, used = zip(*names["seen"], strict=True)
    assert times == tuple(i / 2 for i in range(40))
    assert max(used) > used[-1] + (512 << 20)

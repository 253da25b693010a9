"""Every example of docs/write-a-strategy.md runs."""

from __future__ import annotations

import re
import shlex
import sys

import pytest

from hinting.strategies import base

from .harness import ROOT, hinting_command

PAGE = ROOT / "docs" / "write-a-strategy.md"
TEXT = PAGE.read_text()
PLUGIN = ROOT / "tests" / "strategies" / "cython_plugin" / "src" / "eager" / "hooks.pyx"


def blocks(language: str) -> list[tuple[int, str]]:
    """(number of lines before it, code) of each code block of a language."""
    return [(TEXT[: found.start(1)].count("\n"), found[1])
            for found in re.finditer(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)]


def write_files(folder) -> None:
    for _, code in blocks("python"):
        name = re.match(r"# file: (\S+)\n", code)
        if name:
            (folder / name[1]).write_text(code)


def test_python_examples(tmp_path, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))
    monkeypatch.setitem(sys.modules, "mine", None)
    del sys.modules["mine"]
    write_files(tmp_path)
    names: dict[str, object] = {"__name__": "docs_example"}
    exec("import hinting", names)
    for line, code in blocks("python"):
        if not code.startswith("# file:"):
            exec(compile("\n" * line + code, str(PAGE), "exec"), names)


def test_commands(tmp_path):
    pytest.importorskip("numba")
    write_files(tmp_path)
    lines = [line for _, code in blocks("console") for line in code.splitlines()]
    commands = [line[2:] for line in lines if line.startswith("$ hinting ")]
    assert len(commands) == 2
    small = ["--set=host_memory=4GiB", "--set=guest_memory=2GiB", "--set=program=1GiB", "--set=max_guests=2"]
    for command in commands:
        done = hinting_command(*shlex.split(command)[1:], *small, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "mine.py:Threshold" in done.stdout


def test_cython_examples_are_those_of_the_plug_in():
    source = PLUGIN.read_text()
    found = blocks("cython")
    assert len(found) == 2
    for _, code in found:
        assert code in source


def test_every_request_of_hooks_is_explained_and_exists_in_all_ways():
    pytest.importorskip("numba")
    from hinting._core.strategies.python_hooks import HookGuest
    from hinting.strategies.numba_guest import GUEST_METHODS
    from hinting.strategies.user import HOOKS, SETTINGS

    for name in (*GUEST_METHODS, *HOOKS, *SETTINGS):
        assert f"{name}" in TEXT, name
    assert set(GUEST_METHODS) <= set(dir(HookGuest))

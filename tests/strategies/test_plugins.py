"""Strategies of installed packages and of files: found by name, and a broken one is reported once and skipped."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import textwrap

import pytest

import hinting
from hinting.errors import StrategyError
from hinting.strategies import base, find, names, plugins

from .harness import environment, hinting_command

GOOD = """
import hinting

@hinting.strategy(numba=False)
class {name}:
    '''Count what is freed.'''
    {extra}
    step: int = hinting.parameter(1, "added for each batch", low=1, high=9)
    def setup(self, n_cpus):
        self.n = 0
    def on_free(self, guest, cpu, pfns, orders):
        self.n += self.step
    def counters(self):
        return {{"batches": self.n}}
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install entry points whose modules have the given sources; nothing else counts as installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugins, "_loaded", False)
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))

    def put(**sources):
        points = []
        for name, (source, value) in sources.items():
            if source is not None:
                (tmp_path / f"plug_{name}.py").write_text(textwrap.dedent(source))
            sys.modules.pop(f"plug_{name}", None)
            points.append(importlib.metadata.EntryPoint(name, f"plug_{name}:{value}", plugins.GROUP))
        monkeypatch.setattr(importlib.metadata, "entry_points",
                            lambda group: importlib.metadata.EntryPoints(points) if group == plugins.GROUP else ())
    return put


def test_an_installed_strategy_is_found_and_runs(install):
    install(good=(GOOD.format(name="PluggedIn", extra=""), "PluggedIn"))
    assert "plugged-in" in names()
    guest = hinting.Guest("1GiB", strategy=find("plugged-in", {"step": "3"}))
    pages = [guest.alloc() for _ in range(1024)]
    for page in pages:
        guest.free(page)
    assert guest.counters() == {"batches": 6}


@pytest.mark.parametrize(("source", "value", "message"), [
    ("1 / 0", "X", "ZeroDivisionError: division by zero (plug_bad.py:1)"),
    ("x = (", "X", "SyntaxError"),
    (None, "X", "ModuleNotFoundError: No module named 'plug_bad'"),
    ("", "Missing", "AttributeError: module 'plug_bad' has no attribute 'Missing'"),
    ("Wrong = 3", "Wrong", "expected a strategy class with a name, got 3"),
    ("class Wrong: pass", "Wrong", "expected a strategy class with a name, got <class 'plug_bad.Wrong'>"),
    (GOOD.format(name="Clash", extra="name = 'v8'"), "Clash",
     "strategy name 'v8' of plug_bad.Clash is taken by hinting.strategies.v8.V8: set another `name`"),
])
def test_a_broken_plug_in_is_reported_once_and_skipped(install, capsys, source, value, message):
    install(bad=(source, value), good=(GOOD.format(name="StillThere", extra=""), "StillThere"))
    assert "still-there" in names()
    assert "v8" in names()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"hinting: plug-in bad (plug_bad:{value}) is skipped: ")
    assert message in said[0]
    assert find("v8").source


def test_the_environment_switches_plug_ins_off(install, monkeypatch, capsys):
    install(bad=("1 / 0", "X"))
    monkeypatch.setenv("HINTING_PLUGINS", "0")
    assert "v8" in names()
    assert capsys.readouterr().err == ""


def test_built_in_strategies_are_found_without_importing_plug_ins(install, capsys):
    install(bad=("1 / 0", "X"))
    assert find("v8") is not None
    assert capsys.readouterr().err == ""


# -- files -------------------------------------------------------------------------------------------------------------

@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(GOOD.format(name="Mine", extra=""))
    return path


def test_a_file_is_used_like_a_name_and_not_registered(file):
    assert find(f"{file}:Mine", {"step": "2"}).step == 2
    assert "mine" not in names()
    file.with_name("other.py").write_text(GOOD.format(name="Mine", extra=""))
    assert type(find(f"{file.with_name('other.py')}:Mine")) is not type(find(f"{file}:Mine"))
    assert type(find(f"{file}:Mine")) is type(find(f"{file}:Mine"))


@pytest.mark.parametrize(("source", "given", "message"), [
    (None, "absent.py:X", r"strategy file .*absent.py: No such file or directory"),
    ("\n1 / 0", "bad.py:X", r"strategy file .*bad.py: ZeroDivisionError: division by zero \(bad.py:2\)"),
    ("x = 3", "bad.py:x", r"bad.py:CLASS with one of: no strategy class; got 'x', which is no strategy \(int\)"),
    (GOOD.format(name="Mine", extra=""), "bad.py", "with one of: Mine; got no class"),
    (GOOD.format(name="Mine", extra=""), "bad.py:Your", "with one of: Mine; got 'Your'"),
    (GOOD.format(name="Mine", extra="") + "\n    def on_fre(self): pass", "bad.py:Mine", "unknown hook on_fre"),
])
def test_a_file_that_has_no_such_strategy(tmp_path, source, given, message):
    if source is not None:
        (tmp_path / "bad.py").write_text(source)
    with pytest.raises(StrategyError, match=message):
        find(str(tmp_path / given))


def test_run_takes_a_file_with_parameters(file):
    done = hinting_command("run", "seed", "--strategy", f"{file}:Mine", "--json", "--set", f"{file}:Mine.step=2",
                           "--set", "max_guests=1", "--set", "guest_memory=1GiB", "--set", "program=256MiB")
    assert done.returncode == 0, done.stderr
    assert '"batches"' in done.stdout
    done = hinting_command("run", "seed", "--strategy", f"{file}:Your")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "with one of: Mine; got 'Your'" in done.stderr


def test_two_classes_of_one_name_are_refused_but_a_cell_may_run_twice(monkeypatch):
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))

    def define(module):
        body = {"on_free": lambda self, guest, cpu, pfns, orders: None, "__module__": module}
        return hinting.strategy(numba=False)(type("OfOneName", (), body))

    define("here")
    define("here")
    with pytest.raises(StrategyError, match=r"is taken by here\.OfOneName"):
        define("there")


def test_without_numba_the_message_says_how_to_get_it(tmp_path):
    code = textwrap.dedent("""
        import sys
        sys.modules["numba"] = None
        import hinting
        @hinting.strategy
        class Fast:
            def on_free(self, guest, cpu, pfn, order):
                pass
        assert "v8" in hinting.strategies.names()
        try:
            hinting.Guest("1GiB", strategy=Fast())
        except hinting.errors.StrategyError as error:
            print(error)
    """)
    path = tmp_path / "without.py"
    path.write_text(code)
    done = subprocess.run([sys.executable, path], env=environment(), capture_output=True, text=True, check=True)
    assert "pip install 'hinting[numba]'" in done.stdout


def test_numba_is_imported_only_when_it_is_used():
    code = "import sys, hinting; hinting.strategies.names(); assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)

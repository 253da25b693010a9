"""`__all__` of every module is right, and everything public says what it is."""

import importlib
import inspect

import pytest

from tests.package.harness import MODULES, is_own, public


@pytest.mark.parametrize("name", MODULES)
def test_all_names_exist_once(name):
    module, names = public(name)
    assert [known for known in names if not hasattr(module, known)] == []
    assert len(set(names)) == len(names)


def members(name):
    """(qualified name, object) of a module's own public functions, classes, methods and properties."""
    module, names = public(name)
    for known in names:
        value = getattr(module, known)
        if not is_own(value, module):
            continue
        yield f"{name}.{known}", value
        if inspect.isclass(value) and not issubclass(value, tuple):
            for attribute, member in vars(value).items():
                documented = inspect.isfunction(member) or isinstance(member, (classmethod, staticmethod, property))
                if not attribute.startswith("_") and documented:
                    yield f"{name}.{known}.{attribute}", member


#: Methods that say nothing beyond their name.
_PLAIN = {"to_json", "core"}


@pytest.mark.parametrize("name", MODULES)
def test_all_that_is_public_has_a_docstring(name):
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), name
    without = [
        path
        for path, value in members(name)
        if not inspect.getdoc(value) and path.rpartition(".")[2] not in _PLAIN
    ]
    assert without == []


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_open_with_one_line(name):
    crooked = []
    for path, value in members(name):
        text = inspect.getdoc(value) or ""
        paragraph = text.partition("\n\n")[0]
        if text and not paragraph.rstrip().endswith((".", ":", "?")):
            crooked.append(path)
    assert crooked == []

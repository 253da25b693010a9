"""Each compiled module has a stub with all its public names, and the package says that it is typed."""

import ast
import importlib

import pytest

from tests.package.harness import CORE, SOURCE

SOURCES = sorted(CORE.rglob("*.pyx"))


def name_of(source):
    return ".".join(("hinting._core", *source.relative_to(CORE).with_suffix("").parts))


def test_the_package_is_typed():
    assert (SOURCE / "py.typed").is_file()
    assert len(SOURCES) > 5


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_every_core_has_a_stub(source):
    assert source.with_suffix(".pyi").is_file()


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_stubs_name_what_there_is(source):
    tree = ast.parse(source.with_suffix(".pyi").read_text())
    module = importlib.import_module(name_of(source))
    stubbed = {node.name: node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert [name for name in stubbed if not hasattr(module, name)] == []
    own = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__
    }
    assert sorted(own - stubbed.keys()) == []
    for name in own & stubbed.keys():
        value, node = getattr(module, name), stubbed[name]
        if not isinstance(node, ast.ClassDef):
            continue
        members = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
        members |= {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
        there = {member for member in vars(value) if not member.startswith("_")}
        inherited = {member for base in value.__mro__[1:-1] for member in vars(base)}
        assert sorted(there - members - inherited) == [], name
        assert [member for member in members if not member.startswith("__") and not hasattr(value, member)] == [], name

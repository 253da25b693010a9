"""All modules of the package, and what each defines."""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import hinting

__all__ = ["CORE", "MODULES", "SOURCE", "is_own"]

SOURCE = Path(hinting.__file__).parent
#: The Cython sources; the link in the package leads there, too.
CORE = SOURCE.parent / "_core"
#: Names of all Python modules, the compiled ones left out.
MODULES = sorted(
    ["hinting"]
    + [
        module.name
        for module in pkgutil.walk_packages(hinting.__path__, "hinting.")
        if not module.name.startswith("hinting._core")
    ]
)


def is_own(value: object, module: ModuleType) -> bool:
    """Whether a function or class is defined in this module."""
    return (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__


def public(name: str) -> tuple[ModuleType, list[str]]:
    """A module and its public names."""
    module = importlib.import_module(name)
    return module, list(getattr(module, "__all__", []))

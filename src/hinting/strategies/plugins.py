"""Strategies from elsewhere: installed packages with an entry point, and single files.

A package registers with the entry point group `hinting.strategies`, each entry naming a strategy class. One that is
broken is reported on standard error once and skipped. HINTING_PLUGINS=0 in the environment switches plug-ins off.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from hinting.errors import PolicyError, StrategyError

__all__ = ["GROUP", "from_file", "is_file", "is_reading_file", "load"]

#: Entry point group of third parties.
GROUP = "hinting.strategies"

_loaded = False
_reading_file = False
_files: dict[tuple[Path, int], ModuleType] = {}


def load(base: type) -> None:
    """Import all installed plug-ins, once; their classes register by being defined. base: what they must be."""
    global _loaded
    if _loaded or os.environ.get("HINTING_PLUGINS") == "0":
        return
    _loaded = True
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        try:
            found = entry.load()
            if not (isinstance(found, type) and issubclass(found, base) and getattr(found, "name", None)):
                raise StrategyError(f"expected a strategy class with a name, got {found!r}")
        except Exception as error:
            print(f"hinting: plug-in {entry.name} ({entry.value}) is skipped: {_one_line(error)}", file=sys.stderr)


def is_file(name: str) -> bool:
    """Whether a strategy or policy is given as path/to/file.py:Class."""
    return re.fullmatch(r".+\.py(:\w*)?", name) is not None


def is_reading_file() -> bool:
    """Whether classes that are defined now belong to a file and are known by its path only."""
    return _reading_file


def from_file(name: str, base: Any) -> Any:
    """The class of path/to/file.py:Class. base: what it must be; its error says what the file has instead."""
    path, _, wanted = name.rpartition(":") if not name.endswith(".py") else (name, "", "")
    module = _module(Path(path), base)
    classes = {key: value for key, value in vars(module).items()
               if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__}
    if wanted not in classes:
        there = ", ".join(classes) or f"no {base._kind} class"
        given = "no class" if not wanted else f"{wanted!r}"
        if wanted and hasattr(module, wanted):
            kind = type(getattr(module, wanted)).__name__
            given += f", which is no {base._kind} ({kind}): is @hinting.{base._kind} above it?"
        raise base._error(f"{base._kind} file {path}: expected {path}:CLASS with one of: {there}; got {given}")
    return classes[wanted]


def _module(path: Path, base: Any) -> ModuleType:
    """The module of a file, read again only if the file has changed."""
    try:
        key = path.resolve(), path.stat().st_mtime_ns
    except OSError as error:
        raise base._error(f"{base._kind} file {path}: {error.strerror}") from None
    if key not in _files:
        spec = importlib.util.spec_from_file_location(f"hinting_strategy_file_{path.stem}_{len(_files)}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module.__name__] = module
        try:
            with _reading():
                spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module.__name__]
            raise base._error(f"{base._kind} file {path}: {_one_line(error)}") from error
        _files[key] = module
    return _files[key]


@contextmanager
def _reading() -> Iterator[None]:
    global _reading_file
    before, _reading_file = _reading_file, True
    try:
        yield
    finally:
        _reading_file = before


def _one_line(error: Exception) -> str:
    """An exception in one line, with the place that raised it unless it is ours and says so itself."""
    if isinstance(error, (StrategyError, PolicyError)):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} (line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if "importlib" not in frame.filename and frame.filename != inspect.getsourcefile(load)]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"

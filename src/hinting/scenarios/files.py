"""Scenario files: TOML, the built-in ones of this folder or the user's. Other kinds of files are read the same way."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from hinting.errors import ScenarioError
from hinting.kinds import path_of

__all__ = ["names", "read", "text"]


@cache
def names(package: str = __package__) -> tuple[str, ...]:
    """Names of the built-in scenarios (or files of another package); the original experiment first."""
    found = [entry.name.removesuffix(".toml") for entry in files(package).iterdir() if entry.name.endswith(".toml")]
    return tuple(sorted(found, key=lambda name: (name != "seed", name)))


def text(name: str, package: str = __package__, kind: str = "scenario") -> str:
    """The TOML of a built-in scenario; ScenarioError lists the names for an unknown one."""
    if name not in names(package):
        raise ScenarioError(f"unknown {kind} {name!r}, expected one of {', '.join(names(package))}, or the path of a .toml file")
    return files(package).joinpath(f"{name}.toml").read_text()


def read(source: str | Path, package: str = __package__, kind: str = "scenario") -> tuple[str, str, dict[str, Any]]:
    """(what errors call it, name, document) of a file or of a built-in scenario."""
    path = path_of(source, kind, ScenarioError)
    if isinstance(source, Path) or path.suffix == ".toml" or len(path.parts) > 1:
        try:
            content = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ScenarioError(f"{path}: cannot be read: {reason}") from None
        label, name = str(path), re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._") or kind
    else:
        content, label, name = text(str(source), package, kind), str(source), str(source)
    try:
        return label, name, tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{label}: not valid TOML: {error}") from None

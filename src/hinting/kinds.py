"""Checks of what kind an argument is: the error names the argument, what was expected and what was given, in one line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from hinting.errors import HintingError

__all__ = ["items_of", "of_kind", "path_of"]

T = TypeVar("T")


def _refusal(error: type[HintingError], name: str, expected: str, value: object) -> HintingError:
    given = " ".join(repr(value).split())
    return error(f"{name} must be {expected}, got {given if len(given) <= 80 else given[:77] + '...'}")


def of_kind(kind: type[T], value: object, name: str, expected: str, error: type[HintingError] = HintingError) -> T:
    """The value if it is of this kind, else the error.

    >>> of_kind(str, 5, "kernel", "a name")
    Traceback (most recent call last):
    ...
    hinting.errors.HintingError: kernel must be a name, got 5
    """
    if not isinstance(value, kind):
        raise _refusal(error, name, expected, value)
    return value


def path_of(value: str | os.PathLike[str], name: str, error: type[HintingError] = HintingError) -> Path:
    """The value as a path, if it can be one."""
    if not isinstance(value, (str, os.PathLike)) or "\0" in os.fspath(value):
        raise _refusal(error, name, "a path", value)
    return Path(value)


def items_of(value: Iterable[Any], name: str, expected: str, error: type[HintingError] = HintingError) -> list[Any]:
    """The items of a list or another iterable; text and tables are none."""
    if isinstance(value, (str, bytes, dict)) or not isinstance(value, Iterable):
        raise _refusal(error, name, expected, value)
    return list(value)

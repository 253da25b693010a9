"""Settings as flat dataclasses: overriding fields from text, with errors that name the key and what is legal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from hinting.errors import HintingError
from hinting.strategies import find

__all__ = ["SettingError", "override", "parse_assignments", "split_strategy_keys"]

T = TypeVar("T")


class SettingError(HintingError):
    """An unknown key of a scenario, or a value that it cannot have."""


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """`["key=value", ...]` as a dict; SettingError for anything else."""
    out: dict[str, str] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise SettingError(f"--set {text!r}: expected KEY=VALUE")
        out[key.strip()] = value.strip()
    return out


def split_strategy_keys(values: Mapping[str, str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Separate `name.parameter` keys from the rest: (fields, {strategy: {parameter: value}})."""
    fields: dict[str, str] = {}
    strategies: dict[str, dict[str, str]] = {}
    for key, value in values.items():
        name, dot, parameter = key.rpartition(".")  # a strategy may be path/to/file.py:Class
        if dot:
            find(name, {parameter: value})
            strategies.setdefault(name, {})[parameter] = value
        else:
            fields[key] = value
    return fields, strategies


def override(setting: T, values: Mapping[str, str]) -> T:
    """A copy of a setting with fields read from text by the type of their default.

    Raises SettingError naming an unknown field, or the field, what was given and what type it has.
    """
    legal = {field.name: field for field in dataclasses.fields(setting) if field.metadata.get("settable", True)}  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for key, text in values.items():
        if key not in legal:
            raise SettingError(f"unknown key {key!r}, expected one of {', '.join(legal)}, or STRATEGY.PARAMETER")
        present = getattr(setting, key)
        try:
            changes[key] = type(present)(text) if isinstance(present, (int, float)) else text
        except ValueError:
            kind = "a whole number" if isinstance(present, int) else "a number"
            raise SettingError(f"{key}: expected {kind}, got {text!r}") from None
    return dataclasses.replace(setting, **changes)  # type: ignore[type-var]

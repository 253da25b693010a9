"""Changing a scenario's document by dotted paths, short keys and parameters of strategies, before it is checked."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from hinting.errors import HintingError, ScenarioError, StrategyError
from hinting.strategies import find
from hinting.strategies.choice import Choice, parse_choice

__all__ = ["apply", "assign_strategies", "parse_assignments", "parse_value", "strategy_table"]


def parse_value(text: str) -> Any:
    """Text of a command line as a value: TOML if it is some ("4", "true", '["none", "v8"]'), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def parse_assignments(assignments: Sequence[str], option: str = "--set") -> dict[str, str]:
    """`["key=value", ...]` as a dict; ScenarioError for anything else."""
    out: dict[str, str] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ScenarioError(f"{option} {text!r}: expected KEY=VALUE")
        out[key.strip()] = value.strip()
    return out


def apply(document: dict[str, Any], changes: Mapping[str, Any], fields: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Change a document; returns it with the paths changed ("fields") and the parameters for strategies ("strategies").

    Values given as text are read by `parse_value`.
    """
    document = copy.deepcopy(document)
    short = document.get("keys", {})
    short = short if isinstance(short, Mapping) else {}
    if isinstance(document.get("costs"), str):  # short for the table
        document["costs"] = {"profile": document["costs"]}
    paths: list[str] = []
    strategies: dict[str, dict[str, Any]] = {}
    for key, given in changes.items():
        value = parse_value(given) if isinstance(given, str) else given
        path = str(short.get(key, key))
        name, dot, parameter = path.rpartition(".")  # a strategy may be path/to/file.py:Class
        if path.partition(".")[0] in fields:
            _set(document, path, value)
            paths.append(path)
        elif dot:
            strategies.setdefault(_strategy(name, parameter, value), {})[parameter] = value
        else:
            known = ", ".join([*short, *fields])
            raise ScenarioError(f"--set {key}: unknown key, expected one of {known}, or STRATEGY.PARAMETER")
    return document, {"fields": paths, "strategies": strategies}


def _strategy(name: str, parameter: str, value: Any) -> str:
    try:
        find(name, {parameter: value})
    except HintingError as error:
        raise ScenarioError(f"--set {name}.{parameter}: {error}") from None
    return name


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    parts = path.split(".")
    at: Any = document
    for depth, part in enumerate(parts):
        here = ".".join(parts[:depth]) or "the scenario"
        last = depth == len(parts) - 1
        if isinstance(at, list):
            if not part.isdecimal() or int(part) >= len(at):
                raise ScenarioError(f"--set {path}: {here} has {len(at)} items, numbered from 0, got {part!r}")
            if last:
                at[int(part)] = value
            at = at[int(part)]
        elif isinstance(at, dict):
            if last:
                at[part] = value
            at = at.setdefault(part, {})
        else:
            raise ScenarioError(f"--set {path}: {here} is a value without keys")


def strategy_table(choice: Choice) -> dict[str, Any]:
    """A choice as a scenario's document has it."""
    values = {key: parse_value(value) if isinstance(value, str) else value for key, value in choice.parameters.items()}
    if "name" in values:
        raise StrategyError(f"strategy {choice.name}: unknown parameter 'name'")
    return {"name": choice.name, **values}


def assign_strategies(document: dict[str, Any], texts: Sequence[str] | None,
                      parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Choose the arms, each a NAME or NAME:PARAMETER=VALUE,..., and change single parameters.

    What a text does not say of its strategy is taken from the file's arms of that name.
    """
    present = document.get("strategy", "none")
    arms = [{"name": arm} if isinstance(arm, str) else arm for arm in (present if isinstance(present, list) else [present])]
    if texts is not None:
        tables = [strategy_table(parse_choice(text)) for text in texts]
        arms = [
            arm | table
            for table in tables
            for arm in [own for own in arms if isinstance(own, dict) and own.get("name") == table["name"]] or [{}]
        ]
    present_names = [arm.get("name") for arm in arms if isinstance(arm, dict)]
    unused = [name for name in parameters if name not in present_names]
    if unused:
        raise ScenarioError(
            f"parameters given for {', '.join(unused)}, which is no arm of this run ({', '.join(map(str, present_names))})"
        )
    return document | {
        "strategy": [arm | dict(parameters.get(str(arm.get("name")), {})) if isinstance(arm, dict) else arm for arm in arms]
    }

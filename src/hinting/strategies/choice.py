"""A strategy with its parameters, as it is written on a command line: NAME or NAME:PARAMETER=VALUE,..."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from hinting.errors import StrategyError
from hinting.kinds import of_kind
from hinting.strategies.base import StrategySpec, find

__all__ = ["Choice", "parse_choice"]

#: path/to/file.py:Class, or a name; then parameters.
_TEXT = re.compile(r"(?P<name>(?:.+\.py:\w+|[^:]*?))(?::(?P<parameters>\w+=.*))?")


@dataclass(frozen=True)
class Choice:
    """A strategy by name, with the parameters that differ from their defaults."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """As on the command line."""
        if not self.parameters:
            return self.name
        return f"{self.name}:{','.join(f'{key}={value}' for key, value in self.parameters.items())}"

    def spec(self) -> StrategySpec | None:
        """The strategy, None for "none". Raises StrategyError for what is unknown or out of range."""
        return find(self.name, self.parameters)


def parse_choice(text: str) -> Choice:
    """A choice from text such as "v8", "v8:entries=500,drain=off" or "mine.py:Threshold:threshold=64".

    Raises StrategyError naming what is wrong and what is legal.

    >>> parse_choice("v8:entries=500").parameters
    {'entries': '500'}
    """
    match = _TEXT.fullmatch(of_kind(str, text, "a strategy", "text such as 'v8:entries=500'", StrategyError))
    parameters: dict[str, str] = {}
    for part in match["parameters"].split(",") if match is not None and match["parameters"] else ():
        key, equals, value = part.partition("=")
        if not equals or not key.strip() or not value.strip() or key.strip() in parameters:
            raise StrategyError(f"strategy {text!r}: expected NAME:PARAMETER=VALUE,... with each parameter once, got {part!r}")
        parameters[key.strip()] = value.strip()
    if match is None:
        raise StrategyError(f"strategy {text!r}: expected NAME, path/to/file.py:CLASS, or one of them with :PARAMETER=VALUE,...")
    choice = Choice(match["name"], parameters)
    choice.spec()
    return choice

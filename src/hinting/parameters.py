"""Things with a name and checked parameters: strategies of guests, policies of hosts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from hinting.errors import HintingError, UnitError
from hinting.units import parse_duration, parse_size

__all__ = ["Parameter", "Parameters", "parameter", "read"]


@dataclass(frozen=True)
class Parameter:
    """A parameter's legal values.

    choices: all legal values, or low..high as a range. unit: "pages", "ns", ... ("ns" also accepts "10ms", "bytes" "2GiB").
    """

    text: str
    unit: str = ""
    low: int | None = None
    high: int | None = None
    choices: tuple[Any, ...] | None = None

    @property
    def legal(self) -> str:
        """The legal values in words."""
        if self.choices is not None:
            return "one of " + ", ".join(repr(choice) for choice in self.choices)
        return f"a whole number between {self.low} and {self.high}" + (f" ({self.unit})" if self.unit else "")


def parameter(default: Any, text: str, **legal: Any) -> Any:
    """A dataclass field of a strategy, with its legal values."""
    return dataclasses.field(default=default, metadata={"parameter": Parameter(text, **legal)})


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """A frozen set of parameters, checked when made."""

    #: Name on the command line and in results.
    name: ClassVar[str] = ""
    #: Where its rules come from.
    source: ClassVar[str] = ""
    #: What it is, in errors.
    _kind: ClassVar[str] = ""
    #: What it raises.
    _error: ClassVar[type[HintingError]] = HintingError

    def __post_init__(self) -> None:
        for name, rule in self.parameters().items():
            object.__setattr__(self, name, self._checked(name, rule, getattr(self, name)))

    def _checked(self, name: str, rule: Parameter, value: Any) -> Any:
        parse = {"ns": parse_duration, "bytes": parse_size}.get(rule.unit)
        if rule.choices is None and parse is not None and isinstance(value, str):
            try:
                value = parse(value, name)
            except UnitError as error:
                raise self._error(f"{self._kind} {self.name}: {error}") from None
        if rule.choices is not None:
            fine = any(value == choice and type(value) is type(choice) for choice in rule.choices)
        else:
            fine = isinstance(value, int) and not isinstance(value, bool) and rule.low <= value <= rule.high  # type: ignore[operator]
        if not fine:
            raise self._error(f"{self._kind} {self.name}: {name} must be {rule.legal}, got {value!r}")
        return value

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """The parameters by name."""
        return {field.name: field.metadata["parameter"] for field in dataclasses.fields(cls)}


def read(rule: Parameter, value: Any) -> Any:
    """Text from a command line as a parameter's value; anything unreadable stays for the check to refuse."""
    if not isinstance(value, str):
        return value
    for choice in rule.choices or ():
        if value.lower() == str(choice).lower():
            return choice
    return int(value) if rule.choices is None and value.removeprefix("-").isdecimal() else value

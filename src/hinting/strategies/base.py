"""What a strategy is in Python: a name, checked parameters, and the compiled strategy that they make."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hinting._core.strategies.hooks import Strategy
from hinting.errors import StrategyError, UnitError
from hinting.kinds import of_kind
from hinting.strategies import plugins
from hinting.units import parse_duration, parse_size

if TYPE_CHECKING:
    from hinting.simulation import Simulation
    from hinting.vm import VM

__all__ = ["Parameter", "StrategySpec", "find", "names", "parameter"]

_REGISTRY: dict[str, type[StrategySpec]] = {}


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
class StrategySpec:
    """Base of all strategies: a frozen set of parameters, checked when made. Raises StrategyError."""

    #: Name on the command line and in results.
    name: ClassVar[str] = ""
    #: Where its rules come from.
    source: ClassVar[str] = ""
    #: Unit of its counters.
    counter_unit: ClassVar[str] = "KiB"
    #: The parameter that holds the smallest order of a free block that is reported; none: every order is.
    reports_from: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.name and not plugins.is_reading_file():
            _register(cls)

    def __post_init__(self) -> None:
        for name, rule in self.parameters().items():
            object.__setattr__(self, name, self._checked(name, rule, getattr(self, name)))

    def _checked(self, name: str, rule: Parameter, value: Any) -> Any:
        parse = {"ns": parse_duration, "bytes": parse_size}.get(rule.unit)
        if rule.choices is None and parse is not None and isinstance(value, str):
            try:
                value = parse(value, name)
            except UnitError as error:
                raise StrategyError(f"strategy {self.name}: {error}") from None
        if rule.choices is not None:
            fine = any(value == choice and type(value) is type(choice) for choice in rule.choices)
        else:
            fine = isinstance(value, int) and not isinstance(value, bool) and rule.low <= value <= rule.high  # type: ignore[operator]
        if not fine:
            raise StrategyError(f"strategy {self.name}: {name} must be {rule.legal}, got {value!r}")
        return value

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """The parameters by name."""
        return {field.name: field.metadata["parameter"] for field in dataclasses.fields(cls)}

    @property
    def reporting_order(self) -> int:
        """Smallest order of a free block that is reported."""
        if not self.reports_from:
            return 0
        if self.reports_from not in self.parameters():
            raise StrategyError(f"strategy {self.name}: reports_from must name one of the parameters "
                                f"{', '.join(self.parameters())}, got {self.reports_from!r}")
        return int(getattr(self, self.reports_from))

    def core(self) -> Strategy:
        """A new compiled strategy, for one guest."""
        raise StrategyError(f"strategy {self.name} has no core")

    def launched(self, simulation: Simulation, vm: VM) -> None:
        """A guest with this strategy was launched: the moment to set up what belongs to its host."""


def _register(cls: type[StrategySpec]) -> None:
    """Make a strategy known by its name; the same class may come again, as when a notebook cell is run twice."""
    other = _REGISTRY.get(cls.name)
    own = f"{cls.__module__}.{cls.__qualname__}"
    taken = own if other is None else f"{other.__module__}.{other.__qualname__}"
    if cls.name == "none" or taken != own:
        by = "guests without a strategy" if other is None else taken
        raise StrategyError(f"strategy name {cls.name!r} of {own} is taken by {by}: set another `name`")
    _REGISTRY[cls.name] = cls


def _by_number(name: str) -> list[str | int]:
    """v9 before v10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def names() -> tuple[str, ...]:
    """Names of all strategies, those of plug-ins included; "none" is a guest without one."""
    plugins.load(StrategySpec)
    return ("none", *sorted(_REGISTRY, key=_by_number))


def find(name: str, parameters: Mapping[str, Any] | None = None) -> StrategySpec | None:
    """A strategy by name or as `path/to/file.py:Class`, with parameters that differ from their defaults.

    None for "none". Text values are read as the parameter's type. Raises StrategyError naming what is unknown and what is legal.
    """
    of_kind(str, name, "strategy", "a name", StrategyError)
    given = dict(of_kind(Mapping, parameters or {}, f"strategy {name}: parameters", "a table", StrategyError))  # type: ignore[type-abstract]
    if name == "none":
        if given:
            raise StrategyError(f"strategy none has no parameters, got {', '.join(given)}")
        return None
    if plugins.is_file(name):
        spec = plugins.from_file(name, StrategySpec)
    elif name in _REGISTRY or name in names():
        spec = _REGISTRY[name]
    else:
        raise StrategyError(f"unknown strategy {name!r}, expected one of {', '.join(names())}, "
                            f"or path/to/file.py:Class")
    legal = spec.parameters()
    for key in given:
        if key not in legal:
            raise StrategyError(f"strategy {name}: unknown parameter {key!r}, expected one of {', '.join(legal)}")
    return spec(**{key: _read(legal[key], value) for key, value in given.items()})


def _read(rule: Parameter, value: Any) -> Any:
    """Text from a command line as a parameter's value; anything unreadable stays for the check to refuse."""
    if not isinstance(value, str):
        return value
    for choice in rule.choices or ():
        if value.lower() == str(choice).lower():
            return choice
    return int(value) if rule.choices is None and value.removeprefix("-").isdecimal() else value

"""What a strategy is in Python: a name, checked parameters, and the compiled strategy that they make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hinting._core.strategies.hooks import Strategy
from hinting.errors import HintingError, StrategyError
from hinting.parameters import Parameter, Parameters, parameter, read
from hinting.strategies import plugins

if TYPE_CHECKING:
    from hinting.simulation import Simulation
    from hinting.vm import VM

__all__ = ["Parameter", "StrategySpec", "find", "names", "parameter"]

_REGISTRY: dict[str, type[StrategySpec]] = {}


@dataclass(frozen=True, kw_only=True)
class StrategySpec(Parameters):
    """Base of all strategies: a frozen set of parameters, checked when made. Raises StrategyError."""

    _kind: ClassVar[str] = "strategy"
    _error: ClassVar[type[HintingError]] = StrategyError
    #: Unit of its counters.
    counter_unit: ClassVar[str] = "KiB"
    #: Kinds of guest RAM that it is modelled for; None: all.
    backings: ClassVar[tuple[str, ...] | None] = None
    #: The parameter that holds the smallest order of a free block that is reported; none: every order is.
    reports_from: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.name and not plugins.is_reading_file():
            _register(cls)

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

    def check_backing(self, backing: str, locked: bool = False) -> None:
        """StrategyError if it is not modelled for a guest with such RAM."""
        if self.backings is not None and backing not in self.backings:
            raise StrategyError(f"strategy {self.name}: not modelled for memory of {backing}, expected one of "
                                f"{', '.join(self.backings)}")
        if self.backings == ("anonymous",) and locked:
            raise StrategyError(f"strategy {self.name}: not modelled for locked memory")
        if getattr(self, "host_action", None) == "free" and backing != "anonymous":
            raise StrategyError(f"strategy {self.name}: host_action free (MADV_FREE) needs anonymous memory, got {backing}")

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
    given = dict(parameters or {})
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
    return spec(**{key: read(legal[key], value) for key, value in given.items()})


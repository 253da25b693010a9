"""Report every block as soon as it has merged to a given order."""

from dataclasses import dataclass
from typing import ClassVar

from eager.hooks import core_of
from hinting.strategies import StrategySpec, parameter

__all__ = ["Eager"]


@dataclass(frozen=True, kw_only=True)
class Eager(StrategySpec):
    """Report every block as soon as it has merged to min_order."""

    name: ClassVar[str] = "eager"
    source: ClassVar[str] = "an example"

    min_order: int = parameter(9, "smallest order that is reported", low=0, high=10)

    def core(self):
        """The compiled hooks with a state of their own."""
        return core_of(self.name, self.min_order)

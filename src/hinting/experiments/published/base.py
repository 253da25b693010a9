"""A published number beside the emulated one."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Row"]


@dataclass(frozen=True)
class Row:
    """One published number and what the emulator says.

    id: unique name. source: where it was published. unit: of both numbers. tolerance: largest relative deviation that
    counts as reproduced.
    """

    id: str
    source: str
    published: float
    emulated: float
    unit: str
    tolerance: float

    @property
    def deviation(self) -> float:
        """(emulated - published) / published."""
        return self.emulated / self.published - 1

    @property
    def is_reproduced(self) -> bool:
        """Whether the deviation is within the tolerance."""
        return abs(self.deviation) <= self.tolerance

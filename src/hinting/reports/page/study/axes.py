"""Axes of a sweep as a page shows them: few levels with short names, whatever values were tried."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

__all__ = ["ABSENT", "MOST_LEVELS", "Axis", "axis_of", "text_of"]

#: Level of a point that an axis does not apply to.
ABSENT = -1
#: An axis of more numbers is shown in ranges.
MOST_LEVELS = 12
_RANGES = 8
_STEPS = {
    "bytes": (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)),
    "ns": (("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)),
}


def text_of(value: Any, unit: str = "") -> str:
    """A value as a scenario file takes it; "-" where the axis does not apply.

    >>> text_of(1400 * 2**20, "bytes"), text_of(3162, "ns"), text_of(31623, "ns"), text_of(0.1), text_of(None)
    ('1400MiB', '3.162us', '31.62us', '0.1', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value if isinstance(value, str) else json.dumps(value)
    steps = [(name, value / size) for name, size in _STEPS.get(unit, ()) if value >= size]
    for name, parts in steps:
        if float(f"{parts:.4g}") == parts:
            return f"{parts:.4g}{name}"
    if steps:
        return f"{steps[0][1]:.4g}{steps[0][0]}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Axis:
    """An axis. values: those that were tried, in order. levels: names of what is told apart, single values or ranges of them."""

    name: str
    unit: str
    values: tuple[Any, ...]
    levels: tuple[str, ...]
    starts: tuple[int, ...]

    @cached_property
    def _places(self) -> dict[Any, int]:
        ends = (*self.starts[1:], len(self.values))
        return {
            value: level
            for level, (start, end) in enumerate(zip(self.starts, ends, strict=True))
            for value in self.values[start:end]
        }

    def level(self, value: Any) -> int:
        """Index of the level of a value."""
        return ABSENT if value is None else self._places[value]

    def text(self, value: Any) -> str:
        """A value with its unit."""
        return text_of(value, self.unit)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def axis_of(name: str, unit: str, values: Iterable[Any]) -> Axis:
    """An axis from the values of all points. Numbers are put in order, the rest stays as it came."""
    found: Sequence[Any] = list(dict.fromkeys(value for value in values if value is not None))
    numbers = bool(found) and all(map(_is_number, found))
    if numbers:
        found = sorted(found)
    if not numbers or len(found) <= MOST_LEVELS:
        return Axis(name, unit, tuple(found), tuple(text_of(value, unit) for value in found), tuple(range(len(found))))
    starts = sorted({len(found) * i // _RANGES for i in range(_RANGES)})
    lasts = [*(start - 1 for start in starts[1:]), len(found) - 1]
    names = tuple(f"{text_of(_short(found[a]), unit)} to {text_of(_short(found[b]), unit)}"
                  for a, b in zip(starts, lasts, strict=True))
    return Axis(name, unit, tuple(found), names, tuple(starts))


def _short(value: float) -> float:
    """Three significant digits; what is left of a whole number stays whole."""
    short = float(f"{value:.3g}")
    return int(short) if isinstance(value, int) else short

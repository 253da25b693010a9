"""The values along an axis: a list, a range, a logarithmic range, or the limits between which samples lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator

from hinting.errors import SweepError
from hinting.results.columns import quantity
from hinting.units import PAGE_BYTES

__all__ = ["FLAT", "Axis", "Limits", "Span", "axis_values", "flat_axes", "parse_axis", "sampled"]

#: Keys of a range, in the order of messages.
RANGE_KEYS = dict.fromkeys(("from", "to", "step", "points", "log")).keys()
#: Most values of one range.
MOST = 10_000_000


@dataclass(frozen=True)
class Span:
    """Numbers from low to high, both included. step or points: how many; without either, limits for samples.

    log: evenly spaced ratios. unit: "bytes", "ns" or "". whole: only whole numbers (of pages, for bytes).
    """

    low: float
    high: float
    step: float | None
    points: int | None
    log: bool
    unit: str
    whole: bool

    def at(self, where: np.ndarray) -> list[Any]:
        """Values at places between 0 (low) and 1 (high)."""
        found = self.low * (self.high / self.low) ** where if self.log else self.low + (self.high - self.low) * where
        return self._legal(np.clip(found, self.low, self.high))

    def values(self) -> list[Any]:
        """All values, each once."""
        if self.step is not None:
            steps = np.arange(int((self.high - self.low) / self.step + 1e-9) + 1)
            found = self._legal(self.low + self.step * steps)
        else:
            assert self.points is not None
            found = self.at(np.linspace(0, 1, self.points))
        return list(dict.fromkeys(found))

    def _legal(self, found: np.ndarray) -> list[Any]:
        if not self.whole:
            return [float(value) for value in found]
        grain = PAGE_BYTES if self.unit == "bytes" and self.low >= PAGE_BYTES else 1
        return [round(value / grain) * grain for value in found.tolist()]


def _number(key: str, value: Any) -> tuple[float, str]:
    found = quantity(value)
    if found is not None:
        return found
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SweepError(f"{key}: expected a number, a size such as '1GiB' or a duration such as '10ms', got {value!r}")
    return value, ""


def _span(given: Mapping[str, Any]) -> Span:
    for key in given:
        if key not in RANGE_KEYS:
            raise SweepError(f"unknown key {key!r}, expected {', '.join(RANGE_KEYS)}")
    if "from" not in given or "to" not in given:
        raise SweepError("a range needs from and to")
    (low, unit), (high, other) = _number("from", given["from"]), _number("to", given["to"])
    step, points, log = given.get("step"), given.get("points"), given.get("log", False)
    if unit != other:
        raise SweepError(f"from {given['from']!r} and to {given['to']!r} are not of one unit")
    if not isinstance(log, bool):
        raise SweepError(f"log: expected true or false, got {log!r}")
    if low > high or (log and low <= 0):
        raise SweepError(f"from must be {'above 0 and ' if log else ''}no more than to, got {given['from']!r} to {given['to']!r}")
    if step is not None and (points is not None or log):
        raise SweepError("a range has either a step or a number of points, with log the number of points")
    if points is not None and (not isinstance(points, int) or isinstance(points, bool) or not 1 <= points <= MOST):
        raise SweepError(f"points: expected a whole number from 1 to {MOST}, got {points!r}")
    if step is not None:
        step, step_unit = _number("step", step)
        if step_unit != unit or step <= 0 or (high - low) / step > MOST:
            raise SweepError(f"step: expected above 0, in the unit of from and to, at most {MOST} steps, got {given['step']!r}")
    whole = all(isinstance(value, int) for value in (low, high, 0 if step is None else step))
    return Span(low, high, step, points, log, unit, whole)


def parse_axis(given: Any) -> Span | list[Any]:
    """An axis of a file: a list of values as it is, a table as a Span. Raises SweepError for anything else."""
    if isinstance(given, Mapping):
        return _span(given)
    if not isinstance(given, (list, tuple)):
        raise SweepError(f"expected a list of values or a range {{ from, to, step or points, log }}, got {given!r}")
    if not given:
        raise SweepError("has no values")
    return list(given)


def flat_axes(given: Any) -> Any:
    """Axes by their paths, as written in quotes, or without, of which TOML makes tables in tables.

    >>> flat_axes({"guests": {"0": {"memory": ["1GiB", "2GiB"]}}, "thp": ["always"], "v8.entries": {"from": 1, "to": 9}})
    {'guests.0.memory': ['1GiB', '2GiB'], 'thp': ['always'], 'v8.entries': {'from': 1, 'to': 9}}
    """
    if not isinstance(given, Mapping):
        return given
    found: dict[str, Any] = {}
    for key, value in given.items():
        inner = value if isinstance(value, Mapping) and value and RANGE_KEYS.isdisjoint(value) else None
        parts = {key: value} if inner is None else {f"{key}.{name}": each for name, each in flat_axes(inner).items()}
        for path, each in parts.items():
            if path in found:
                raise SweepError(f"{path} is there twice")
            found[path] = each
    return found


def axis_values(given: Any) -> list[Any]:
    """All values of an axis, each once. Raises SweepError."""
    axis = parse_axis(given)
    if isinstance(axis, Span):
        if axis.step is None and axis.points is None:
            raise SweepError("a range needs step or points")
        return axis.values()
    return [value for i, value in enumerate(axis) if value not in axis[:i] or isinstance(value, bool)]


def sampled(given: Any, where: np.ndarray) -> list[Any]:
    """Values of an axis at places from 0 up to 1: between its limits, or of its list."""
    axis = parse_axis(given)
    if isinstance(axis, Span):
        return axis.at(where)
    return [axis[int(at * len(axis))] for at in where]


def _checked_axis(given: Any) -> Any:
    axis_values(given)
    return given


def _checked_limits(given: Any) -> Any:
    axis = parse_axis(given)
    if isinstance(axis, Span) and (axis.step is not None or axis.points is not None):
        raise SweepError("limits of samples have from, to and log alone")
    return given


#: A list or a range, kept as it was written.
Axis = Annotated[Any, AfterValidator(_checked_axis)]
#: A list or limits, kept as they were written.
Limits = Annotated[Any, AfterValidator(_checked_limits)]
#: In front of a table of axes.
FLAT = BeforeValidator(flat_axes)

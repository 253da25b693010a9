"""Checks of the arguments that reach the host core from Python."""

from __future__ import annotations

from hinting.errors import HostError

__all__ = ["MAX_FRAMES", "MAX_NPFN", "real", "whole"]

MAX_FRAMES = 1 << 40
MAX_NPFN = (1 << 32) - 1


def whole(name: str, value: object, low: int, high: int) -> int:
    """`value` if it is an int between low and high; HostError naming it if not."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise HostError(f"{name} must be a whole number between {low} and {high}, got {value!r}")
    return value


def real(name: str, value: object, low: float, high: float) -> float:
    """`value` as a float if it is a number between low and high; HostError naming it if not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise HostError(f"{name} must be a number between {low:g} and {high:g}, got {value!r}")
    return float(value)

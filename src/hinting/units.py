"""Sizes and durations as people write them: "5GiB", "15837MiB", "15GB", "2ms"."""

from __future__ import annotations

import re

from hinting._core.limits import PAGE_BYTES
from hinting.errors import UnitError

__all__ = ["PAGE_BYTES", "format_gib", "parse_duration", "parse_size", "size_pages"]

_SIZES = {"": 1, "b": 1}
_SIZES |= {f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgtp", start=1)}
_SIZES |= {f"{prefix}b": 1000**power for power, prefix in enumerate("kmgtp", start=1)}
_TIMES = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000, "h": 3_600_000_000_000}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-zA-Z]*)\s*")


def _parse(value: str, units: dict[str, int], what: str, name: str) -> float:
    match = _NUMBER.fullmatch(value)
    if match is None or match[2].lower() not in units:
        raise UnitError(f"{name}: {value!r} is not a {what}, expected a number with one of {', '.join(u for u in units if u)}")
    return float(match[1]) * units[match[2].lower()]


def parse_size(value: int | float | str, name: str = "size") -> int:
    """Bytes of a size: a number of bytes, or text with B, KiB, MiB, GiB, TiB, or decimal KB, MB, GB, TB.

    Raises UnitError, naming `name`, for anything else and for negative sizes.

    >>> parse_size("5GiB") // 2**30
    5
    """
    if isinstance(value, str):
        value = _parse(value, _SIZES, "size", name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**63:
        raise UnitError(f"{name}: {value!r} is not a size, expected bytes or text such as '5GiB'")
    return int(value)


def size_pages(value: int | float | str, name: str = "size") -> int:
    """A size in whole pages of 4 KiB: text such as "15GB" is rounded down, a number must be a multiple (UnitError)."""
    size = parse_size(value, name)
    if size % PAGE_BYTES and not isinstance(value, str):
        raise UnitError(f"{name}: {size} bytes is not a multiple of the 4 KiB page")
    return size // PAGE_BYTES


def parse_duration(value: int | float | str, name: str = "duration") -> int:
    """Nanoseconds of a duration: a number of ns, or text with ns, us, ms, s, min, h.

    Raises UnitError, naming `name`, for anything else and for negative durations.

    >>> parse_duration("2ms")
    2000000
    """
    if isinstance(value, str):
        value = _parse(value, _TIMES, "duration", name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**62:
        raise UnitError(f"{name}: {value!r} is not a duration, expected ns or text such as '10ms'")
    return int(value)


def format_gib(size: int | float) -> str:
    """Bytes as GiB with two decimals.

    >>> format_gib(3 * 2**29)
    '1.50'
    """
    return f"{size / 2**30:.2f}"

"""How many guests fit by arithmetic: a number to hold beside the simulated one, and what it hangs on."""

from __future__ import annotations

from dataclasses import dataclass

from hinting._core.host.watermark import host_watermarks, host_zones
from hinting.errors import HintingError
from hinting.units import PAGE_BYTES, parse_size

__all__ = ["Capacity", "estimate", "sensitivity"]


@dataclass(frozen=True)
class Capacity:
    """Guests that fit one after the other: if each keeps its peak, and if only one is at its peak at a time."""

    without: int
    reclaimed: int


def estimate(host: int | str, base: int | str, peak: int | str, resident: int | str) -> Capacity:
    """The estimate for a host without swap.

    base: what the host itself needs. peak: most that a guest costs the host, its VMM and page tables included.
    resident: what it costs once its free memory was given back. The high watermark stays free. Raises HintingError if
    a guest costs nothing, or more at rest than at its peak.

    >>> estimate("15GiB", "0.95GiB", "4.6GiB", "0.7GiB")
    Capacity(without=3, reclaimed=14)
    """
    frames = parse_size(host, "host memory") // PAGE_BYTES
    high = sum(marks.high for marks in host_watermarks(host_zones(frames))[1]) * PAGE_BYTES
    room = frames * PAGE_BYTES - parse_size(base, "host base") - high
    most, least = parse_size(peak, "peak"), parse_size(resident, "resident")
    if not 0 < least <= most:
        raise HintingError(f"resident must be above 0 and no more than peak {peak!r}, got {resident!r}")
    if room < most:
        return Capacity(0, 0)
    return Capacity(room // most, 1 + (room - most) // least)


def sensitivity(host: int | str, base: int | str, peak: int | str, resident: int | str) -> dict[int, Capacity]:
    """The estimate with the host's own needs 256 MiB lower, as given, and 256 MiB higher: {difference in MiB: estimate}."""
    own = parse_size(base, "host base")
    return {step: estimate(host, max(0, own + (step << 20)), peak, resident) for step in (-256, 0, 256)}

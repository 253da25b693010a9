"""How many guests fit by arithmetic: a number to hold beside the simulated one, and what it hangs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hinting._core.host.watermark import host_watermarks, host_zones
from hinting.errors import HintingError
from hinting.units import PAGE_BYTES, parse_size

if TYPE_CHECKING:
    from hinting.experiments.result import Result
    from hinting.scenarios import Scenario

__all__ = ["STEPS_MIB", "Capacity", "check_sensitivity", "estimate", "sensitivity", "simulated_sensitivity"]

#: Differences of the host's own needs that the number of guests is looked at for.
STEPS_MIB = (-256, 0, 256)


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
    return {step: estimate(host, max(0, own + (step << 20)), peak, resident) for step in STEPS_MIB}


def check_sensitivity(scenario: Scenario) -> None:
    """HintingError for a scenario whose number of guests is given."""
    if scenario.schedule.launch != "one-by-one":
        raise HintingError(f"sensitivity: scenario {scenario.name} launches all its guests: expected schedule.launch one-by-one")


def simulated_sensitivity(result: Result) -> dict[str, dict[int, int]]:
    """How many guests fit with the host's own needs 256 MiB lower, as they are, and higher, by strategy: two more runs.

    Raises HintingError for a scenario that does not launch one by one, whose number of guests is given.
    """
    from hinting.experiments.run import run

    scenario = result.scenario
    check_sensitivity(scenario)
    own = parse_size(scenario.host.base)
    found: dict[str, dict[int, int]] = {arm.strategy: {} for arm in result.arms}
    for step in STEPS_MIB:
        arms = result.arms
        if step:
            arms = run(scenario.changed({"host.base": max(PAGE_BYTES, own + (step << 20))})).arms
        for arm in arms:
            found[arm.strategy][step] = arm.guests_launched
    return found

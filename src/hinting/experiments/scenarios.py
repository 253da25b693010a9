"""The scenarios that are built in, by name."""

from __future__ import annotations

from dataclasses import dataclass

from hinting.errors import HintingError
from hinting.experiments.seed import SeedSetting

__all__ = ["SCENARIOS", "Scenario", "find_scenario"]


@dataclass(frozen=True)
class Scenario:
    """A built-in scenario: its name, one line about it, and its setting."""

    name: str
    text: str
    setting: SeedSetting


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("seed", "15 GB host without swap, guests of 5 GB one after the other, a program of 4 GB in each", SeedSetting()),
    )
}


def find_scenario(name: str) -> Scenario:
    """A built-in scenario; HintingError for an unknown name."""
    try:
        return SCENARIOS[name]
    except KeyError:
        raise HintingError(f"unknown scenario {name!r}, expected one of {', '.join(SCENARIOS)}") from None

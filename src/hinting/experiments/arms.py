"""One arm of an experiment, ready to run: the seam between comparisons and what a scenario is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from hinting.experiments.scenarios import find_scenario
from hinting.experiments.seed import ArmResult, SeedSetting, check, run_seed
from hinting.experiments.setting import override
from hinting.strategies.choice import Choice

__all__ = ["ReadyArm", "run_arm"]


@dataclasses.dataclass(frozen=True)
class ReadyArm:
    """A checked arm; calling it runs it. label: its name in results. setting: what it shares with other arms."""

    label: str
    setting: dict[str, Any]
    ready: SeedSetting

    def __call__(self, progress: Callable[[str, int], None] | None) -> ArmResult:
        return run_seed(self.ready, progress=lambda _, n: progress(self.label, n) if progress is not None else None).arms[0]


def run_arm(
    scenario: str, choice: Choice, parameters: Mapping[str, Any], changes: Mapping[str, str], seed: int | None
) -> ReadyArm:
    """An arm of a scenario with one strategy. Raises HintingError for whatever is wrong with any of it."""
    setting = override(find_scenario(scenario).setting, changes)
    if seed is not None:
        setting = dataclasses.replace(setting, seed=seed)
    shared = {key: value for key, value in vars(setting).items() if not key.startswith("strateg")}
    given = {choice.name: dict(parameters)} if parameters else {}
    setting = dataclasses.replace(setting, strategies=(choice.name,), strategy_parameters=given)
    check(setting)
    return ReadyArm(choice.label, shared, setting)

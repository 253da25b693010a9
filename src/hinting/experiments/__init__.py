"""Experiments: a named setting, run to a result."""

from hinting.experiments.compare import ComparedArm, Comparison, compare
from hinting.experiments.scenarios import SCENARIOS, Scenario
from hinting.experiments.seed import ArmResult, SeedResult, SeedSetting, run_seed

__all__ = [
    "SCENARIOS",
    "ArmResult",
    "ComparedArm",
    "Comparison",
    "Scenario",
    "SeedResult",
    "SeedSetting",
    "compare",
    "run_seed",
]

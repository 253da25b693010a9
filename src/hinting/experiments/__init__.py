"""Experiments: a named setting, run to a result."""

from hinting.experiments.scenarios import SCENARIOS, Scenario
from hinting.experiments.seed import ArmResult, SeedResult, SeedSetting, run_seed

__all__ = ["SCENARIOS", "ArmResult", "Scenario", "SeedResult", "SeedSetting", "run_seed"]

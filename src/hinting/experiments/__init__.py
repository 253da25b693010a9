"""Experiments: a scenario, run to a result."""

from hinting.experiments.compare import ComparedArm, Comparison, compare
from hinting.experiments.result import ArmResult, GuestResult, Result
from hinting.experiments.run import run

__all__ = ["ArmResult", "ComparedArm", "Comparison", "GuestResult", "Result", "compare", "run"]

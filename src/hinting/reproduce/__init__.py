"""Published results beside emulated ones: one row a number, none fitted to itself.

The numbers with their sources and tolerances are in the folder published, one file an experiment; the runs are ordinary
scenarios.
"""

from hinting.reproduce.published import Experiment, Line, Run, experiments, select
from hinting.reproduce.rows import Reproduction, Row
from hinting.reproduce.run import reproduce

__all__ = ["Experiment", "Line", "Reproduction", "Row", "Run", "experiments", "reproduce", "select"]

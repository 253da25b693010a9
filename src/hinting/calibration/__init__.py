"""Measuring this machine's costs, as a cost profile that scenarios can be run with."""

from hinting.calibration.file import to_toml, write
from hinting.calibration.machine import Machine
from hinting.calibration.probe import Probe, Skip, Tools
from hinting.calibration.run import Calibration, Measurement, calibrate

__all__ = ["Calibration", "Machine", "Measurement", "Probe", "Skip", "Tools", "calibrate", "to_toml", "write"]

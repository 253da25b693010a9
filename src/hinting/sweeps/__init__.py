"""Sweeps: many points of one scenario on many cores, nothing of it lost; and searches of the same kind."""

from hinting.sweeps.design import Design, Point
from hinting.sweeps.driver import Summary, sweep
from hinting.sweeps.model import Sweep

__all__ = ["Design", "Point", "Summary", "Sweep", "sweep"]

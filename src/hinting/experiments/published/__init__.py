"""Published measurements, each emulated by running the guest, the strategy and the host: one module an experiment.

Each module has `rows(...)`, which runs the experiment and returns one Row for each published number. Nothing here is
fitted: costs come from a cost profile, work from what the emulated code does.
"""

from hinting.experiments.published.base import Row

__all__ = ["Row"]

"""A probe: one kind of measurement, and what it may use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hinting.calibration.machine import Machine

__all__ = ["Probe", "Samples", "Skip", "Tools"]

#: Samples by the name of what was measured; the unit is that of the rule which uses them (rules.py), ns if it is a time.
Samples = dict[str, NDArray[np.float64]]


class Skip(Exception):
    """A probe that makes no sense on this machine; the text says why."""


@dataclass
class Tools:
    """What a probe works with. effort: 1 for a full run; a quick one takes fewer samples. facts: what a probe finds out
    besides costs, for the profile's table `machine`."""

    machine: Machine
    effort: float = 1.0
    clock_ns: float = 0.0
    seed: int = 0
    facts: dict[str, float | bool] = field(default_factory=dict)

    def count(self, full: int, least: int = 20) -> int:
        """How many samples to take where a full run takes `full`."""
        return max(least, round(full * self.effort))

    def order(self, pieces: int) -> NDArray[np.int64]:
        """All pieces of an area in a random order, the same in every run."""
        return np.random.default_rng(self.seed).permutation(pieces)

    def two_cpus(self) -> tuple[int, int]:
        """Two CPUs; Skip if there is one only."""
        if len(self.machine.cpus) < 2:
            raise Skip("needs two CPUs")
        return self.machine.cpus[0], self.machine.cpus[1]

    @contextmanager
    def beside(self, work: Callable[[], object], cpu: int) -> Iterator[None]:
        """Run something in a thread on a CPU meanwhile; wait for its end."""

        def pinned() -> None:
            os.sched_setaffinity(0, {cpu})
            work()

        thread = threading.Thread(target=pinned, daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join()


@dataclass(frozen=True)
class Probe:
    """name: what is measured. measure: returns samples, raises Skip. gives: names of the samples, for a run that skips it.
    vm_reason: set for a measurement that in a virtual machine says nothing about hosts."""

    name: str
    measure: Callable[[Tools], Samples]
    gives: tuple[str, ...]
    vm_reason: str = ""

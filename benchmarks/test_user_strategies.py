"""What a user's strategy costs: a decision in Numba, in Python (by batch, by page), in Cython's table, and with none at all."""

from __future__ import annotations

import numpy as np
import pytest

import hinting
from hinting import Guest, Host, Simulation, workloads
from hinting.strategies import V8, find

PAGES = np.arange(100_000, 200_000, dtype=np.uint32)


@hinting.strategy
class NumbaNotes:
    """Note the page."""

    def state(self):
        return {"n": "i8", "pages": ("u4", 1024)}

    def on_free(self, guest, cpu, pfn, order):
        self.pages[self.n & 1023] = pfn
        self.n += 1


@hinting.strategy
class NumbaAsks:
    """Ask for the page's free block: one call back into the allocator."""

    def state(self):
        return {"n": "i8"}

    def on_free(self, guest, cpu, pfn, order):
        head, block_order = guest.block(pfn)
        if head >= 0:
            self.n += 1 << block_order


@hinting.strategy
class NumbaEmpty:
    """Nothing."""

    def on_free(self, guest, cpu, pfn, order):
        pass


@hinting.strategy(numba=False)
class PythonNotes:
    """Sum up the pages of a batch."""

    def setup(self, n_cpus):
        self.n = 0

    def on_free(self, guest, cpu, pfns, orders):
        self.n += int((1 << orders).sum())


@hinting.strategy(numba=False)
class PythonAsks:
    """Ask for the free block of every page of a batch."""

    def setup(self, n_cpus):
        self.n = 0

    def on_free(self, guest, cpu, pfns, orders):
        heads, _ = guest.blocks(pfns)
        self.n += np.unique(heads[heads >= 0]).size


@hinting.strategy(numba=False)
class PythonPage:
    """Count a page's pages, a call a page."""

    batch = 1

    def setup(self, n_cpus):
        self.n = 0

    def on_free(self, guest, cpu, pfn, order):
        self.n += 1 << order


KINDS = [NumbaEmpty, NumbaNotes, NumbaAsks, PythonNotes, PythonAsks, PythonPage]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_decision(benchmark, kind):
    core = Guest("1GiB", strategy=kind()).strategy_core
    benchmark.extra_info["pages"] = PAGES.size
    benchmark(core.feed, PAGES)


@pytest.mark.parametrize("strategy", ["none", "empty hook", "v8", "v8 in Numba"])
def test_process_exit(benchmark, strategy):
    """A program of 1 GiB in 4 KiB pages: allocation, faults and exit, with and without a strategy."""
    made = {
        "none": lambda: None, "empty hook": NumbaEmpty, "v8": V8,
        "v8 in Numba": lambda: find("examples/v8_numba.py:V8Numba"),
    }[strategy]

    def start():
        sim = Simulation(Host("4GiB"), seed=1)
        sim.launch(Guest("2GiB", strategy=made(), thp="never"), workload=workloads.memhog("1GiB"))
        return (sim,), {}

    benchmark.extra_info["pages"] = 1 << 18
    benchmark.pedantic(lambda sim: sim.run(), setup=start, rounds=15, warmup_rounds=2)

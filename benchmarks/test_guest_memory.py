"""Guests that use their memory: files, processes, kernel caches; a million rows of one page each."""

import numpy as np
import pytest

import hinting as h
from hinting.workloads import OP_DTYPE, OPS, program

ROWS = 1_000_000
HEAP = 400_000


def rows(op, n, **fields):
    """n rows of one op."""
    out = np.zeros(n, OP_DTYPE)
    out["op"] = OPS[op]
    for name, values in fields.items():
        out[name] = values
    return out


def random_pages(n, below):
    return np.random.Generator(np.random.PCG64(1)).integers(0, below, n)


def mapped(pages=HEAP):
    return program(("SPAWN", {}), ("MMAP", {"a": pages}), ("TOUCH", {"b": pages}))


def unmap_and_touch():
    at = random_pages(ROWS // 2, HEAP)
    return np.stack([rows("UNMAP", ROWS // 2, a=at, b=1), rows("TOUCH", ROWS // 2, a=at, b=1)], 1).ravel()


#: name: rows that prepare the guest, rows that are measured, pages or objects that these handle.
CASES = {
    "read-reclaim": (lambda: program(), lambda: program(("READ", {"file": 1, "b": 2_000_000})), 2_000_000),
    "write-reclaim": (lambda: program(), lambda: program(("WRITE", {"file": 1, "b": 2_000_000})), 2_000_000),
    "read-random-rows": (
        lambda: program(("READ", {"file": 1, "b": HEAP})),
        lambda: rows("READ", ROWS, file=1, a=random_pages(ROWS, 2 * HEAP), b=1),
        ROWS,
    ),
    "touch-random-rows": (mapped, lambda: rows("TOUCH", ROWS, a=random_pages(ROWS, HEAP), b=1), ROWS),
    "unmap-touch-rows": (mapped, unmap_and_touch, ROWS),
    "fork-and-exit": (
        lambda: mapped(200_000),
        lambda: program(*[("FORK", {"a": 1}), ("EXIT", {"proc": 1})] * 10),
        2_000_000,
    ),
    "copy-on-write": (lambda: mapped(200_000), lambda: program(("FORK", {"a": 1}), ("TOUCH", {"b": 200_000})), 200_000),
    "slab-objects": (
        lambda: program(),
        lambda: program(("SLAB_GROW", {"a": ROWS, "b": 21}), ("SLAB_SHRINK", {})),
        2 * ROWS,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_guest_memory(benchmark, case):
    """One case in a guest of 2 GiB without huge pages; the time of making and checking the rows does not count."""
    before, measured, pages = CASES[case]
    work = measured()

    def prepare():
        sim = h.Simulation(h.Host("16GiB"))
        vm = sim.launch(h.Guest("2GiB", kernel="linux-6.1", thp="never"), boot=False, workload=before())
        sim.run()
        vm.submit(work)
        return (sim,), {}

    benchmark.pedantic(lambda sim: sim.run(), setup=prepare, rounds=3, warmup_rounds=1)
    benchmark.extra_info["pages"] = pages
    benchmark.extra_info["rows"] = len(work)

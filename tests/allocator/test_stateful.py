"""The compiled core against the plain model: the same random operations, the same answers and the same lists.

Environment: HINTING_OPERATIONS is the number of operations in all (default 1500000, a third for each kernel),
HINTING_SEED the first seed.
"""

import os

import pytest

from allocator.driver import run
from allocator.harness import KERNELS, make_core, make_reference, record_hooks

OPERATIONS = int(os.environ.get("HINTING_OPERATIONS", 1_500_000))
FIRST_SEED = int(os.environ.get("HINTING_SEED", 0))
STEPS = 2_500
PARTS = 8  # tests a kernel, so that they can run side by side


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kernel", KERNELS)
def test_random_operations(kernel, part):
    seeds = max(1, OPERATIONS // (STEPS * PARTS * len(KERNELS)))
    for number in range(seeds):
        run(kernel, FIRST_SEED + number * PARTS + part, STEPS, make_reference, make_core, record_hooks)

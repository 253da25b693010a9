"""Random guests against the plain model: at any moment a copy, or a state out and in again, goes on as the model does."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.allocator.driver import Driver
from tests.allocator.harness import KERNELS, make_core, make_reference
from tests.snapshots.harness import assert_same_arrays


def by_state(allocator):
    return type(allocator).from_state(allocator.kernel, allocator.state())


def by_exchange(allocator):
    """Back to a moment after having gone on."""
    moment = allocator.copy()
    allocator.drain()
    allocator.exchange(moment)
    return allocator


CHANGES = {"copy": lambda allocator: allocator.copy(), "state": by_state, "exchange": by_exchange}


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    parts=st.lists(st.tuples(st.integers(1, 400), st.sampled_from(sorted(CHANGES))), min_size=1, max_size=6),
)
def test_goes_on_like_the_model(kernel, seed, parts):
    driver = Driver(kernel, seed, make_reference, make_core)
    for steps, change in parts:
        driver.play(steps)
        before = driver.other.state()
        driver.other = CHANGES[change](driver.other)
        driver.compare()
        driver.check()
        assert_same_arrays(before, driver.other.state())
    driver.play(200)


@pytest.mark.parametrize("kernel", KERNELS)
def test_copy_of_a_copy_of_a_state(kernel):
    driver = Driver(kernel, 7, make_reference, make_core)
    driver.play(500)
    state = driver.other.state()
    for make in (by_state, partial(CHANGES["copy"]), by_state):
        driver.other = make(driver.other)
    assert_same_arrays(state, driver.other.state())
    driver.play(1000)

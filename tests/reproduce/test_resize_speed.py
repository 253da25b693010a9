"""How fast 20 GiB guests shrink and grow, emulated: all published numbers within 15 %, and the mechanisms in their order."""

import pytest

from hinting.errors import HintingError
from hinting.reproduce import reproduce
from hinting.reproduce.modules.resize_speed import MECHANISMS, run

GIB = 1 << 18  # pages


def test_the_published_table():
    """One test, for the runs take seconds."""
    table = {row.id.removeprefix("resize-speed/"): row for row in reproduce(["resize-speed"], workers=1).rows}
    assert len(table) == 16
    assert {name: row.error for name, row in table.items() if abs(row.error) > 0.15} == {}
    shrink = {mechanism: table[f"{mechanism}/shrink-touched"].emulated for mechanism in MECHANISMS}
    assert 512 * shrink["balloon-4k"] > 30 * shrink["virtio-mem"] > 100 * shrink["balloon-2m"] > 100 * shrink["hyperalloc"]


def test_same_seed_same_numbers():
    assert run("virtio-mem", moved=GIB) == run("virtio-mem", moved=GIB)


def test_a_guest_that_is_too_small_says_so():
    with pytest.raises(HintingError):
        run("balloon-4k", moved=-GIB)

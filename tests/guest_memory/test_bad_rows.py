"""Rows on guest memory that are wrong: one OpError that names the row and the field."""

import pytest

from hinting.errors import OpError
from tests.guest_memory.harness import launch

BAD = [
    (("READ", {"file": 65537, "b": 1}), "file must not exceed 65536"),
    (("READ", {"file": 1, "a": 1 << 30, "b": 1}), r"a \+ b: a file must not have more than 1073741824 pages"),
    (("WRITE", {"file": 1, "a": 1, "b": (1 << 63) - 1}), r"a \+ b: a file must not have more"),
    (("WRITE", {"file": 1, "a": -1, "b": 1}), "a and b must not be negative"),
    (("TRUNCATE", {"file": 1, "a": (1 << 30) + 1}), "a: a file must not have more"),
    (("SYNC", {"flags": 1}), "flags must be 0 or ALL_FILES"),
]


@pytest.mark.parametrize(("row", "words"), BAD)
def test_refused(row, words):
    with pytest.raises(OpError, match=rf"row 1 \({row[0]}\): {words}"):
        launch(("NOP", {}), row)


def test_empty_ranges_are_fine():
    sim, vm = launch(("READ", {"file": 1}), ("WRITE", {"file": 65536}), ("SYNC", {"file": 3}), ("TRUNCATE", {"file": 4}))
    sim.run()
    sim.check()
    assert len(vm.page_cache()) == 0

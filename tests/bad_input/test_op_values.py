"""What is no op array at all, and values that do not fit their field: OpError, never NumPy's own errors."""

import numpy as np
import pytest

import hinting as h
from hinting._core.engine.ops import OP_DTYPE, validate
from hinting.errors import OpError
from hinting.workloads import program

NPFN = 1000


@pytest.mark.parametrize("rows", ["x", [1, 2], np.zeros(3), np.zeros((2, 2), OP_DTYPE), [("x",)]], ids=str)
def test_what_is_no_op_array(rows):
    with pytest.raises(OpError, match="op array: expected"):
        validate(rows, NPFN)


def test_an_array_of_another_kind_is_not_submitted():
    sim = h.Simulation(h.Host("4GiB"))
    vm = sim.launch(h.Guest("640MiB"), boot=False)
    for rows in ([1, 2], "x", np.zeros(3)):
        with pytest.raises(OpError):
            vm.submit(rows)
    assert vm.is_idle


@pytest.mark.parametrize(
    ("field", "value"), [("a", 2**63), ("a", "x"), ("a", 1.5), ("flags", 256), ("proc", -1), ("order", -1), ("b", None)]
)
def test_values_that_do_not_fit_their_field(field, value):
    with pytest.raises(OpError, match=field):
        program(("SLEEP", {field: value}))

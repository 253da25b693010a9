"""Rows of op arrays that no guest can execute: each rule, both sides of each limit, and the program stays as it was."""

import numpy as np
import pytest

import hinting as h
from hinting._core.engine.ops import MAX_NUMBER, MAX_PAGES, OP_DTYPE, OPS, validate
from hinting.errors import GuestError, OpError
from hinting.workloads import program
from tests.bad_input.harness import state_of

NPFN = 1000
SPAWN, MMAP = ("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 8})

REFUSED = [
    ([("SLEEP", {"a": -1})], "a and b must not be negative"),
    ([("FREE", {"b": -1})], "a and b must not be negative"),
    ([("SPAWN", {"proc": MAX_NUMBER + 1})], "must not exceed 65536"),
    ([SPAWN, ("MMAP", {"proc": 1, "region": MAX_NUMBER + 1, "a": 1})], "must not exceed 65536"),
    ([("ALLOC", {"order": 11, "b": 1})], "order must be between 0 and 10"),
    ([("ALLOC", {"flags": 4, "b": 1})], "kind must be one of"),
    ([SPAWN, ("MMAP", {"proc": 1, "a": 0})], "a mapping must have 1 to"),
    ([SPAWN, ("MMAP", {"proc": 1, "a": MAX_PAGES + 1})], "a mapping must have 1 to"),
    ([("BACK", {"a": NPFN, "b": 1})], "page frames must be below 1000"),
    ([("BACK", {"a": 0, "b": NPFN + 1})], "page frames must be below 1000"),
    ([("BACK", {"a": 2**62, "b": 2**62})], "page frames must be below 1000"),
    ([("MMAP", {"proc": 1, "a": 1})], "process 1 does not exist here: SPAWN it first"),
    ([("TOUCH", {"proc": 1, "b": 1})], "process 1 does not exist"),
    ([("EXIT", {"proc": 1})], "process 1 does not exist"),
    ([SPAWN, ("EXIT", {"proc": 1}), ("EXIT", {"proc": 1})], "row 2 .EXIT.: process 1 does not exist"),
    ([SPAWN, MMAP, MMAP], "mapping 0 of process 1 exists already"),
    ([SPAWN, ("TOUCH", {"proc": 1, "b": 1})], "mapping 0 of process 1 does not exist here"),
    ([SPAWN, MMAP, ("UNMAP", {"proc": 1, "region": 1, "b": 1})], "mapping 1 of process 1 does not exist here"),
    ([SPAWN, MMAP, ("TOUCH", {"proc": 1, "a": 8, "b": 1})], "pages beyond the mapping's 8"),
    ([SPAWN, MMAP, ("TOUCH", {"proc": 1, "a": 0, "b": 9})], "pages beyond the mapping's 8"),
    ([SPAWN, MMAP, ("UNMAP", {"proc": 1, "a": 2**62, "b": 2**62})], "pages beyond the mapping's 8"),
]

FINE = [
    [("NOP", {})],
    [("SLEEP", {"a": 0})],
    [("SPAWN", {"proc": MAX_NUMBER})],
    [("ALLOC", {"order": 10, "flags": 3, "b": 1})],
    [SPAWN, ("MMAP", {"proc": 1, "a": MAX_PAGES})],
    [SPAWN, ("MMAP", {"proc": 1, "a": 1, "flags": h.workloads.NO_THP})],
    [("BACK", {"a": NPFN - 1, "b": 1})],
    [("BACK", {"a": 0, "b": NPFN})],
    [SPAWN, MMAP, ("TOUCH", {"proc": 1, "a": 7, "b": 1})],
    [SPAWN, MMAP, ("TOUCH", {"proc": 1, "a": 8, "b": 0})],
    [SPAWN, MMAP, ("EXIT", {"proc": 1}), SPAWN, MMAP],
    [],
]


@pytest.mark.parametrize(("rows", "words"), REFUSED, ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "")
def test_refused(rows, words):
    with pytest.raises(OpError, match=words):
        validate(program(*rows), NPFN)


@pytest.mark.parametrize("rows", FINE, ids=lambda rows: rows[-1][0] if rows else "empty")
def test_fine(rows):
    assert len(validate(program(*rows), NPFN)) == len(rows)


@pytest.mark.parametrize(("op", "fine"), [(0, True), (max(OPS.values()), True), (max(OPS.values()) + 1, False), (255, False)])
def test_op_numbers(op, fine):
    rows = np.zeros(1, OP_DTYPE)
    rows["op"] = op
    rows["a"] = 1
    if fine and op in (OPS["NOP"], OPS["MARK"]):
        validate(rows, NPFN)
    elif not fine:
        with pytest.raises(OpError, match="unknown op, expected one of NOP"):
            validate(rows, NPFN)


def test_program_names_what_is_unknown():
    with pytest.raises(OpError, match="op 'JUMP' is unknown, expected one of"):
        program(("JUMP", {}))
    with pytest.raises(OpError, match="op SLEEP: unknown field 'ns', expected one of"):
        program(("SLEEP", {"ns": 5}))


@pytest.mark.parametrize(("rows", "words"), REFUSED[:8], ids=str)
def test_a_refused_program_changes_nothing(rows, words):
    sim = h.Simulation(h.Host("4GiB"))
    vm = sim.launch(h.Guest("640MiB"), boot=False, workload=program(("ALLOC", {"proc": 2, "b": 10})))
    sim.run()
    before, used = state_of(vm.guest), sim.host.used_bytes()
    with pytest.raises(OpError, match=words):
        vm.submit(program(*rows))
    assert vm.is_idle
    assert state_of(vm.guest) == before
    assert sim.host.used_bytes() == used
    vm.submit(program(("FREE", {"proc": 2})))
    sim.run()
    assert vm.is_idle
    sim.check()


@pytest.mark.parametrize("vcpu", [-1, 1, 256])
def test_vcpus_that_do_not_exist(vcpu):
    sim = h.Simulation(h.Host("4GiB"))
    vm = sim.launch(h.Guest("640MiB"), boot=False)
    with pytest.raises(GuestError, match=f"cpu must be between 0 and 0, got {vcpu}"):
        vm.submit(program(("NOP", {})), vcpu=vcpu)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "memhog: size must be a size"),
        ({"size": "x"}, "memhog: size must be"),
        ({"repeat": 0}, "repeat must be a whole number between 1"),
        ({"repeat": 1.5}, "repeat must be"),
        ({"hold": -1}, "memhog: hold must be a duration"),
        ({"gap": "x"}, "memhog: gap must be a duration"),
        ({"process": -1}, "process must be"),
        ({"process": MAX_NUMBER + 1}, "process must be"),
    ],
    ids=str,
)
def test_memhog(options, words):
    with pytest.raises(h.HintingError, match=words):
        h.workloads.memhog(**{"size": "1MiB", **options})

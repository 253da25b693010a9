"""A process with threads on several vCPUs: one address space, whoever touches it."""

import numpy as np
import pytest

from hinting.errors import OpError
from hinting.workloads import OP_DTYPE, OPS, program
from tests.guest_memory.harness import MIB, launch

MAPPED, DONE, ENDED = 1, 2, 3


def owner(pages, threads):
    """Maps memory, waits for its threads, and ends."""
    return program(
        ("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": pages}), ("MARK", {"a": MAPPED}),
        ("WAIT", {"a": DONE, "b": threads}), ("EXIT", {"proc": 1}), ("MARK", {"a": ENDED}),
    )  # fmt: skip


def thread(first, pages):
    return program(("WAIT", {"a": MAPPED}), ("TOUCH", {"proc": 1, "a": first, "b": pages}), ("MARK", {"a": DONE}))


@pytest.mark.parametrize("thp", ["always", "never"])
def test_threads_fill_one_address_space(thp):
    sim, vm = launch(vcpus=4, thp=thp, memory="1GiB")
    free, each = vm.guest.free_pages(), 100 * MIB + 7
    vm.submit([owner(3 * each, 3), *(thread(i * each, each) for i in range(3))])
    most, tables = 0, 0
    while sim.step():
        rss, held = vm.processes().get(1, (0, 0))
        most, tables = max(most, rss), max(tables, held)
        sim.check()
    if thp == "never":
        assert most == 3 * each
        assert tables == -(-3 * each // 512) + -(-3 * each // 512**2) - 1
    else:
        assert 3 * each <= most < 3 * each + 512
    assert vm.processes() == {}
    assert vm.counts()["passed_over_rows"] == 0
    vm.guest.drain()
    assert vm.guest.free_pages() == free
    times = {mark.number: mark.t_ns for mark in vm.marks()}
    assert times[ENDED] >= times[DONE] > times[MAPPED]


def test_threads_run_beside_each_other():
    """Three threads need about the time of one for a third of the memory."""
    took = []
    for threads in (1, 3):
        sim, vm = launch(vcpus=4, thp="never", memory="1GiB")
        each = 300 * MIB // threads
        vm.submit([owner(300 * MIB, threads), *(thread(i * each, each) for i in range(threads))])
        sim.run()
        took.append(vm.marks()[-2].t_ns)
    assert took[1] < 0.4 * took[0]


def test_rows_of_threads_whose_process_is_not_there_are_passed_over():
    sim, vm = launch(vcpus=2, memory="640MiB")
    vm.submit([
        program(("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 100}), ("SLEEP", {"a": 10**9}), ("EXIT", {"proc": 1})),
        program(
            ("SLEEP", {"a": 10**8}), ("TOUCH", {"proc": 1, "a": 90, "b": 11}), ("TOUCH", {"proc": 1, "region": 7, "b": 1}),
            ("MMAP", {"proc": 1, "region": 7, "a": 50}), ("TOUCH", {"proc": 1, "region": 7, "b": 50}),
            ("UNMAP", {"proc": 1, "region": 7, "b": 20}), ("MARK", {"a": 9}),
            ("SLEEP", {"a": 2 * 10**9}), ("TOUCH", {"proc": 1, "b": 1}), ("MUNMAP", {"proc": 1, "region": 7}),
        ),
    ])  # fmt: skip
    sim.run(until="0.5s")
    assert vm.processes()[1][0] == 30
    assert vm.counts()["passed_over_rows"] == 2
    sim.run()
    sim.check()
    assert vm.counts()["passed_over_rows"] == 4


def test_a_process_that_the_oom_killer_ends_takes_its_threads_along():
    sim, vm = launch(vcpus=3, memory="640MiB")
    vm.submit([owner(1024 * MIB, 2), *(thread(i * 512 * MIB, 512 * MIB) for i in range(2))])
    sim.run()
    sim.check()
    assert vm.counts()["guest_oom_kills"] == 1
    assert vm.processes() == {}
    assert vm.is_idle


def test_random_threads_leave_every_count_right():
    rng = np.random.default_rng(5)
    sim, vm = launch(vcpus=4, memory="640MiB")
    free = vm.guest.free_pages()
    turns = [[("SPAWN", {"proc": 1}), *(("MMAP", {"proc": 1, "region": r, "a": 20_000}) for r in range(3)), ("MARK", {"a": 1}),
              ("COMPUTE", {"a": 30_000_000}), ("FORK", {"proc": 1, "a": 2}), ("EXEC", {"proc": 1}), ("EXIT", {"proc": 2})]
             for _ in range(6)]  # fmt: skip
    vm.submit(program(*(row for turn in turns for row in [*turn, ("EXIT", {"proc": 1})])))
    for cpu in range(1, 4):
        rows = np.zeros(400, OP_DTYPE)
        rows["op"] = rng.choice([OPS["TOUCH"], OPS["TOUCH"], OPS["UNMAP"], OPS["MUNMAP"], OPS["MMAP"]], 400)
        rows["proc"], rows["region"] = 1, rng.integers(0, 4, 400)
        rows["a"], rows["b"] = rng.integers(1, 12_000, 400), rng.integers(0, 8_000, 400)
        vm.submit(rows, vcpu=cpu)
    steps = 0
    while sim.step():
        steps += 1
        if steps % 10 == 0:
            sim.check()
    sim.check()
    assert steps > 100
    assert vm.counts()["touched_pages"] > 10_000
    vm.guest.drain()
    assert (vm.processes(), vm.guest.free_pages()) == ({}, free)


@pytest.mark.parametrize(("row", "message"), [
    (("EXIT", {"proc": 1}), "begins on another vCPU"),
    (("EXEC", {"proc": 1}), "begins on another vCPU"),
    (("FORK", {"proc": 1, "a": 2}), "begins on another vCPU"),
    (("SPAWN", {"proc": 1}), "process 1 belongs to vCPU 0"),
    (("TOUCH", {"proc": 1, "a": 2**62, "b": 2**62}), "at most"),
    (("TOUCH", {"proc": 3, "b": 1}), "process 3 does not exist here"),
])  # fmt: skip
def test_what_a_thread_cannot_do(row, message):
    _, vm = launch(vcpus=2)
    vm.submit(owner(100, 1))
    with pytest.raises(OpError, match=message):
        vm.submit(program(row), vcpu=1)

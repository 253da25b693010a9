"""Several vCPUs of one guest: one page cache, one set of processes and kernel caches, one kswapd."""

import pytest

from hinting.workloads import KINDS, program
from tests.guest_memory.harness import MIB, launch

VCPUS = 4


def work(cpu):
    """Files, a process that forks, kernel objects: on one vCPU, with numbers of its own but for the shared file."""
    me, child = 10 * cpu + 1, 10 * cpu + 2
    rows = [("SPAWN", {"proc": me}), ("MMAP", {"proc": me, "a": 60 * MIB})]
    for turn in range(12):
        rows += [
            ("READ", {"file": 1, "a": turn * 5000, "b": 5000}),
            ("TOUCH", {"proc": me, "a": turn * 5 * MIB, "b": 5 * MIB}),
            ("FORK", {"proc": me, "a": child}),
            ("TOUCH", {"proc": child, "a": turn * 1000, "b": 1000}),
            ("WRITE", {"file": 2 + cpu, "a": turn * 300, "b": 300}),
            ("SLAB_GROW", {"proc": 3, "flags": KINDS["reclaimable"], "a": 2000, "b": 21}),
            ("UNMAP", {"proc": me, "a": turn * 700, "b": 100}),
            ("EXIT", {"proc": child}),
            ("SLAB_SHRINK", {"proc": 3, "a": 1500}),
            ("TRUNCATE", {"file": 2 + (cpu + 1) % VCPUS, "a": turn * 100}),
            ("SLEEP", {"a": 1_000_000 * cpu}),
        ]
    return program(*rows, ("EXIT", {"proc": me}))


def start(thp, strategy=None):
    sim, vm = launch(vcpus=VCPUS, thp=thp, memory="640MiB", strategy=strategy)
    for cpu in range(VCPUS):
        vm.submit(work(cpu), vcpu=cpu)
    return sim, vm


@pytest.mark.parametrize(("thp", "strategy"), [("always", None), ("never", "v8")])
def test_everything_is_counted_right_after_every_slice(thp, strategy):
    sim, vm = start(thp, strategy)
    free = vm.guest.free_pages()
    steps = 0
    while sim.step():
        steps += 1
        if steps % 25 == 0:
            sim.check()
    sim.check()
    assert steps > 200
    assert vm.processes() == {}
    counts = vm.counts()
    vm.guest.drain()
    in_use = counts["inactive_file_pages"] + counts["active_file_pages"] + counts["slab_pages"]
    assert vm.guest.free_pages() == free - in_use
    assert counts["forks"] == 12 * VCPUS
    assert counts["cow_pages"] > 0


def test_kswapd_takes_an_idle_vcpu_if_there_is_one():
    """The reader's own CPU time grows by reclaim only when no other vCPU could do it."""
    times = []
    for vcpus in (1, 2):
        sim, vm = launch(("READ", {"file": 1, "b": 1024 * MIB}), ("MARK", {"a": 1}), vcpus=vcpus)
        sim.run()
        assert vm.counts()["pgsteal_kswapd_pages"] > 500 * MIB
        times.append(vm.marks()[0].t_ns)
    assert times[0] > times[1]

"""The rows that a guest of a scenario gets: its workloads, one after the other on each vCPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hinting._core.engine.ops import numbers_used
from hinting.scenarios.tables import WorkloadTable
from hinting.units import parse_duration
from hinting.vm import VM
from hinting.workloads import OPS, SINCE_MARK, program, registry

__all__ = ["MARKS_OF_WORKLOAD", "submit_workloads"]

#: Numbers of processes, slots and files of workloads begin here; those of boot are below.
FIRST_NUMBER = 4096
#: Marks of a guest's second workload are those of the workload and this number, of the third and twice this number, ...
MARKS_OF_WORKLOAD = 1 << 16


def submit_workloads(vm: VM, workloads: Sequence[WorkloadTable], seed: int) -> None:
    """Append a guest's workloads to what its vCPUs do; each guest and workload has its own stream of random numbers."""
    first = {"proc": FIRST_NUMBER, "file": FIRST_NUMBER}
    for i, entry in enumerate(workloads):
        own = np.random.SeedSequence(seed, spawn_key=(vm.number, i)).generate_state(1, np.uint64)
        threads = registry.find(entry.name).programs(
            entry.parameters, vcpus=vm.guest.vcpus, memory_bytes=vm.guest.memory_bytes, seed=int(own[0] >> np.uint64(1))
        )
        used = {
            "proc": max(numbers_used(rows) for rows in threads),
            "file": 1 + max(int(rows["file"].max(initial=0)) for rows in threads),
        }
        vm.submit([_placed(rows, first, i, parse_duration(entry.start)) for rows in threads], vcpu=entry.vcpu)
        first = {name: number + used[name] for name, number in first.items()}


def _placed(rows: np.ndarray, first: dict[str, int], workload: int, pause: int) -> np.ndarray:
    """Rows with numbers of their own for processes, slots, files and marks, after a pause."""
    rows = rows.copy()
    for name, number in first.items():
        rows[name] += number
    rows["a"][rows["op"] == OPS["FORK"]] += first["proc"]
    marks = (rows["op"] == OPS["MARK"]) | (rows["op"] == OPS["WAIT"])
    rows["a"][marks] += workload * MARKS_OF_WORKLOAD
    rows["b"][(rows["op"] == OPS["SLEEP"]) & (rows["flags"] == SINCE_MARK)] += workload * MARKS_OF_WORKLOAD
    return np.concatenate([program(("SLEEP", {"a": pause})), rows]) if pause else rows

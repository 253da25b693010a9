"""The rows that a guest of a scenario gets: its workloads, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hinting.scenarios.tables import WorkloadTable
from hinting.simulation import VM
from hinting.units import parse_duration
from hinting.workloads import program, registry

__all__ = ["submit_workloads"]

#: Numbers of processes and slots of workloads begin here; those of boot are below.
FIRST_NUMBER = 4096


def submit_workloads(vm: VM, workloads: Sequence[WorkloadTable], seed: int) -> None:
    """Append a guest's workloads to what its vCPUs do; each guest and workload has its own stream of random numbers."""
    first = FIRST_NUMBER
    for i, entry in enumerate(workloads):
        own = np.random.SeedSequence(seed, spawn_key=(vm.number, i)).generate_state(1, np.uint64)
        threads = registry.find(entry.name).programs(
            entry.parameters, vcpus=vm.guest.vcpus, memory_bytes=vm.guest.memory_bytes, seed=int(own[0] >> np.uint64(1))
        )
        pause = parse_duration(entry.start)
        for thread, rows in enumerate(threads):
            rows = rows.copy()
            rows["proc"] += first
            if pause:
                rows = np.concatenate([program(("SLEEP", {"a": pause})), rows])
            vm.submit(rows, vcpu=thread % vm.guest.vcpus)
        first += 1 + max(int(rows["proc"].max(initial=0)) for rows in threads)

"""Every workload with small parameters, and how many pages it allocates in all."""

from hinting.workloads import registry
from tests.conftest import DATA

MIB = 256  # pages

#: name: (parameters, pages that its processes touch for the first time, None where it is random)
SMALL = {
    "memhog": ({"size": "16MiB", "repeat": 3, "gap": "1s"}, 3 * 16 * MIB),
    "test_alloc": ({"size": "8MiB", "hold": "1s"}, 8 * MIB),
    "write": ({"size": "15MiB", "threads": 2, "repeat": 3, "period": "2s"}, 3 * 15 * MIB),
    "page_fault1": ({"size": "8MiB", "iterations": 5, "processes": 2}, 2 * 5 * 8 * MIB),
    "page_fault2": ({"size": "4MiB", "iterations": 3, "processes": 2}, 2 * 3 * 4 * MIB),
    "file_scan": ({"size": "12MiB", "files": 3, "repeat": 2, "delete": True}, 0),
    "kernel_build": (
        {"units": 12, "work": "20s", "smallest": "1MiB", "largest": "4MiB", "read": "8MiB", "written": "4MiB", "clean": True},
        None,
    ),
    "clang_build": (
        {"units": 12, "work": "20s", "smallest": "1MiB", "largest": "4MiB", "read": "8MiB", "written": "4MiB", "links": 0},
        None,
    ),
    "stress_vm": ({"size": "8MiB", "rounds": 3}, 2 * 3 * 8 * MIB),
    "hackbench": ({"groups": 3, "tasks": 5, "loops": 20}, 3 * 2 * 5 * 64),
    "churn": ({"size": "32MiB", "largest": "1MiB", "turns": 50, "seed": 5}, None),
    "kv_store": ({"size": "8MiB", "duration": "1s", "load": "1s", "ops_per_s": 1000, "expiry": 0.05}, None),
    "demand_trace": ({"file": str(DATA / "traces" / "google-2019.csv"), "size": "2GiB", "speed": 100}, None),
    "kernel_trace": ({"file": str(DATA / "traces" / "ftrace.txt")}, None),
    "faas": ({"functions": 3, "rate": 30, "duration": "2min", "keep_alive": "10s"}, None),
    "faas_trace": (
        {"file": str(DATA / "traces" / "invocations_per_function_md.anon.d01.csv"),
         "duration": "10min", "keep_alive": "30s"},
        None,
    ),
    "spec_phases": (
        {"phases": [["1s", "8MiB", "4MiB", "4MiB"], ["1s", "2MiB", "1MiB", "1MiB"]], "repeat": 2, "thp": False},
        14 * MIB,
    ),
    "spec_blender": ({"size": "16MiB", "load": "2s", "plateau": "5s", "idle": "1s", "repeat": 2}, None),
}


def programs(name, vcpus=2, **changes):
    """The rows of a workload with its small parameters, one array a thread."""
    values = SMALL[name][0] | changes
    return registry.find(name).programs(values, vcpus=vcpus, memory_bytes=1 << 30, seed=values.get("seed", 7))

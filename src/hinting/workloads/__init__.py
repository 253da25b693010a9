"""What a guest does, as op arrays: one row an action, executed by the engine without Python.

Generators of workloads give one array, or a list with an array for each vCPU; the registry knows them by name.

>>> from hinting import workloads
>>> rows = workloads.memhog("64MiB")
>>> rows.dtype.names[:3]
('op', 'flags', 'order')
"""

from hinting._core.engine.ops import ALL_FILES, KINDS, NEWEST, NO_THP, OLDEST, OP_DTYPE, OPS, SINCE_MARK, SLAB, program
from hinting.workloads import registry
from hinting.workloads.boot import boot
from hinting.workloads.builds import clang_build, kernel_build
from hinting.workloads.churn import churn
from hinting.workloads.faas import faas, faas_trace
from hinting.workloads.faults import page_fault1, page_fault2, stress_vm
from hinting.workloads.files import file_scan
from hinting.workloads.hackbench import hackbench
from hinting.workloads.kv_store import kv_store
from hinting.workloads.memhog import memhog, test_alloc, write
from hinting.workloads.phases import spec_blender, spec_phases
from hinting.workloads.traces import demand_trace, kernel_trace

__all__ = [
    "ALL_FILES", "KINDS", "NEWEST", "NO_THP", "OLDEST", "OPS", "OP_DTYPE", "SINCE_MARK", "SLAB", "boot", "churn", "clang_build",
    "demand_trace", "faas", "faas_trace", "file_scan", "hackbench", "kernel_build", "kernel_trace", "kv_store",
    "memhog", "page_fault1", "page_fault2", "program", "registry",
    "spec_blender", "spec_phases", "stress_vm", "test_alloc", "write",
]  # fmt: skip

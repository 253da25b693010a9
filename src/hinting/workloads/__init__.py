"""What a guest does, as op arrays: one row an action, executed by the engine without Python.

Generators of workloads give one array, or a list with an array for each vCPU; the registry knows them by name.

>>> from hinting import workloads
>>> rows = workloads.memhog("64MiB")
>>> rows.dtype.names[:3]
('op', 'flags', 'order')
"""

from hinting._core.engine.ops import KINDS, NO_THP, OP_DTYPE, OPS, SINCE_MARK, program
from hinting.workloads import registry
from hinting.workloads.boot import boot
from hinting.workloads.churn import churn
from hinting.workloads.faas import faas
from hinting.workloads.faults import page_fault1, stress_vm
from hinting.workloads.hackbench import hackbench
from hinting.workloads.kv_store import kv_store
from hinting.workloads.memhog import memhog, test_alloc, write
from hinting.workloads.phases import spec_blender, spec_phases

__all__ = [
    "KINDS", "NO_THP", "OPS", "OP_DTYPE", "SINCE_MARK", "boot", "churn", "faas", "hackbench", "kv_store", "memhog",
    "page_fault1", "program", "registry", "spec_blender", "spec_phases", "stress_vm", "test_alloc", "write",
]  # fmt: skip

"""What a guest does, as op arrays: one row an action, executed by the engine without Python.

>>> from hinting import workloads
>>> rows = workloads.memhog("64MiB")
>>> rows.dtype.names[:3]
('op', 'flags', 'order')
"""

from hinting._core.engine.ops import ALL_FILES, KINDS, NEWEST, NO_THP, OLDEST, OP_DTYPE, OPS, SLAB, program
from hinting.workloads import registry
from hinting.workloads.boot import boot
from hinting.workloads.memhog import memhog

__all__ = [
    "ALL_FILES",
    "KINDS",
    "NEWEST",
    "NO_THP",
    "OLDEST",
    "OPS",
    "OP_DTYPE",
    "SLAB",
    "boot",
    "memhog",
    "program",
    "registry",
]

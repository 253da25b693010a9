"""Kernel memory that comes with processes and files: objects that Linux keeps of each, in slabs.

Sizes are those that /proc/slabinfo shows of Linux 6.1 on x86-64: ext4_inode_cache 1,184 bytes in slabs of order 3, dentry 192
bytes, radix_tree_node (64 pages of the page cache each) 584 bytes in slabs of order 2, vm_area_struct 152 bytes. A kernel
stack is four pages of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hinting._core.engine.ops import KINDS
from hinting.units import PAGE_BYTES
from hinting.workloads.rows import rows

__all__ = ["DENTRY", "INODE", "NODE", "STACK", "VMA", "Cache", "nodes"]

#: Pages of a file that one node of its index holds.
NODE_PAGES = 64


@dataclass(frozen=True)
class Cache:
    """A kernel cache: its number, bytes of an object, order of a slab, kind of memory."""

    number: int
    size: int
    order: int = 0
    kind: str = "reclaimable"

    def grow(self, objects: np.ndarray | int, n: int = 1) -> np.ndarray:
        """n rows that each add some objects."""
        places = (PAGE_BYTES << self.order) // self.size
        return self._rows("SLAB_GROW", n, a=objects, b=places, order=self.order, flags=KINDS[self.kind])

    def shrink(self, objects: np.ndarray | int, n: int = 1) -> np.ndarray:
        """n rows that each free some objects here and there; 0: all that are left."""
        return self._rows("SLAB_SHRINK", n, a=objects)

    def _rows(self, op: str, n: int, **fields: Any) -> np.ndarray:
        return rows(op, n, proc=self.number, **fields)


INODE = Cache(1, 1184, 3)
DENTRY = Cache(2, 192)
NODE = Cache(3, 584, 2)
VMA = Cache(4, 152, kind="kernel")
STACK = Cache(5, PAGE_BYTES, kind="kernel")


def nodes(pages: np.ndarray | int) -> np.ndarray:
    """Nodes of the page cache's index for so many pages of a file."""
    return (np.asarray(pages) + NODE_PAGES - 1) // NODE_PAGES

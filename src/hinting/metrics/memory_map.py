"""Samples of guests' memory as Arrow tables: pageblocks by what their pages are, and free blocks by order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from hinting._core.engine.survey import Survey
from hinting.errors import HintingError

if TYPE_CHECKING:
    from hinting.simulation import Simulation

__all__ = ["FRAGMENTATION_SCHEMA", "MEMORY_MAP_SCHEMA", "PAGES", "fragmentation_table", "memory_map_table"]

#: Columns with pages of a pageblock by what they are; see Simulation.memory_map.
PAGES = ("free", "used", "cache", "isolated", "reported", "backed", "free_backed")
MEMORY_MAP_SCHEMA = pa.schema(
    [("t_ns", pa.int64()), ("guest", pa.int32()), ("block", pa.uint32()), *((name, pa.uint16()) for name in PAGES)],
    metadata={f"unit:{name}": "pages" for name in PAGES},
)
FRAGMENTATION_SCHEMA = pa.schema([
    ("t_ns", pa.int64()), ("guest", pa.int32()), ("order", pa.uint8()), ("blocks", pa.uint32()), ("unusable", pa.float64()),
])


def _samples(simulation: Simulation) -> Survey:
    found = simulation.engine.survey
    if found is None:
        raise HintingError("no samples of memory were taken: make the simulation with memory_map='auto'")
    simulation.engine.sample()
    return found


def memory_map_table(simulation: Simulation) -> pa.Table:
    """A row where a pageblock is not as in the sample before."""
    found = _samples(simulation)
    rows = found.pageblocks()
    columns = [found.times()[rows["sample"]], rows["guest"], rows["block"], *(rows[name] for name in PAGES)]
    return pa.table([pa.array(np.ascontiguousarray(column)) for column in columns], schema=MEMORY_MAP_SCHEMA)


def fragmentation_table(simulation: Simulation) -> pa.Table:
    """A row a sample, living guest and order."""
    found = _samples(simulation)
    rows = found.free_blocks()
    blocks = rows["blocks"].astype(np.int64)
    orders = blocks.shape[1]
    pages = blocks << np.arange(orders)
    smaller = np.cumsum(pages, axis=1) - pages
    free = pages.sum(axis=1, keepdims=True)
    unusable = np.divide(smaller, free, out=np.zeros(smaller.shape), where=free > 0)
    columns = [
        np.repeat(found.times()[rows["sample"]], orders),
        np.repeat(rows["guest"], orders),
        np.tile(np.arange(orders, dtype=np.uint8), len(rows)),
        blocks.astype(np.uint32).ravel(),
        unusable.ravel(),
    ]
    return pa.table([pa.array(column) for column in columns], schema=FRAGMENTATION_SCHEMA)

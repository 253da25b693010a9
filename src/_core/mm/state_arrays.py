"""An allocator's whole state as NumPy arrays: their names, columns and legal values.

| array | one row or entry for |
|---|---|
| `counters` | the guest (one row) |
| `zones` | each zone |
| `pcp` | each zone and CPU: its per-CPU page set, without the lists |
| `free_lists` | each free list that is not empty; its blocks follow one another in `free_pfn`, head first |
| `free_pfn`, `free_reported` | each free block: first page frame, whether it was reported to the host |
| `pcp_lists` | each per-CPU list that is not empty; its pages follow one another in `pcp_pfn`, head first |
| `pcp_pfn`, `pcp_migratetype` | each page on a per-CPU list, and its cached migratetype |
| `used` | each run of adjacent allocated blocks of one order and kind |
| `isolated` | each block that is held outside the lists |
| `pageblock_types`, `pageblock_skip` | each 2 MiB from page frame 0 on: migratetype, compaction's skip bit |

All sizes and counts are pages unless the name says blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hinting.errors import PageError

__all__ = ["ARRAYS", "checked"]

_ANY = 1 << 40

COUNTERS = np.dtype([
    ("ncpus", "i4"), ("kswapd_wakeups", "i8"), ("allocstall", "i8"), ("kswapd_wanted", "u1"), ("refilled", "i8"),
    ("drained", "i8"),
])
ZONES = np.dtype([
    ("index", "i1"), ("start", "i8"), ("end", "i8"), ("managed", "i8"), ("present", "i8"), ("watermark", "i8", (3,)),
    ("boost", "i8"), ("boost_factor", "i8"), ("lowmem_reserve", "i8", (5,)), ("nr_reserved_highatomic", "i8"),
    ("nr_free_highatomic", "i8"), ("counter", "i8"), ("threshold", "i4"), ("flags", "u4"), ("nr_isolated_blocks", "i8"),
])
PCP = np.dtype([
    ("zone", "i1"), ("cpu", "i4"), ("count", "i8"), ("high", "i8"), ("high_min", "i8"), ("high_max", "i8"),
    ("batch", "i4"), ("free_factor", "i4"), ("alloc_factor", "i4"), ("free_count", "i4"), ("flags", "u4"),
    ("diff", "i4"),
])
FREE_LISTS = np.dtype([("zone", "i1"), ("order", "i1"), ("migratetype", "i1"), ("blocks", "i8")])
PCP_LISTS = np.dtype([("zone", "i1"), ("cpu", "i4"), ("pindex", "i1"), ("blocks", "i8")])
USED = np.dtype([("pfn", "u4"), ("blocks", "u4"), ("order", "u1"), ("movable", "u1"), ("compound", "u1")])
ISOLATED = np.dtype([("pfn", "u4"), ("order", "u1")])

#: Name and dtype of every array of a state.
ARRAYS: dict[str, np.dtype] = {
    "counters": COUNTERS,
    "zones": ZONES,
    "pcp": PCP,
    "free_lists": FREE_LISTS,
    "free_pfn": np.dtype("u4"),
    "free_reported": np.dtype("u1"),
    "pcp_lists": PCP_LISTS,
    "pcp_pfn": np.dtype("u4"),
    "pcp_migratetype": np.dtype("u1"),
    "used": USED,
    "isolated": ISOLATED,
    "pageblock_types": np.dtype("u1"),
    "pageblock_skip": np.dtype("u1"),
}

# Legal values, lowest and highest. The cores trust these: a batch of 0 would never end, a factor is a shift count.
_LIMITS: dict[tuple[str, str], tuple[int, int]] = {
    ("counters", "ncpus"): (1, 256),
    ("counters", "kswapd_wakeups"): (0, 1 << 62),
    ("counters", "allocstall"): (0, 1 << 62),
    ("counters", "kswapd_wanted"): (0, 1),
    ("counters", "refilled"): (0, 1 << 62),
    ("counters", "drained"): (0, 1 << 62),
    ("zones", "index"): (0, 3),
    ("zones", "start"): (0, (1 << 31) - 1),
    ("zones", "end"): (1, 1 << 31),
    ("zones", "managed"): (0, 1 << 31),
    ("zones", "present"): (0, 1 << 31),
    ("zones", "watermark"): (0, _ANY),
    ("zones", "boost"): (0, _ANY),
    ("zones", "boost_factor"): (0, 1 << 31),
    ("zones", "lowmem_reserve"): (0, _ANY),
    ("zones", "nr_reserved_highatomic"): (0, _ANY),
    ("zones", "nr_free_highatomic"): (-_ANY, _ANY),
    ("zones", "counter"): (-_ANY, _ANY),
    ("zones", "threshold"): (0, 127),
    ("zones", "flags"): (0, 7),
    ("zones", "nr_isolated_blocks"): (0, _ANY),
    ("pcp", "zone"): (0, 3),
    ("pcp", "cpu"): (0, 255),
    ("pcp", "count"): (0, 1 << 31),
    ("pcp", "high"): (0, _ANY),
    ("pcp", "high_min"): (0, _ANY),
    ("pcp", "high_max"): (0, _ANY),
    ("pcp", "batch"): (1, 1 << 16),
    ("pcp", "free_factor"): (0, 5),
    ("pcp", "alloc_factor"): (0, 5),
    ("pcp", "free_count"): (0, 1 << 30),
    ("pcp", "flags"): (0, 3),
    ("free_lists", "zone"): (0, 3),
    ("free_lists", "order"): (0, 10),
    ("free_lists", "migratetype"): (0, 4),
    ("free_lists", "blocks"): (1, 1 << 31),
    ("pcp_lists", "zone"): (0, 3),
    ("pcp_lists", "cpu"): (0, 255),
    ("pcp_lists", "pindex"): (0, 13),
    ("pcp_lists", "blocks"): (1, 1 << 31),
    ("used", "blocks"): (1, 1 << 31),
    ("used", "order"): (0, 10),
    ("used", "movable"): (0, 1),
    ("used", "compound"): (0, 1),
    ("isolated", "order"): (0, 10),
    ("free_reported", ""): (0, 1),
    ("pcp_migratetype", ""): (0, 3),
    ("pageblock_types", ""): (0, 4),
    ("pageblock_skip", ""): (0, 1),
}


def checked(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a state with the dtypes above; PageError names one that is missing, unknown or out of range."""
    for name in ARRAYS:
        if name not in state:
            raise PageError(f"state: array {name!r} is missing")
    for name in state:
        if name not in ARRAYS:
            raise PageError(f"state: unknown array {name!r}, expected {', '.join(ARRAYS)}")
    arrays = {name: _array(name, np.asarray(state[name]), kind) for name, kind in ARRAYS.items()}
    if arrays["counters"].size != 1:
        raise PageError(f"state: counters must have one row, got {arrays['counters'].size}")
    entries_of = {"free_lists": ("free_pfn", "free_reported"), "pcp_lists": ("pcp_pfn", "pcp_migratetype")}
    for lists, entries in entries_of.items():
        blocks = int(arrays[lists]["blocks"].sum())
        for name in entries:
            if arrays[name].size != blocks:
                raise PageError(f"state: {name} has {arrays[name].size} entries, the lists of {lists} have {blocks}")
    return arrays


def _array(name: str, array: np.ndarray, kind: np.dtype) -> np.ndarray:
    if array.ndim != 1:
        raise PageError(f"state: {name} must have one dimension, got {array.ndim}")
    if kind.names is None:
        return _integers(name, "", array, kind)
    if array.dtype.names is None:
        raise PageError(f"state: {name} must have the columns {', '.join(kind.names)}, got plain {array.dtype}")
    for column in array.dtype.names:
        if column not in kind.names:
            raise PageError(f"state: {name} has the unknown column {column!r}, expected {', '.join(kind.names)}")
    out = np.zeros(array.shape, kind)
    for column in kind.names:
        if column not in array.dtype.names:
            raise PageError(f"state: {name} has no column {column!r}")
        out[column] = _integers(name, column, array[column], kind[column].base, kind[column].shape)
    return out


def _integers(name: str, column: str, values: np.ndarray, kind: np.dtype, shape: tuple[int, ...] = ()) -> np.ndarray:
    """values as this integer dtype, every one of them within its limits."""
    what = f"{name}.{column}" if column else name
    if values.dtype.kind not in "iub":
        raise PageError(f"state: {what} must be integers, got {values.dtype}")
    if values.shape[1:] != shape:
        raise PageError(f"state: {what} must have {shape} values a row, got {values.shape[1:]}")
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    low, high = _LIMITS.get((name, column), (np.iinfo(kind).min, np.iinfo(kind).max))
    if values.size and (int(values.min()) < low or int(values.max()) > high):
        row = int(np.argwhere((values < low) | (values > high))[0][0])
        raise PageError(f"state: {what} must be between {low} and {high}, row {row} has {values[row].tolist()}")
    return np.ascontiguousarray(values, kind)

"""Op arrays in columns: many rows of one kind at once, and rows of several kinds in turn."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from hinting._core.engine.ops import OP_DTYPE, OPS

__all__ = ["interleave", "join", "log_uniform", "parts", "random", "rows", "share"]


def random(seed: int) -> np.random.Generator:
    """Random numbers of a workload: PCG64 over SeedSequence, the same on every machine."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))


def rows(op: str, n: int = 1, **fields: Any) -> np.ndarray:
    """n rows of one op; a field is a number or an array of n."""
    out = np.zeros(n, OP_DTYPE)
    out["op"] = OPS[op]
    for name, values in fields.items():
        out[name] = values
    return out


def join(*blocks: np.ndarray) -> np.ndarray:
    """All rows, block after block."""
    return np.concatenate(blocks) if blocks else np.zeros(0, OP_DTYPE)


def interleave(*blocks: np.ndarray) -> np.ndarray:
    """Row 0 of every block, row 1 of every block, and so on; blocks of one dimension (n) or two (n, rows in turn)."""
    return np.concatenate([block if block.ndim == 2 else block[:, None] for block in blocks], axis=1).ravel()


def log_uniform(rng: np.random.Generator, low: float, high: float, n: int) -> np.ndarray:
    """n numbers between low and high, log-uniform; products of square roots, so that every machine rounds the same way."""
    bits = rng.integers(0, 1 << 20, n)
    out, root = np.full(n, float(low)), float(high) / float(low)
    for bit in range(19, -1, -1):
        root = root**0.5
        out *= np.where(bits >> bit & 1, root, 1.0)
    return out


def parts(total: int, n: int) -> np.ndarray:
    """A whole number as n parts that are equal but for one."""
    edges = np.arange(n + 1, dtype=np.int64) * total // max(1, n)
    return np.diff(edges)


def share(durations: np.ndarray, threads: int) -> np.ndarray:
    """Which thread runs each job: whoever is free first takes the next."""
    free = [(0, thread) for thread in range(threads)]
    out = np.empty(durations.size, np.int64)
    for i, duration in enumerate(durations.tolist()):
        at, thread = free[0]
        out[i] = thread
        heapq.heapreplace(free, (at + duration, thread))
    return out

"""A key-value store: a heap that grows with its keys, skewed accesses, keys that expire here and there."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from hinting._core.engine.ops import NO_THP
from hinting.units import PAGE_BYTES
from hinting.workloads.memhog import MARK_DONE, MARK_HELD, MARK_START
from hinting.workloads.registry import SEED, workload
from hinting.workloads.rows import interleave, join, parts, random, rows
from hinting.workloads.rules import Bytes, Number, OneOf, Span, Whole

__all__ = ["kv_store"]

KINDS_OF_STORE = ("redis", "memcached")
#: Number of the process that writes a snapshot.
CHILD = 1
#: memcached takes memory in slabs of 1 MiB.
SLAB_PAGES = 256


def zipf(rng: np.random.Generator, exponent: float, items: int, n: int) -> np.ndarray:
    """n item numbers, item i with a weight of (i + 1)^-exponent."""
    weights = np.arange(1, items + 1, dtype=np.float64) ** -exponent
    cumulated = np.cumsum(np.rint(weights * 2**40).astype(np.int64))
    return np.searchsorted(cumulated, rng.integers(0, cumulated[-1], n), side="right")


@workload
def kv_store(
    size: Annotated[int, Bytes("memory of keys and values", low=2**20)] = 2 * 2**30,
    *,
    kind: Annotated[str, OneOf("redis returns pages of expired keys, memcached never its slabs", KINDS_OF_STORE)] = "redis",
    ops_per_s: Annotated[int, Whole("operations a second, each on one page", low=1, high=10**7)] = 10_000,
    duration: Annotated[int, Span("time of service after the load", low=10**8)] = 60_000_000_000,
    load: Annotated[int, Span("time in which the heap grows to its size")] = 10_000_000_000,
    zipf_exponent: Annotated[float, Number("skew of the accesses", low=0.0, high=5.0)] = 0.99,
    fragmentation: Annotated[float, Number("share of the heap's pages that hold no keys", low=0.0, high=0.9)] = 0.2,
    expiry: Annotated[float, Number("share of the keys' pages that expire in a second, and are written anew", high=1.0)] = 0.01,
    snapshot: Annotated[int, Span("time between snapshots, each by a fork; 0: none")] = 0,
    snapshot_time: Annotated[int, Span("time that the child of a snapshot lives", low=1)] = 2_000_000_000,
    slice: Annotated[int, Span("operations come in bursts this far apart", low=10**6, high=10**9)] = 10_000_000,
    op_time: Annotated[int, Span("CPU time of an operation")] = 5_000,
    seed: Annotated[int, SEED] = 0,
) -> np.ndarray:
    """Load a heap, then serve skewed accesses while keys expire on scattered pages and new ones are written.

    Huge pages are off, as such stores ask for. Source: Redis and memcached under the loads of YCSB (Zipf 0.99).
    """
    rng = random(seed)
    live = size // PAGE_BYTES
    heap = int(live / (1 - fragmentation))
    if kind == "memcached":
        heap = -(-heap // SLAB_PAGES) * SLAB_PAGES
    keys = rng.permutation(heap)[:live]
    turns = max(1, duration // slice)
    each = parts(ops_per_s * duration // 10**9, turns)
    most = int(each.max())
    page = keys[zipf(rng, zipf_exponent, live, turns * most)].reshape(turns, most)
    touches = rows("TOUCH", turns * most, a=page.ravel(), b=1).reshape(turns, most)
    touches["op"][np.arange(most) >= each[:, None]] = 0  # NOP: bursts differ by one operation
    blocks = [touches, rows("COMPUTE", turns, a=each * op_time)]
    gone = int(live * expiry * slice / 10**9 + 0.5) if kind == "redis" else 0
    if gone:
        expired = keys[rng.integers(0, live, turns * gone)]
        blocks.append(rows("UNMAP", turns * gone, a=expired, b=1).reshape(turns, gone))
        blocks.append(rows("TOUCH", turns * gone, a=expired, b=1).reshape(turns, gone))
    blocks.append(rows("SLEEP", turns, a=slice))
    served = interleave(*blocks)
    if snapshot:
        served = _with_snapshots(served, served.size // turns, turns, snapshot // slice, snapshot_time // slice)
    steps = 100
    grown = parts(heap, steps)
    return join(
        rows("MARK", a=MARK_START),
        rows("SPAWN"),
        rows("MMAP", a=heap, flags=NO_THP),
        interleave(rows("TOUCH", steps, a=np.cumsum(grown) - grown, b=grown), rows("SLEEP", steps, a=load // steps)),
        rows("MARK", a=MARK_HELD),
        served,
        rows("EXIT"),
        rows("MARK", a=MARK_DONE),
    )


def _with_snapshots(served: np.ndarray, rows_of_turn: int, turns: int, every: int, lives: int) -> np.ndarray:
    """A fork every so many turns, whose child ends after so many; until then the first write to a page copies it."""
    every, lives = max(1, every), max(1, lives)
    at = np.arange(every, turns, every)
    at = at[at + lives <= turns] if lives < every else at[:0]
    places = np.concatenate([at, at + lives]) * rows_of_turn
    return np.insert(served, places, join(rows("FORK", at.size, a=CHILD), rows("EXIT", at.size, proc=CHILD)))

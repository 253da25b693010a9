"""A guest boots: reserved memory is written, kernel caches, page cache and daemons fill up, processes come and go."""

from __future__ import annotations

import numpy as np

from hinting._core.engine.ops import KINDS, program
from hinting.costs import CostProfile
from hinting.guests.memory_map import MIB_PAGES, MemoryMap, boot_table

__all__ = ["FIRST_PROCESS", "MARK_BOOTED", "boot"]

#: Mark set when boot is over.
MARK_BOOTED = 0
#: Processes and slots of boot have numbers from here on.
FIRST_PROCESS = 1000

_SLAB, _CACHE = 0, 1


def _parts(total: int, rounds: int, rng: np.random.Generator) -> np.ndarray:
    """Cut a number of pages into random parts, one a round, all of it used."""
    cuts = np.sort(rng.integers(0, total + 1, rounds - 1))
    return np.diff(np.concatenate([[0], cuts, [total]]))


def boot(memory: MemoryMap, costs: CostProfile, seed: int = 0) -> np.ndarray:
    """Rows of a boot that leaves size.guest_base_mib of memory in use, struct pages not counted.

    The shares of each kind are those of guests/boot.toml. seed: of the sizes of each round.
    """
    table = boot_table()
    rng = np.random.Generator(np.random.PCG64(seed))
    shares, rounds = table["shares"], table["rounds"]["count"]
    base = costs["size.guest_base_mib"] * MIB_PAGES
    rows: list[tuple[str, dict[str, int]]] = [
        ("BACK", {"a": first, "b": end - first}) for first, end in (*memory.reserved, *memory.late)
    ]
    slab = _parts(int(base * shares["slab"]), rounds, rng)
    cache = _parts(int(base * shares["page_cache"]), rounds, rng)
    transient = int(base * shares["transient"])
    daemon = table["rounds"]["daemon_mib"] * MIB_PAGES
    daemons = max(1, round(base * shares["daemons"] / daemon))
    process = FIRST_PROCESS + 2
    rest = table["rounds"]["duration_ms"] * 1_000_000 // rounds
    for turn in range(rounds):
        rows += _slab_rows(int(slab[turn]), table["slab"], rng)
        rows.append(("ALLOC", {"proc": FIRST_PROCESS + _CACHE, "flags": KINDS["user"], "b": int(cache[turn])}))
        visitor = process
        size = int(rng.integers(1, max(2, transient)))
        rows += [
            ("SPAWN", {"proc": visitor}),
            ("MMAP", {"proc": visitor, "a": size}),
            ("TOUCH", {"proc": visitor, "b": size}),
        ]
        process += 1
        for _ in range(daemons * (turn + 1) // rounds - daemons * turn // rounds):
            rows += [
                ("SPAWN", {"proc": process}),
                ("MMAP", {"proc": process, "a": daemon}),
                ("TOUCH", {"proc": process, "b": daemon}),
            ]
            process += 1
        rows += [("EXIT", {"proc": visitor}), ("SLEEP", {"a": rest})]
    rows.append(("MARK", {"a": MARK_BOOTED}))
    return program(*rows)


def _slab_rows(pages: int, table: dict, rng: np.random.Generator) -> list[tuple[str, dict[str, int]]]:
    """Kernel caches of one round, in blocks of several orders."""
    rows: list[tuple[str, dict[str, int]]] = []
    for order, share in enumerate(table["orders"]):
        blocks = int(pages * share) >> order
        reclaimable = int(rng.binomial(blocks, table["reclaimable"])) if blocks else 0
        for kind, count in (("kernel", blocks - reclaimable), ("reclaimable", reclaimable)):
            if count:
                rows.append(("ALLOC", {"proc": FIRST_PROCESS + _SLAB, "flags": KINDS[kind], "order": order, "b": count}))
    return rows

"""Places for so many free blocks of each type and order, such that no two of them would merge."""

from __future__ import annotations

import numpy as np

from hinting._core.limits import NR_ORDERS

__all__ = ["place"]

_BLOCK_ORDER = 9
_MOVABLE = 1

#: Aligned ranges by order of which at least one page stays in use, so that nothing in them merges beyond them.
Slots = list[list[int]]


def place(
    managed: np.ndarray, start: int, counts: np.ndarray, blocks: np.ndarray, types: np.ndarray, rng: np.random.Generator
) -> dict[tuple[int, int], np.ndarray] | None:
    """{(migratetype, order): first pages}; None if they do not fit.

    managed: pages of the zone that the allocator has, from pfn `start` on. counts: free blocks by migratetype and order. blocks:
    pageblocks by migratetype; those that are left over are movable. types: migratetype by pageblock, filled in.
    """
    whole, pieces = _ranges(managed, start)
    rng.shuffle(whole)
    found: dict[tuple[int, int], list[int]] = {}
    left = blocks.copy()
    edges: list[list[int]] = [[pfn for pfn, at in pieces if at == order] for order in range(NR_ORDERS)]
    singles: list[int] = []
    for kind in range(counts.shape[0]):
        for order in (10, 9):
            for _ in range(int(counts[kind, order])):
                if order == 9 and edges[9]:     # beside memory that the allocator does not have: nothing to merge with
                    halves = [edges[9].pop()]
                elif whole:
                    first = whole.pop()
                    halves = [first, first + (1 << _BLOCK_ORDER)]
                    if order == 9:              # the other half is not all free
                        singles.append(halves.pop(int(rng.integers(2))))
                else:
                    return None
                for half in halves:
                    types[half >> _BLOCK_ORDER] = kind
                    left[kind] -= 1
                found.setdefault((kind, order), []).append(halves[0])
    singles += edges[9] + [pfn + half for pfn in whole for half in (0, 1 << _BLOCK_ORDER)]
    slots = _typed(singles, left, types, rng)
    for order in range(_BLOCK_ORDER - 1, -1, -1):
        for kind in range(counts.shape[0]):
            for _ in range(int(counts[kind, order])):
                if edges[order]:
                    found.setdefault((kind, order), []).append(edges[order].pop())
                    continue
                pools = [slots[kind], *(slots[other] for other in range(len(slots)) if other != kind)]
                taken = next((pfn for pool in pools if (pfn := _take(pool, order, rng)) is not None), None)
                if taken is None:
                    return None
                found.setdefault((kind, order), []).append(taken)
        for pfn in edges[order]:
            slots[types[pfn >> _BLOCK_ORDER]][order].append(pfn)
    return {key: np.array(pfns, np.int64) for key, pfns in found.items()}


def _ranges(managed: np.ndarray, start: int) -> tuple[list[int], list[tuple[int, int]]]:
    """(first pages of aligned ranges of order 10, other aligned ranges (first page, order)) of what is managed."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], managed, [False]]).astype(np.int8))) + start
    whole, pieces = [], []
    for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        at = first
        while at < end:
            order = min(NR_ORDERS - 1, (at & -at).bit_length() - 1 if at else NR_ORDERS - 1, (end - at).bit_length() - 1)
            if order == NR_ORDERS - 1:
                whole.append(at)
            else:
                pieces.append((at, order))
            at += 1 << order
    return whole, pieces


def _typed(singles: list[int], left: np.ndarray, types: np.ndarray, rng: np.random.Generator) -> list[Slots]:
    """Give pageblocks that are not all free their types, as many of each as are left; slots by type and order."""
    slots: list[Slots] = [[[] for _ in range(NR_ORDERS)] for _ in range(left.size)]
    rng.shuffle(singles)
    kinds = np.full(len(singles), _MOVABLE)
    at = 0
    for kind in (kind for kind in range(left.size) if kind != _MOVABLE):
        n = min(max(0, int(left[kind])), len(singles) - at)
        kinds[at : at + n] = kind
        at += n
    for pfn, kind in zip(singles, kinds.tolist(), strict=True):
        types[pfn >> _BLOCK_ORDER] = kind
        slots[kind][_BLOCK_ORDER].append(pfn)
    return slots


def _take(pool: Slots, order: int, rng: np.random.Generator) -> int | None:
    """A free block of this order, in half of a slot; what is left of the slot stays one. None if there is no slot."""
    found = next((large for large in range(order + 1, NR_ORDERS) if pool[large]), None)
    if found is None:
        return None
    at = int(rng.integers(len(pool[found])))
    pool[found][at], pool[found][-1] = pool[found][-1], pool[found][at]
    pfn = pool[found].pop()
    while found > order + 1:                    # both halves of a slot may be slots
        found -= 1
        halves = [pfn, pfn + (1 << found)]
        pfn = halves.pop(int(rng.integers(2)))
        pool[found].append(halves[0])
    halves = [pfn, pfn + (1 << order)]
    taken = halves.pop(int(rng.integers(2)))
    pool[order].append(halves[0])
    return taken

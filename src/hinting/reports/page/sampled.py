"""Samples of guests' memory (tables memory_map and fragmentation) as arrays that figures are drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hinting.metrics.memory_map import PAGES
from hinting.reports.page.arms import Arm

__all__ = ["STATES", "GuestMap", "guest_maps", "unusable_over_time"]

#: What a page can be, in the order in which figures stack them.
STATES = ("in use", "page cache", "free, still backed", "isolated", "given back", "free, never backed")
#: Guests in all figures together, so that a page stays small.
MOST = 12


@dataclass(frozen=True)
class GuestMap:
    """One guest over time. pages: by sample, pageblock and state, shape (samples, pageblocks, len(STATES))."""

    strategy: str
    guest: int
    t_ns: np.ndarray
    pages: np.ndarray

    @property
    def name(self) -> str:
        """What people call it."""
        return f"guest {self.guest + 1}"


def _states(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Pages by state of every row, shape (rows, len(STATES)); free memory that is isolated or reported stands apart."""
    free, isolated = rows["free"].astype(np.int32), rows["isolated"].astype(np.int32)
    backed = np.clip(rows["free_backed"].astype(np.int32) - isolated, 0, free)
    return np.stack([rows["used"], rows["cache"], backed, isolated, rows["reported"], free - backed], axis=1).astype(np.int32)


def _filled(rows: dict[str, np.ndarray], times: np.ndarray) -> np.ndarray:
    """Pages by sample, pageblock and state: a row holds until the next one of its pageblock."""
    blocks = int(rows["block"].max()) + 1
    states = np.concatenate([np.zeros((1, len(STATES)), np.int32), _states(rows)])
    last = np.zeros((len(times), blocks), np.int32)
    last[np.searchsorted(times, rows["t_ns"]), rows["block"]] = np.arange(1, len(states))
    return states[np.maximum.accumulate(last, axis=0)]


def guest_maps(arms: Sequence[Arm], memory_map: pa.Table) -> list[GuestMap]:
    """The first guests of every strategy, as many of each as there is room for."""
    return list(_guest_maps(arms, memory_map, max(1, MOST // len(arms))))


def _guest_maps(arms: Sequence[Arm], memory_map: pa.Table, most: int) -> Iterator[GuestMap]:
    for arm in arms:
        table = memory_map.filter(pc.equal(memory_map["strategy"], arm.name))
        times = np.unique(table["t_ns"].to_numpy())
        for guest in sorted(table["guest"].unique().to_pylist())[:most]:
            mine = table.filter(pc.equal(table["guest"], guest))
            rows = {name: mine[name].to_numpy() for name in ("t_ns", "block", *PAGES)}
            own = times[times >= rows["t_ns"][0]]
            yield GuestMap(arm.label, guest, own, _filled(rows, own))


def unusable_over_time(arms: Sequence[Arm], fragmentation: pa.Table, order: int) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
    """(strategy, guest, t_ns, unusable free space index of an order) of the first guest of every strategy."""
    found = []
    for arm in arms:
        mine = fragmentation.filter(
            pc.and_(pc.equal(fragmentation["strategy"], arm.name), pc.equal(fragmentation["order"], order))
        )
        guests = mine["guest"].unique().to_pylist()
        if guests:
            first = mine.filter(pc.equal(mine["guest"], min(guests)))
            found.append((arm.label, min(guests), first["t_ns"].to_numpy(), first["unusable"].to_numpy()))
    return found

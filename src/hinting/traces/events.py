"""What every loader of fleet traces gives: when guests come and go, and how much memory they want from when on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hinting.errors import TraceError

__all__ = ["ANON", "ARRIVES", "CACHE", "DEPARTS", "EVENT_DTYPE", "FleetTrace", "Recorder"]

#: Kinds of events. ARRIVES: bytes is the guest's configured memory, 0 if the trace has none. ANON, CACHE: memory of
#: programs and of the page cache from now on.
ARRIVES, DEPARTS, ANON, CACHE = range(4)

#: One event: t_ns from the start of the trace, guest, kind, bytes.
EVENT_DTYPE = np.dtype([("t_ns", "i8"), ("guest", "i4"), ("kind", "u1"), ("bytes", "i8")])


@dataclass(frozen=True)
class FleetTrace:
    """events: of EVENT_DTYPE, in the order of time. names: of the guests, by number. vcpus: by number. left_out: rows
    whose values the trace itself marks as invalid, or that have none."""

    events: np.ndarray
    names: tuple[str, ...]
    vcpus: tuple[int, ...]
    left_out: int = 0

    def number(self, name: str) -> int:
        """The guest of a name; TraceError if there is none."""
        try:
            return self.names.index(name)
        except ValueError:
            some = ", ".join(self.names[:5]) + (", ..." if len(self.names) > 5 else "")
            raise TraceError(f"instance {name!r} is not in the trace, expected one of {len(self.names)}: {some}") from None

    def guest(self, number: int) -> np.ndarray:
        """The events of one guest."""
        return self.events[self.events["guest"] == number]

    def memory_bytes(self, number: int) -> int:
        """A guest's configured memory, or the most that it ever wants if the trace has no such thing."""
        mine = self.guest(number)
        configured = int(mine["bytes"][mine["kind"] == ARRIVES].max(initial=0))
        if configured:
            return configured
        most = {kind: int(mine["bytes"][mine["kind"] == kind].max(initial=0)) for kind in (ANON, CACHE)}
        return most[ANON] + most[CACHE]


class Recorder:
    """Collects events of guests that are known by name."""

    def __init__(self) -> None:
        self._events: list[tuple[int, int, int, int]] = []
        self._numbers: dict[str, int] = {}
        self._vcpus: dict[int, int] = {}
        self.left_out = 0

    def number(self, name: str, *, vcpus: int = 1) -> int:
        """The number of a guest, a new one for a new name."""
        number = self._numbers.setdefault(name, len(self._numbers))
        self._vcpus.setdefault(number, vcpus)
        return number

    def add(self, t_ns: float, guest: int, kind: int, n_bytes: float) -> None:
        """One event."""
        self._events.append((round(t_ns), guest, kind, round(n_bytes)))

    def sampled(self, guest: int, samples: Iterable[tuple[float, float, float]], last: float) -> None:
        """A guest that is there from its first sample (t_ns, anon, cache) to `last`."""
        for i, (t_ns, anon, cache) in enumerate(sorted(samples)):
            if i == 0:
                self.add(t_ns, guest, ARRIVES, 0)
            self.add(t_ns, guest, ANON, anon)
            if cache:
                self.add(t_ns, guest, CACHE, cache)
        self.add(last, guest, DEPARTS, 0)

    def trace(self, path: object) -> FleetTrace:
        """All events, from the time of the first on; TraceError if there are none."""
        if not self._events:
            raise TraceError(f"{path}: no usable row, {self.left_out} left out")
        events = np.array(self._events, EVENT_DTYPE)
        events["t_ns"] -= events["t_ns"].min()
        order = np.lexsort((events["kind"] == DEPARTS, events["guest"], events["t_ns"]))
        names = tuple(self._numbers)
        return FleetTrace(events[order], names, tuple(self._vcpus[i] for i in range(len(names))), self.left_out)

"""The state of a guest as one immutable object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hinting import kernels
from hinting._core.mm.allocator import Allocator
from hinting.costs import CostProfile
from hinting.errors import HintingError, SnapshotError, StrategyError
from hinting.guests import MemoryMap
from hinting.kinds import path_of
from hinting.recordings.reader import Recording, is_recording
from hinting.snapshots.file import read_file, write_file
from hinting.snapshots.header import Header, header_of, parse_header
from hinting.snapshots.recorded import snapshot_of_recording
from hinting.strategies import StrategySpec
from hinting.units import PAGE_BYTES

__all__ = ["Snapshot", "attach", "open_snapshot"]

_ALLOCATOR, _STRATEGY = "allocator.", "strategy."


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot:
    """A guest at one moment: zones, every list in order, memory in use, counters, and what its strategy knows.

    Made by `Guest.snapshot()` or `Snapshot.load(path)`; used by `Guest.from_snapshot` and `Guest.restore`. It never
    changes and does not refer to the guest. What runs in the guest (programs of a simulation) is not part of it.

    kernel: name of the profile. thp: "always", "madvise" or "never". strategy: its parameters, or None. costs: the profile for
    the footprint of boot.

    >>> from hinting import Guest
    >>> guest = Guest("1GiB", kernel="linux-6.1")
    >>> moment = guest.snapshot()
    >>> first = guest.alloc()
    >>> guest.restore(moment)
    >>> guest.alloc() == first
    True
    """

    kernel: str
    memory_map: MemoryMap
    thp: str
    costs: CostProfile
    strategy: StrategySpec | None
    _allocator: Allocator = field(repr=False)
    _strategy_state: Mapping[str, np.ndarray] | None = field(repr=False)

    @property
    def vcpus(self) -> int:
        """CPUs of the guest."""
        return self._allocator.ncpus

    @property
    def memory_bytes(self) -> int:
        """Configured RAM; the first page is never RAM."""
        return (self.memory_map.pages + 1) * PAGE_BYTES

    def arrays(self) -> dict[str, np.ndarray]:
        """The allocator's state as read-only NumPy arrays; hinting._core.mm.state_arrays describes them.

        >>> from hinting import Guest
        >>> Guest("1GiB").snapshot().arrays()["zones"]["index"].tolist()
        [0, 1]
        """
        return {name: _frozen(array) for name, array in self._allocator.state().items()}

    def strategy_arrays(self) -> dict[str, np.ndarray]:
        """The strategy's state as read-only arrays; empty without a strategy."""
        return {name: _frozen(array) for name, array in (self._strategy_state or {}).items()}

    def save(self, path: str | Path) -> None:
        """Write the snapshot as one file: a NumPy .npz with a JSON header, without pickle.

        The file appears whole or not at all. Raises SnapshotError if it cannot be written.
        """
        write_file(path_of(path, "snapshot file", SnapshotError), *self._parts())

    @classmethod
    def load(cls, path: str | Path) -> Snapshot:
        """Read a file that `save` wrote.

        Raises SnapshotError, naming file, field and reason, for a file that is damaged, truncated, contradictory or
        of a newer version.
        """
        header, arrays = read_file(path_of(path, "snapshot file", SnapshotError))
        return cls._from_parts(header, arrays, str(path))

    @classmethod
    def from_proc(
        cls, source: str | Path, *, memory: int | str | None = None, kernel: str = "linux-6.1", vcpus: int = 1, seed: int = 0
    ) -> Snapshot:
        """A guest whose memory is as fragmented as a real machine's.

        source: a file of /proc, kpageflags, pagetypeinfo or buddyinfo, or a folder with some of them, of which the first is
        used. memory: RAM, for all but kpageflags. Free blocks that a file only counts are placed at random (seed), so that
        `buddyinfo_text` and `pagetypeinfo_text` of the guest say the same; of kpageflags they are where they were. Raises
        SnapshotError with file, line and what was expected.
        """
        from hinting.snapshots.proc import snapshot_of_proc

        return cls(**snapshot_of_proc(Path(source), memory=memory, kernel=kernel, vcpus=vcpus, seed=seed))

    def _parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON header and arrays, as in a file."""
        header = header_of(Header(self.kernel, self.memory_map, self.thp, self.costs, self.strategy))
        return header, {
            **{_ALLOCATOR + name: array for name, array in self._allocator.state().items()},
            **{_STRATEGY + name: array for name, array in (self._strategy_state or {}).items()},
        }

    @classmethod
    def _from_parts(cls, document: Mapping[str, Any], arrays: Mapping[str, np.ndarray], where: str) -> Snapshot:
        """The checked snapshot of a header and arrays; where: file or what else to name in an error."""
        header = parse_header(document, where)
        for name in arrays:
            if not name.startswith((_ALLOCATOR, _STRATEGY)):
                raise SnapshotError(f"{where}: unknown field {name!r}")
        parts = [
            {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            for prefix in (_ALLOCATOR, _STRATEGY)
        ]
        try:
            allocator = Allocator.from_state(kernels.load(header.kernel), parts[0])
        except HintingError as error:
            raise SnapshotError(f"{where}: {error}") from None
        _check_memory(allocator, header.memory_map, where)
        strategy_state = parts[1] if header.strategy is not None else None
        if header.strategy is None and parts[1]:
            raise SnapshotError(f"{where}: strategy: there is none, but the field {_STRATEGY}{next(iter(parts[1]))!s}")
        if header.strategy is not None:
            try:
                attach(header.strategy, allocator.copy(), strategy_state)
            except StrategyError as error:
                raise SnapshotError(f"{where}: strategy: {error}") from None
        return cls(header.kernel, header.memory_map, header.thp, header.costs, header.strategy, allocator,
                   strategy_state)

    def __eq__(self, other: object) -> bool:
        """Equal if every page, list, counter and setting is."""
        if not isinstance(other, Snapshot):
            return NotImplemented
        (ours, our_arrays), (theirs, their_arrays) = self._parts(), other._parts()
        return ours == theirs and our_arrays.keys() == their_arrays.keys() and all(
            np.array_equal(array, their_arrays[name]) for name, array in our_arrays.items())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, self._parts()

    def __repr__(self) -> str:
        strategy = self.strategy.name if self.strategy is not None else "none"
        return f"<Snapshot {self.memory_bytes >> 20} MiB, {self.vcpus} vCPU, {self.kernel}, strategy {strategy}>"


def _unpickled(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Snapshot:
    return Snapshot._from_parts(header, arrays, "pickled snapshot")


def _frozen(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _check_memory(allocator: Allocator, memory: MemoryMap, where: str) -> None:
    """The memory map and the zones are of one guest."""
    end = max(allocator.zone_state(zone)["end"] for zone in range(4))
    if memory.npfn != end:
        raise SnapshotError(f"{where}: memory_map: RAM ends at page frame {memory.npfn}, the zones at {end}")


def attach(spec: StrategySpec, allocator: Allocator, state: Mapping[str, np.ndarray] | None) -> Any:
    """A new compiled strategy, attached to an allocator and in this state; StrategyError if the state is wrong."""
    core = spec.core()
    core.attach(allocator)
    if state is not None:
        core.set_state(state)
    return core


def open_snapshot(source: Snapshot | Recording | str | Path, at: str | None = None) -> Snapshot:
    """A snapshot from a snapshot, a snapshot file, or a recording (folder) of a real kernel.

    at: moment of a recording, "t0" (default) or "t1"; only for recordings. Raises SnapshotError or RecordingError.
    """
    if isinstance(source, (str, Path)) and is_recording(Path(source)):
        source = Recording.open(source)
    if isinstance(source, Recording):
        return Snapshot(**snapshot_of_recording(source, "t0" if at is None else at))
    if at is not None:
        raise SnapshotError(f"at={at!r} picks a moment of a recording, {source} is none")
    if isinstance(source, Snapshot):
        return source
    if not isinstance(source, (str, Path)):
        raise SnapshotError(f"a snapshot must be a Snapshot, a Recording or a path, got {source!r}")
    if Path(source).is_dir():
        raise SnapshotError(f"{source}: expected a snapshot file, or a recording with meta.json and events.parquet")
    return Snapshot.load(source)

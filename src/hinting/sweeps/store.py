"""The output folder of a sweep while it runs: made, locked, checked, gone on with, repaired."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from hinting.errors import ResultsError, SweepError
from hinting.results.columns import Column
from hinting.results.files import PROVENANCE, WRITING, prepare_folder, replace_file, write_json
from hinting.results.ledger import DONE, FAILED, LEDGER, PENDING, Failure, Ledger, Stamps
from hinting.results.parts import POINTS, SERIES, Parts
from hinting.sweeps.design import Point
from hinting.sweeps.rows import points_table, series_table
from hinting.sweeps.solve import Outcome

__all__ = ["Store", "about_point"]

#: Locked while a sweep runs here.
LOCK = "lock"
#: What makes two sweeps different ones.
COMPARED = ("sweep", "scenario", "hinting", "costs", "files")
#: What changes no point.
IDLE = {f"{table}.{key}" for table in ("sweep", "scenario") for key in ("name", "text")} | {"sweep.trials"}


class Store:
    """One folder, locked for this process. Make one with `Store.open`; close it in the end."""

    def __init__(self, folder: Path, lock: IO[str], ledger: Ledger) -> None:
        self.folder, self.ledger, self.parts = folder, ledger, Parts(folder)
        self._lock = lock
        self._read: dict[str, dict[str, dict[str, Any]]] = {}
        meta = ledger.meta()
        self.provenance: dict[str, Any] = meta["provenance"]
        self.columns: dict[str, Column] = meta["columns"]

    @classmethod
    def open(
        cls,
        path: Path,
        provenance: Mapping[str, Any],
        columns: Mapping[str, Column],
        points: Sequence[Point],
        *,
        extra: Mapping[str, Any] | None = None,
        update: bool = False,
        repair: bool = False,
    ) -> Store:
        """Make the folder of a sweep, or go on with it where it is.

        extra: more for the ledger's meta. update: go on although the sweep is another one; points that are the same
        keep their results. repair: set damaged files aside and run their points again. Raises SweepError or ResultsError,
        and changes nothing, if the folder holds something else, is in use, or is damaged.
        """
        folder = prepare_folder(path)
        if not (folder / LEDGER).exists():
            _check_free(folder)
        lock = _locked(folder)
        try:
            meta = {"provenance": provenance, "columns": columns, **(extra or {})}
            store = cls(folder, lock, _ledger(folder, meta, points, repair))
            store._check_same(meta, points, update)
            store._check_parts(repair)
            store._clear()
            store._adopt(repair)
            replace_file(folder / PROVENANCE, partial(write_json, store.provenance))
        except OSError as error:
            lock.close()
            raise SweepError(f"--out {folder}: cannot be written to: {error.strerror or error}") from None
        except BaseException:
            lock.close()
            raise
        return store

    def close(self) -> None:
        """Close the ledger and unlock the folder."""
        self.ledger.close()
        self._lock.close()

    def pending(self) -> Iterator[Point]:
        """Points that are still to be run, in order."""
        for row in self.ledger.points(PENDING):
            yield Point(row.number, row.key, **row.about)

    def results(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """State and some metrics of every point by key."""
        columns = ["key", *names]
        for part in self.ledger.parts():
            if part not in self._read:
                rows = self.parts.read(POINTS, part, columns).to_pylist()
                self._read[part] = {row["key"]: {"state": DONE, **row} for row in rows}
        found: dict[str, dict[str, Any]] = {}
        for rows_by_key in self._read.values():
            found |= rows_by_key
        unfinished = dict.fromkeys(names)
        return found | {row.key: {"state": row.state, **unfinished} for row in self.ledger.points(PENDING, FAILED)}

    def save(self, outcomes: Iterable[Outcome]) -> None:
        """Write what has ended as one part and note it in the ledger. Raises SweepError if the disk does not take it."""
        outcomes = sorted(outcomes, key=lambda outcome: outcome.point.number)
        done = [outcome for outcome in outcomes if outcome.values is not None]
        failed = [Failure(one.point.key, one.error, one.traceback, one.run) for one in outcomes if one.values is None]
        try:
            part, stamps = self._written(done) if done else (None, None)
            self.ledger.commit(part, stamps, [outcome.point.key for outcome in done], failed)
        except (OSError, ResultsError) as error:
            reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            raise SweepError(f"--out {self.folder}: {reason}; what is finished is safe, run the command again to go on") from None

    def _written(self, done: list[Outcome]) -> tuple[str, Stamps]:
        name = self.parts.next_name()
        return name, self.parts.write(name, points_table(done, self.columns), series_table(done), self.provenance)

    def _clear(self) -> None:
        for path in self.folder.glob(f"{WRITING}*"):
            path.unlink()
        self.parts.clear()

    def _check_same(self, meta: Mapping[str, Any], points: Sequence[Point], update: bool) -> None:
        """Refuse another sweep than the ledger's, or take it over."""
        changes = _differences(self.provenance, meta["provenance"])
        if not changes:
            if self.provenance != meta["provenance"]:
                self.provenance = dict(meta["provenance"])
                self.ledger.add((), {"provenance": self.provenance})
            return
        if not update:
            more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
            raise SweepError(f"--out {self.folder}: holds another sweep: {'; '.join(changes[:3])}{more}; name another folder, "
                             f"or --update to go on with the new one and keep the points that are the same")
        self.ledger.change(meta, [(point.key, about_point(point)) for point in points])
        self.provenance, self.columns = dict(meta["provenance"]), dict(meta["columns"])

    def _check_parts(self, repair: bool) -> None:
        for name, about in self.ledger.parts().items():
            problem = self.parts.problem(name, about, whole=repair)
            if problem is not None:
                if not repair:
                    raise ResultsError(f"{problem}; --repair sets it aside and runs its points again")
                self.ledger.forget(name)
                self.parts.set_aside(name)

    def _adopt(self, repair: bool) -> None:
        """Note parts that were written when the driver ended before it could note them."""
        known = self.ledger.parts()
        with_series = set(self.parts.names(SERIES))
        for name in self.parts.names():
            if name in known:
                continue
            problem = _unreadable(self.parts, name, name in with_series)
            if problem is not None:
                if not repair:
                    raise ResultsError(f"{problem}; --repair sets it aside and runs its points again")
                self.parts.set_aside(name)
                continue
            keys = self.parts.read(POINTS, name, ["key"])["key"].to_pylist()
            self.ledger.adopt(name, self.parts.stamps(name), keys)


def about_point(point: Point) -> dict[str, Any]:
    """A point as the ledger has it."""
    return {"axes": point.axes, "strategy": point.strategy, "changes": point.changes, "seed": point.seed, "repeat": point.repeat}


def _check_free(folder: Path) -> None:
    """Refuse a folder that holds something else than the beginnings of a sweep."""
    own = {LOCK, POINTS, SERIES, PROVENANCE, "damaged"}
    names = (entry.name for entry in folder.iterdir())
    other = sorted(name for name in names if name not in own and not name.startswith((WRITING, LEDGER)))
    if not other and (folder / PROVENANCE).exists():
        with suppress(OSError, ValueError, KeyError):
            if json.loads((folder / PROVENANCE).read_bytes())["kind"] == "sweep":
                return
        other = [PROVENANCE]
    if other:
        raise SweepError(f"--out {folder}: holds no sweep, and is not empty ({other[0]} is in it): name another folder")


def _locked(folder: Path) -> IO[str]:
    try:
        lock = (folder / LOCK).open("a")
    except OSError as error:
        raise SweepError(f"--out {folder}: cannot be written to: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise SweepError(f"--out {folder}: another sweep is running in it") from None
    return lock


def _ledger(folder: Path, meta: Mapping[str, Any], points: Sequence[Point], repair: bool) -> Ledger:
    """The ledger of the folder, made if there is none, made again if it is damaged and repair says so."""
    path = folder / LEDGER
    lost = not path.exists() and any((folder / POINTS).glob("part-*.parquet"))
    if lost and not repair:
        raise ResultsError(f"{path}: is missing; --repair makes it again from the points that are there")
    try:
        ledger = Ledger(path)
        if not ledger.is_new:
            ledger.check()
            return ledger
    except ResultsError as error:
        if "damaged" not in str(error):
            raise
        if not repair:
            raise ResultsError(f"{error}; --repair makes it again from the points that are there") from None
        aside = folder / "damaged"
        aside.mkdir(exist_ok=True)
        for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            if file.exists():
                os.replace(file, aside / f"{file.name}-{len(list(aside.iterdir()))}")
        ledger = Ledger(path)
    ledger.start(meta, ((point.number, point.key, about_point(point)) for point in points))
    return ledger


def _unreadable(parts: Parts, name: str, with_series: bool) -> ResultsError | None:
    try:
        parts.read(POINTS, name)
        if with_series:
            parts.read(SERIES, name)
    except ResultsError as error:
        return error
    return None


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    parts = [_flat(each, f"{path}.{name}" if path else name) for name, each in value.items()]
    return {key: found for part in parts for key, found in part.items()}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two sweeps, in words."""
    before, after = ({key: value for key, value in _flat({name: about.get(name) for name in COMPARED}).items() if key not in IDLE}
                     for about in (old, json.loads(json.dumps(new))))  # fmt: skip
    found = []
    for key in dict.fromkeys([*before, *after]):
        if key not in after:
            found.append(f"{key} {before[key]!r} is gone")
        elif key not in before:
            found.append(f"{key} {after[key]!r} is new")
        elif before[key] != after[key]:
            found.append(f"{key} was {before[key]!r}, is {after[key]!r}")
    return found

"""The ledger of a sweep: an SQLite database that knows the state of every point."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hinting.errors import ResultsError

__all__ = ["DONE", "DROPPED", "FAILED", "LEDGER", "PENDING", "Failure", "Ledger", "Row", "Stamps"]

#: Name of the file.
LEDGER = "ledger.sqlite"
#: States of a point. dropped: of an earlier state of the sweep file, kept for what it has cost.
PENDING, DONE, FAILED, DROPPED = "pending", "done", "failed", "dropped"

#: (bytes, sha256) of the files of a part by the half that they are.
Stamps = dict[str, tuple[int, str]]

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE parts (name TEXT PRIMARY KEY, points INTEGER NOT NULL, stamps TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE points (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, state TEXT NOT NULL, about TEXT NOT NULL,
    part TEXT REFERENCES parts, error TEXT, traceback TEXT, run TEXT
);
CREATE INDEX points_by_state ON points (state, number);
"""
_IS_DONE = "state = ?, part = ?, error = NULL, traceback = NULL"


class Row(NamedTuple):
    """A point. about: axes, strategy, changes, seed and repeat as plain values."""

    number: int
    key: str
    state: str
    about: dict[str, Any]
    error: str | None
    traceback: str | None


class Failure(NamedTuple):
    """A point that failed. run: when, where and how long."""

    key: str
    error: str
    traceback: str
    run: dict[str, Any]


class Ledger:
    """The ledger of one folder. Every method is one transaction, or none if it raises.

    Raises ResultsError naming the file if it is damaged, of another kind, or the disk is full.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        try:
            self._db = self._connect(readonly)
        except sqlite3.Error as error:
            raise self._problem(error) from None

    def _connect(self, readonly: bool) -> sqlite3.Connection:
        if not readonly:
            db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            return db
        try:
            db = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, timeout=30, isolation_level=None)
            db.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError:  # a folder that cannot be written to has no place for WAL's index
            db = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
        return db

    def _problem(self, error: sqlite3.Error) -> ResultsError:
        text = str(error)
        if isinstance(error, sqlite3.OperationalError) and ("full" in text or "disk I/O" in text or "unable to open" in text):
            return ResultsError(f"{self.path}: cannot be read or written to: {text}")
        return ResultsError(f"{self.path}: damaged: {text}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._problem(error) from None

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._problem(error) from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def is_new(self) -> bool:
        """Whether it holds nothing yet, as after a start that was cut short."""
        return not self._rows("SELECT name FROM sqlite_master LIMIT 1")

    def check(self) -> None:
        """See that the file is whole and a ledger."""
        found = self._rows("PRAGMA quick_check(1)")
        if found != [("ok",)]:
            raise ResultsError(f"{self.path}: damaged: {found[0][0]}")
        self._rows("SELECT number, key, state, about, part, error, traceback, run FROM points LIMIT 1")
        if "provenance" not in self.meta() or "columns" not in self.meta():
            raise ResultsError(f"{self.path}: damaged: what the sweep follows from is missing")

    def start(self, meta: Mapping[str, Any], points: Iterable[tuple[int, str, Mapping[str, Any]]]) -> None:
        """Fill a new ledger: all of it or nothing. points: (number, key, about)."""
        with self._transaction() as db:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)
            _put_meta(db, meta)
            _add(db, points)

    def add(self, points: Iterable[tuple[int, str, Mapping[str, Any]]], meta: Mapping[str, Any] | None = None) -> None:
        """Append points, with meta in the same transaction."""
        with self._transaction() as db:
            _put_meta(db, meta or {})
            _add(db, points)

    def change(self, meta: Mapping[str, Any], points: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Go on with other points, given as (key, about): the known ones keep state and number, the others are dropped."""
        with self._transaction() as db:
            _put_meta(db, meta)
            known = dict(db.execute("SELECT key, number FROM points"))
            wanted = dict(points)
            db.executemany("UPDATE points SET state = ? WHERE key = ?", [(DROPPED, key) for key in known if key not in wanted])
            for key in known.keys() & wanted.keys():
                db.execute("UPDATE points SET about = ? WHERE key = ?", (json.dumps(wanted[key]), key))
                db.execute(
                    "UPDATE points SET state = CASE WHEN part IS NOT NULL THEN ? ELSE ? END WHERE key = ? AND state = ?",
                    (DONE, PENDING, key, DROPPED),
                )
            first = 1 + max(known.values(), default=-1)
            new = [(key, about) for key, about in wanted.items() if key not in known]
            _add(db, ((first + i, key, about) for i, (key, about) in enumerate(new)))

    def meta(self) -> dict[str, Any]:
        """What was stored beside the points."""
        return {name: json.loads(value) for name, value in self._rows("SELECT name, value FROM meta")}

    def counts(self) -> dict[str, int]:
        """Number of points by state."""
        found = dict(self._rows("SELECT state, count(*) FROM points GROUP BY state"))
        return {state: found.get(state, 0) for state in (PENDING, DONE, FAILED, DROPPED)}

    def points(self, *states: str) -> Iterator[Row]:
        """Points of these states, in order."""
        marks = ", ".join("?" for _ in states)
        query = f"SELECT number, key, state, about, error, traceback FROM points WHERE state IN ({marks}) ORDER BY number"
        try:
            for number, key, state, about, error, traceback in self._db.execute(query, states):
                yield Row(number, key, state, json.loads(about), error, traceback)
        except sqlite3.Error as error:
            raise self._problem(error) from None

    def parts(self) -> dict[str, Stamps]:
        """Size and hash of the files of each part by name."""
        return {name: json.loads(stamps) for name, stamps in self._rows("SELECT name, stamps FROM parts ORDER BY name")}

    def numbers(self, state: str) -> dict[str, int]:
        """Numbers of the points of a state by key, in order."""
        return dict(self._rows("SELECT key, number FROM points WHERE state = ? ORDER BY number", state))

    def commit(self, part: str | None, stamps: Stamps | None, done: Iterable[str], failed: Iterable[Failure]) -> None:
        """Note what has ended: the keys in a part with the stamps of its files, and points that failed."""
        keys = list(done)
        with self._transaction() as db:
            if part is not None:
                db.execute("INSERT INTO parts VALUES (?, ?, ?)", (part, len(keys), json.dumps(stamps)))
                changed = db.executemany(
                    f"UPDATE points SET {_IS_DONE} WHERE key = ? AND part IS NULL",
                    [(DONE, part, key) for key in keys],
                ).rowcount
                if changed != len(keys):
                    wrong = len(keys) - changed
                    raise ResultsError(f"{self.path}: damaged: {wrong} points of {part} are in another part, or unknown")
            db.executemany(
                "UPDATE points SET state = ?, error = ?, traceback = ?, run = ? WHERE key = ? AND state = ?",
                [(FAILED, one.error, one.traceback, json.dumps(one.run, default=str), one.key, PENDING) for one in failed],
            )

    def adopt(self, part: str, stamps: Stamps, keys: Iterable[str]) -> None:
        """Note a part of an earlier driver; its keys may be of points that are no more.

        Raises ResultsError if another part has one of them.
        """
        keys = list(keys)
        with self._transaction() as db:
            db.execute("INSERT INTO parts VALUES (?, ?, ?)", (part, len(keys), json.dumps(stamps)))
            for key in keys:
                taken = db.execute("SELECT part FROM points WHERE key = ? AND part IS NOT NULL", (key,)).fetchone()
                if taken is not None:
                    raise ResultsError(f"{self.path}: damaged: {key} is in {taken[0]} and in {part}")
                db.execute(f"UPDATE points SET {_IS_DONE} WHERE key = ?", (DONE, part, key))

    def forget(self, part: str) -> int:
        """Make the points of a part pending again; returns how many."""
        with self._transaction() as db:
            changed = db.execute("UPDATE points SET state = ?, part = NULL WHERE part = ?", (PENDING, part)).rowcount
            db.execute("DELETE FROM parts WHERE name = ?", (part,))
        return changed

    def retry_failed(self) -> None:
        """Make failed points pending again."""
        with self._transaction() as db:
            db.execute("UPDATE points SET state = ?, error = NULL, traceback = NULL WHERE state = ?", (PENDING, FAILED))


def _put_meta(db: sqlite3.Connection, meta: Mapping[str, Any]) -> None:
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(name, json.dumps(value)) for name, value in meta.items()])


def _add(db: sqlite3.Connection, points: Iterable[tuple[int, str, Mapping[str, Any]]]) -> None:
    db.executemany(
        "INSERT INTO points (number, key, state, about) VALUES (?, ?, ?, ?)",
        ((number, key, PENDING, json.dumps(about)) for number, key, about in points),
    )

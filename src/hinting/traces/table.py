"""Tables of traces: CSV, plain or packed, with errors that name file, row and reason."""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from hinting.errors import TraceError

__all__ = ["Row", "open_text", "rows"]

_OPEN = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def open_text(path: Path) -> TextIO:
    """The text of a file, unpacked if its name says that it is packed; TraceError if it cannot be opened."""
    try:
        return _OPEN.get(path.suffix, open)(path, "rt", encoding="utf-8", newline="")  # type: ignore[operator]
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from None


class Row:
    """One row, its values by column."""

    __slots__ = ("_columns", "_values", "number", "path")

    def __init__(self, path: Path, number: int, columns: dict[str, int], values: Sequence[str]) -> None:
        self.path, self.number, self._columns, self._values = path, number, columns, values

    def fail(self, reason: str) -> TraceError:
        """The error for this row."""
        return TraceError(f"{self.path}: row {self.number}: {reason}")

    def text(self, column: str) -> str:
        """A value as it is written."""
        return self._values[self._columns[column]].strip()

    def texts(self, columns: Sequence[str]) -> list[str]:
        """Values as they are written."""
        return [self._values[self._columns[column]] for column in columns]

    def has(self, column: str) -> bool:
        """Whether there is such a column, with a value in this row."""
        return column in self._columns and self.text(column) != ""

    def number_in(self, column: str, low: float = -math.inf, high: float = math.inf) -> float:
        """A value as a number between two bounds."""
        text = self.text(column)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            bounds = "" if (low, high) == (-math.inf, math.inf) else f" between {low:g} and {high:g}"
            raise self.fail(f"{column} must be a number{bounds}, got {text!r}")
        return value


def rows(path: Path, columns: Sequence[str], *, header: bool = False, need: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a CSV file.

    columns: their names in order; with a header, the first row names them instead and `need` are those that must be there.
    A row may have more values than there are columns, not fewer.
    """
    with open_text(path) as file:
        reader = csv.reader(file)
        known = {name: i for i, name in enumerate(columns)}
        try:
            for number, values in enumerate(reader, 1):
                if header and number == 1:
                    known = {name.strip(): i for i, name in enumerate(values)}
                    missing = [name for name in need if name not in known]
                    if missing:
                        raise TraceError(f"{path}: row 1: the header must name {', '.join(need)}, got {', '.join(known)}")
                    continue
                if not values:
                    continue
                if len(values) < len(known):
                    expected = f"{len(known)} values ({', '.join(known)})"
                    raise TraceError(f"{path}: row {number}: expected {expected}, got {len(values)}")
                yield Row(path, number, known, values)
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise TraceError(f"{path}: row {reader.line_num + 1}: cannot be read: {error}") from None

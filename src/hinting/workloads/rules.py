"""What the parameters of a workload may be: kind, range, unit, and how text becomes a value."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from hinting.errors import UnitError
from hinting.units import PAGE_BYTES, format_size, format_span, parse_duration, parse_size

__all__ = [
    "Bytes", "FilePath", "Flag", "Number", "OneOf", "Percentiles", "PhaseList", "Rule", "Span", "Text", "Whole",
]  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """Base of all rules. text: what the parameter means."""

    text: str
    unit: ClassVar[str] = ""

    @property
    def legal(self) -> str:
        """The legal values in words."""
        raise NotImplementedError

    def read(self, value: Any) -> Any:
        """The value that the generator gets; ValueError with the reason for one that is not legal."""
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """A value as people write it."""
        return str(value)

    def refuse(self, value: Any) -> ValueError:
        """The error for an illegal value."""
        return ValueError(f"must be {self.legal}, got {value!r}")


@dataclass(frozen=True)
class Whole(Rule):
    """A whole number.

    of_guest: for the number of threads, "vcpus" if it is the guest's number of vCPUs where nobody says otherwise, "most"
    if it is the default, but no more than the guest's vCPUs.
    """

    low: int = 0
    high: int = 2**31
    of_guest: str = ""

    @property
    def legal(self) -> str:
        return f"a whole number between {self.low} and {self.high}"

    def read(self, value: Any) -> int:
        if isinstance(value, str) and value.removeprefix("-").isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise self.refuse(value)
        return value


@dataclass(frozen=True)
class Number(Rule):
    """A number."""

    low: float = 0.0
    high: float = math.inf

    @property
    def legal(self) -> str:
        return f"a number between {self.low:g} and {self.high:g}"

    def read(self, value: Any) -> float:
        try:
            number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
        except ValueError:
            number = math.nan
        if not self.low <= number <= self.high:
            raise self.refuse(value)
        return number

    def show(self, value: Any) -> str:
        return f"{value:g}"


@dataclass(frozen=True)
class Bytes(Rule):
    """A size in bytes, rounded up to pages. of_guest: share of the guest's RAM that it is where nobody says otherwise."""

    low: int = PAGE_BYTES
    high: int = 1 << 46
    of_guest: float = 0.0
    unit: ClassVar[str] = "bytes"

    @property
    def legal(self) -> str:
        return f"a size such as '4GiB' between {format_size(self.low)} and {format_size(self.high)}"

    def read(self, value: Any) -> int:
        try:
            size = parse_size(value, "")
        except UnitError:
            raise self.refuse(value) from None
        if not self.low <= size <= self.high:
            raise self.refuse(value)
        return -(-size // PAGE_BYTES) * PAGE_BYTES

    def show(self, value: Any) -> str:
        return format_size(value)


@dataclass(frozen=True)
class Span(Rule):
    """A time span in ns."""

    low: int = 0
    high: int = 365 * 24 * 3_600_000_000_000
    unit: ClassVar[str] = "ns"

    @property
    def legal(self) -> str:
        return f"a duration such as '10ms' between {format_span(self.low)} and {format_span(self.high)}"

    def read(self, value: Any) -> int:
        try:
            span = parse_duration(value, "")
        except UnitError:
            raise self.refuse(value) from None
        if not self.low <= span <= self.high:
            raise self.refuse(value)
        return span

    def show(self, value: Any) -> str:
        return format_span(value)


@dataclass(frozen=True)
class Flag(Rule):
    """Yes or no."""

    @property
    def legal(self) -> str:
        return "true or false"

    def read(self, value: Any) -> bool:
        if isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        if not isinstance(value, bool):
            raise self.refuse(value)
        return value

    def show(self, value: Any) -> str:
        return str(value).lower()


@dataclass(frozen=True)
class OneOf(Rule):
    """One of a few words."""

    choices: tuple[str, ...] = ()

    @property
    def legal(self) -> str:
        return "one of " + ", ".join(self.choices)

    def read(self, value: Any) -> str:
        if value not in self.choices:
            raise self.refuse(value)
        return value


@dataclass(frozen=True)
class Text(Rule):
    """Any text."""

    @property
    def legal(self) -> str:
        return "text"

    def read(self, value: Any) -> str:
        if not isinstance(value, str):
            raise self.refuse(value)
        return value

    def show(self, value: Any) -> str:
        return repr(value)


@dataclass(frozen=True)
class FilePath(Text):
    """The path of a file, which has to be given."""

    @property
    def legal(self) -> str:
        return "the path of a file"

    def read(self, value: Any) -> str:
        if not isinstance(value, (str, Path)) or not Path(value).is_file():
            raise self.refuse(value)
        return str(value)


@dataclass(frozen=True)
class Percentiles(Rule):
    """A table of (percentile, value), ascending in both, from 0 to 100. value: rule of the values."""

    value: Rule = field(default_factory=lambda: Whole(""))

    @property
    def legal(self) -> str:
        return f"pairs [percentile, value], ascending, from 0 to 100, each value {self.value.legal}"

    def read(self, value: Any) -> tuple[tuple[float, int], ...]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value):
            raise self.refuse(value)
        percent = Number("", high=100)
        table = tuple((percent.read(at), self.value.read(given)) for at, given in value)
        ascending = all(a < b and low <= high for (a, low), (b, high) in itertools.pairwise(table))
        if not table or not ascending or table[0][0] != 0 or table[-1][0] != 100:
            raise self.refuse(value)
        return table

    def show(self, value: Any) -> str:
        return ", ".join(f"{at:g} %: {self.value.show(given)}" for at, given in value)


@dataclass(frozen=True)
class PhaseList(Rule):
    """Phases of memory use: (duration, resident memory, memory touched a second, working set) of each."""

    columns: ClassVar[tuple[Rule, ...]] = (Span("", low=1_000_000), Bytes("", low=0), Bytes("", low=0), Bytes("", low=0))

    @property
    def legal(self) -> str:
        return "a list of phases such as [['60s', '1GiB', '256MiB', '512MiB']]"

    def read(self, value: Any) -> tuple[tuple[int, ...], ...]:
        if not isinstance(value, (list, tuple)) or not value:
            raise self.refuse(value)
        for phase in value:
            if not isinstance(phase, (list, tuple)) or len(phase) != len(self.columns):
                raise self.refuse(value)
        return tuple(tuple(rule.read(given) for rule, given in zip(self.columns, phase, strict=True)) for phase in value)

    def show(self, value: Any) -> str:
        return "; ".join(", ".join(rule.show(given) for rule, given in zip(self.columns, phase, strict=True)) for phase in value)

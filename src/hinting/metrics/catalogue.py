"""The names of all metrics with unit, definition and direction, from catalogue.toml: the one source for tables and docs."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["EXPERIMENT", "Metric", "Series", "metrics", "sections", "series"]

#: Scope of a metric that a single simulation has no value of.
EXPERIMENT = "experiment"


@dataclass(frozen=True)
class Metric:
    """A scalar. better: "less", "more" or "none". heading: its short name in comparisons, empty if it is not in them.

    scope: "guest and host", "host" or "experiment".
    """

    name: str
    section: str
    unit: str
    better: str
    text: str
    heading: str = ""
    scope: str = "guest and host"


@dataclass(frozen=True)
class Series:
    """A step function of time."""

    name: str
    unit: str
    text: str


@cache
def _table() -> dict:
    return tomllib.loads((files("hinting.metrics") / "catalogue.toml").read_text("utf-8"))


@cache
def metrics() -> dict[str, Metric]:
    """All scalars by name, in the order of tables."""
    return {name: Metric(name, **entry) for name, entry in _table()["metric"].items()}


@cache
def series() -> dict[str, Series]:
    """All series by name."""
    return {name: Series(name, **entry) for name, entry in _table()["series"].items()}


def sections() -> dict[str, str]:
    """Headings of the sections by name."""
    return dict(_table()["section"])

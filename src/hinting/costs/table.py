"""The cost table: reads and checks default.toml, and files of the same form that a calibration wrote."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from hinting.errors import CostError

__all__ = [
    "SCHEMA",
    "Cost",
    "CostTable",
    "Measured",
    "check_value",
    "check_values",
    "default_table",
    "entries",
    "parse",
    "read_cost",
    "read_measured",
    "read_table",
]

SCHEMA = 1
TOP_KEYS = {"schema", "name", "description", "sources", "machine", "cost", "profiles"}
COST_KEYS = {"low", "typical", "high", "unit", "confidence", "source", "probe", "note", "composite_of"}
CALIBRATION_KEYS = {"p10", "p90", "n", "unstable", "unreliable"}

# What a value of each unit may be, besides being a finite number.
LEGAL: dict[str, tuple[str, Callable[[float], bool]]] = {
    "ns": ("a number of ns, 0 or more", lambda v: v >= 0),
    "MiB": ("a number of MiB, 0 or more", lambda v: v >= 0),
    "bytes": ("a number of bytes above 0", lambda v: v > 0),
    "GiB/s": ("a number of GiB/s above 0", lambda v: v > 0),
    "MiB/s": ("a number of MiB/s above 0", lambda v: v > 0),
    "requests": ("a whole number of requests, 1 or more", lambda v: v >= 1 and v == int(v)),
    "fraction": ("a fraction between 0 and 1", lambda v: 0 <= v <= 1),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """One entry of the table: `low`, `typical` and `high` are in `unit`."""

    id: str
    low: float
    typical: float
    high: float
    unit: str
    confidence: str
    sources: tuple[str, ...] = ()
    probe: str = ""
    note: str = ""
    composite_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CostTable:
    """All costs by id, and the named profiles: (description, typical values that differ)."""

    description: str
    costs: Mapping[str, Cost]
    profiles: Mapping[str, tuple[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a calibration file says: typical values of some costs."""

    name: str
    description: str
    values: Mapping[str, float]


def check_value(where: str, cost: Cost, value: object) -> float:
    """`value` as a float; CostError naming `where`, the cost and what would be legal."""
    legal, is_legal = LEGAL[cost.unit]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and is_legal(value):
        return float(value)
    raise CostError(f"{where}: {cost.id} must be {legal}, got {value!r}")


def parse(where: str, source: Traversable | Path) -> dict:
    """The parsed file, with its top-level keys checked."""
    try:
        document = tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CostError(f"{where}: expected a readable TOML file: {error}") from None
    schema = document.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise CostError(f"{where}: schema {schema} is of a newer version of hinting, this one reads schema {SCHEMA}")
    if schema != SCHEMA:
        raise CostError(f"{where}: schema must be {SCHEMA}, got {document.get('schema')!r}")
    for key in document:
        if key not in TOP_KEYS:
            raise CostError(f"{where}: unknown key {key!r}, expected one of {', '.join(sorted(TOP_KEYS))}")
    for key in ("cost", "profiles"):
        if not isinstance(document.get(key, {}), dict):
            raise CostError(f"{where}: {key} must be a table, got {document[key]!r}")
    return document


def entries(where: str, tree: Mapping, prefix: str = "") -> dict[str, Mapping]:
    """The tables [cost.a.b] of a file as {"a.b": table}."""
    found: dict[str, Mapping] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if not isinstance(value, dict):
            raise CostError(f"{where}: [cost.{path}] must be a table, got {value!r}")
        if any(isinstance(part, dict) for part in value.values()):
            found |= entries(where, value, f"{path}.")
        else:
            found[path] = value
    return found


def read_cost(where: str, cost_id: str, entry: Mapping) -> Cost:
    """One full entry of the default table."""
    unknown = set(entry) - COST_KEYS
    missing = {"low", "typical", "high", "unit", "confidence", "source"} - set(entry)
    if unknown or missing:
        given = ", ".join(sorted(unknown)) or "without " + ", ".join(sorted(missing))
        raise CostError(f"{where}: [cost.{cost_id}] must have the keys {', '.join(sorted(COST_KEYS))}, got {given}")
    if entry["unit"] not in LEGAL:
        raise CostError(f"{where}: {cost_id}.unit must be one of {', '.join(LEGAL)}, got {entry['unit']!r}")
    cost = Cost(
        id=cost_id,
        low=entry["low"],
        typical=entry["typical"],
        high=entry["high"],
        unit=entry["unit"],
        confidence=entry["confidence"],
        sources=tuple(entry["source"]),
        probe=entry.get("probe", ""),
        note=entry.get("note", ""),
        composite_of=tuple(entry.get("composite_of", ())),
    )
    low, typical, high = (check_value(where, cost, value) for value in (cost.low, cost.typical, cost.high))
    if not low <= typical <= high:
        raise CostError(f"{where}: {cost_id} must have low <= typical <= high, got {low:g}, {typical:g}, {high:g}")
    return cost


def read_table(where: str, source: Traversable | Path) -> CostTable:
    """A complete table: every cost with its bounds, and the named profiles."""
    document = parse(where, source)
    costs = {cost_id: read_cost(where, cost_id, entry) for cost_id, entry in entries(where, document["cost"]).items()}
    for cost in costs.values():
        for part in cost.composite_of:
            if part not in costs or costs[part].composite_of:
                raise CostError(f"{where}: {cost.id}.composite_of must name costs that are no sums, got {part!r}")
    profiles = {}
    for name, body in document.get("profiles", {}).items():
        given = {key: value for key, value in body.items() if key != "description"}
        profiles[name] = (body.get("description", ""), check_values(f"{where}: [profiles.{name}]", costs, given))
    return CostTable(document.get("description", ""), MappingProxyType(costs), MappingProxyType(profiles))


def closest(key: str, costs: Iterable[str]) -> str:
    """What somebody may have meant who wrote `key`, or the sections that there are, in words."""
    known = list(costs)
    same_end = [cost_id for cost_id in known if cost_id.rpartition(".")[2] == key.rpartition(".")[2]]
    close = same_end or difflib.get_close_matches(key, known, n=5, cutoff=0.5)
    sections = dict.fromkeys(cost_id.partition(".")[0] + ".*" for cost_id in known)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"expected one of {', '.join(sections)}"


def check_values(where: str, costs: Mapping[str, Cost], given: Mapping[str, object]) -> Mapping[str, float]:
    """Values by cost id, each checked."""
    for key in given:
        if key not in costs:
            raise CostError(f"{where}: unknown cost {key!r}, {closest(str(key), costs)}")
    return MappingProxyType({key: check_value(where, costs[key], value) for key, value in given.items()})


@cache
def default_table() -> CostTable:
    """The table that is shipped with the package."""
    return read_table("default.toml", files("hinting.costs").joinpath("default.toml"))


def read_measured(path: Path) -> Measured:
    """A calibration file: same form as default.toml, but any subset of the costs, and only `typical` is needed.

    A cost that is marked `unreliable` is checked and left out.
    """
    where = str(path)
    costs = default_table().costs
    document = parse(where, path)
    found = entries(where, document.get("cost", {}))
    for cost_id, entry in found.items():
        for key in entry:
            if key not in COST_KEYS | CALIBRATION_KEYS:
                expected = ", ".join(sorted(COST_KEYS | CALIBRATION_KEYS))
                raise CostError(f"{where}: unknown key {cost_id}.{key}, expected one of {expected}")
        if "typical" not in entry:
            raise CostError(f"{where}: [cost.{cost_id}] must have the key typical, got {', '.join(entry) or 'nothing'}")
        if cost_id in costs and entry.get("unit", costs[cost_id].unit) != costs[cost_id].unit:
            raise CostError(f"{where}: {cost_id}.unit must be {costs[cost_id].unit!r}, got {entry['unit']!r}")
    values = check_values(where, costs, {cost_id: entry["typical"] for cost_id, entry in found.items()})
    values = {cost_id: value for cost_id, value in values.items() if "unreliable" not in found[cost_id]}
    return Measured(document.get("name", path.stem), document.get("description", ""), values)

"""The header of a snapshot file: what the guest is, as JSON, and its checks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import hinting
from hinting import kernels
from hinting.costs import CostProfile
from hinting.costs import load as load_costs
from hinting.errors import HintingError, SnapshotError
from hinting.guests import THP_MODES, MemoryMap
from hinting.strategies import StrategySpec, find

__all__ = ["FORMAT", "VERSION", "Header", "check_format", "header_of", "parse_header"]

#: Name of the format, and the newest version that is written and read here.
FORMAT = "hinting-snapshot"
VERSION = 1

_FIELDS = ("format", "version", "hinting", "kernel", "thp", "memory_map", "strategy", "costs")
_RANGES = ("ram", "free", "reserved", "late")
_LAST_PFN = 1 << 31


@dataclass(frozen=True)
class Header:
    """What a guest is, beside its state."""

    kernel: str
    memory_map: MemoryMap
    thp: str
    costs: CostProfile
    strategy: StrategySpec | None


def header_of(header: Header) -> dict[str, Any]:
    """The header as a JSON document."""
    memory, spec = header.memory_map, header.strategy
    if spec is not None and type(find(spec.name)) is not type(spec):
        raise SnapshotError(f"strategy {type(spec).__name__} cannot be saved: it is not registered as {spec.name!r}")
    return {
        "format": FORMAT,
        "version": VERSION,
        "hinting": hinting.__version__,
        "kernel": header.kernel,
        "thp": header.thp,
        "memory_map": {name: [list(pair) for pair in getattr(memory, name)] for name in _RANGES}
        | {"deferred": memory.deferred},
        "strategy": None if spec is None else {"name": spec.name, "parameters": dataclasses.asdict(spec)},
        "costs": _costs_of(header.costs),
    }


def _costs_of(costs: CostProfile) -> dict[str, Any]:
    """A cost profile by what differs from the default one."""
    changed: dict[str, float] = {}
    for _ in range(2):  # a sum follows its parts, so a second look finds the sums that did not
        base = load_costs("default", changed, mode=costs.mode)
        changed |= {cost_id: value for cost_id, value in costs.items if base[cost_id] != value}
    return {"name": costs.name, "description": costs.description, "mode": costs.mode, "values": changed,
            "overrides": dict(costs.overrides)}


def check_format(document: Any, where: str) -> None:
    """Refuse what is no header of a version that can be read here."""
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise SnapshotError(f"{where}: format: not a snapshot of a guest, expected {FORMAT!r}")
    version = document.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise SnapshotError(f"{where}: version: expected a whole number from 1 on, got {version!r}")
    if version > VERSION:
        raise SnapshotError(f"{where}: version: {version} is newer than {VERSION}, the newest that hinting "
                            f"{hinting.__version__} can read")


def parse_header(document: Any, where: str) -> Header:
    """The checked header; SnapshotError names file, field and reason."""
    check_format(document, where)
    _keys(document, _FIELDS, "header", where)
    kernel, thp = document["kernel"], document["thp"]
    if not isinstance(kernel, str) or kernel not in kernels.names():
        known = ", ".join(kernels.names())
        raise SnapshotError(f"{where}: kernel: unknown profile {kernel!r}, expected one of {known}")
    if thp not in THP_MODES:
        raise SnapshotError(f"{where}: thp: expected one of {', '.join(THP_MODES)}, got {thp!r}")
    return Header(kernel, _memory_map(document["memory_map"], where), thp, _costs(document["costs"], where),
                  _strategy(document["strategy"], where))


def _keys(value: Any, expected: tuple[str, ...], what: str, where: str) -> None:
    if not isinstance(value, Mapping):
        raise SnapshotError(f"{where}: {what}: expected an object, got {type(value).__name__}")
    for name in expected:
        if name not in value:
            raise SnapshotError(f"{where}: {what}: field {name!r} is missing")
    for name in value:
        if name not in expected:
            raise SnapshotError(f"{where}: {what}: unknown field {name!r}, expected {', '.join(expected)}")


def _is_pfn(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LAST_PFN


def _is_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_pfn, value)) and value[0] < value[1]


def _memory_map(value: Any, where: str) -> MemoryMap:
    _keys(value, (*_RANGES, "deferred"), "memory_map", where)
    ranges = {}
    for name in _RANGES:
        pairs = value[name]
        if not isinstance(pairs, list) or not all(map(_is_range, pairs)):
            raise SnapshotError(f"{where}: memory_map: {name} must be ranges [first, end] of page frames")
        if name != "reserved" and any(a[1] > b[0] for a, b in pairwise(pairs)):
            raise SnapshotError(f"{where}: memory_map: the ranges of {name} overlap or are not in ascending order")
        ranges[name] = [(first, end) for first, end in pairs]
    if not ranges["ram"]:
        raise SnapshotError(f"{where}: memory_map: ram has no range")
    if not _is_pfn(value["deferred"]):
        raise SnapshotError(f"{where}: memory_map: deferred must be a page frame, got {value['deferred']!r}")
    return MemoryMap(**ranges, deferred=value["deferred"])


def _strategy(value: Any, where: str) -> StrategySpec | None:
    if value is None:
        return None
    _keys(value, ("name", "parameters"), "strategy", where)
    name, parameters = value["name"], value["parameters"]
    if not isinstance(name, str) or not isinstance(parameters, Mapping):
        raise SnapshotError(f"{where}: strategy: expected a name and its parameters, got {name!r}")
    try:
        spec = find(name, parameters)
    except HintingError as error:
        raise SnapshotError(f"{where}: strategy: {error}") from None
    if spec is None:
        raise SnapshotError(f"{where}: strategy: {name!r} is no strategy, expected null for a guest without one")
    missing = [key for key in spec.parameters() if key not in parameters]
    if missing:
        raise SnapshotError(f"{where}: strategy: parameter {missing[0]!r} of {name} is missing")
    return spec


def _costs(value: Any, where: str) -> CostProfile:
    _keys(value, ("name", "description", "mode", "values", "overrides"), "costs", where)
    if not isinstance(value["name"], str) or not isinstance(value["description"], str):
        raise SnapshotError(f"{where}: costs: name and description must be text")
    for key in ("values", "overrides"):
        if not isinstance(value[key], Mapping):
            raise SnapshotError(f"{where}: costs: {key} must be values by id, got {value[key]!r}")
    try:
        overrides = load_costs("default", value["overrides"], mode=value["mode"]).overrides
        costs = load_costs("default", value["values"], mode=value["mode"])
    except (HintingError, TypeError) as error:
        raise SnapshotError(f"{where}: costs: {error}") from None
    return dataclasses.replace(costs, name=value["name"], description=value["description"], overrides=overrides)

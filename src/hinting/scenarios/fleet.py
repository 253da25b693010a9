"""Guests of a scenario from a fleet trace: a group for each guest of the trace."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hinting.errors import ScenarioError
from hinting.traces import FleetTrace, load
from hinting.traces.events import ARRIVES
from hinting.units import PAGE_BYTES, parse_duration, parse_size

if TYPE_CHECKING:
    from hinting.scenarios.tables import GuestsTable

__all__ = ["expanded", "fleet"]

#: A guest that boots gets at least this.
LEAST_BYTES = 512 << 20
_MOST_VCPUS = 256


@lru_cache(maxsize=4)
def _loaded(file: str, format: str, size: int, changed_ns: int) -> FleetTrace:
    return load(file, format, size=size)


def fleet(file: str, format: str, size: int | str) -> FleetTrace:
    """The trace of a fleet table; TraceError says what is wrong with it."""
    path = Path(file)
    return _loaded(file, format, parse_size(size), path.stat().st_mtime_ns if path.is_file() else 0)


def expanded(group: GuestsTable) -> list[GuestsTable]:
    """The group itself, or one for each guest of its fleet, in the order of arrival."""
    if group.fleet is None:
        return [group]
    table, trace = group.fleet, fleet(group.fleet.file, group.fleet.format, group.fleet.size)
    begin = parse_duration(table.start)
    end = begin + parse_duration(table.duration) if parse_duration(table.duration) else None
    found = []
    for number, name in enumerate(trace.names):
        times = trace.guest(number)["t_ns"]
        comes, goes = max(int(times[0]), begin), int(times[-1]) if end is None else min(int(times[-1]), end)
        if comes < goes:
            found.append((comes, number, name, goes, int(times[0])))
    if not found:
        raise ScenarioError(f"guests.fleet: no guest of {table.file} is there from {table.start} for {table.duration}")
    found.sort()
    return [_group(group, trace, *entry) for entry in found[: table.most or None]]


def _group(group: GuestsTable, trace: FleetTrace, comes: int, number: int, name: str, goes: int, arrived: int) -> GuestsTable:
    table = group.fleet
    assert table is not None
    mine = trace.guest(number)
    size = round(int(mine["bytes"][mine["kind"] == ARRIVES].max(initial=0)) * table.scale) // PAGE_BYTES * PAGE_BYTES
    least = LEAST_BYTES if group.boot else PAGE_BYTES
    begin = parse_duration(table.start)
    demand: dict[str, Any] = {
        "name": "demand_trace", "file": table.file, "format": table.format, "instance": name, "size": table.size,
        "scale": table.scale, "speed": table.speed, "policy": table.policy, "steps": table.steps, "skip": comes - arrived,
        "duration": goes - comes,
    }
    document = group.model_dump(mode="json", exclude_none=True, exclude={"fleet"}) | {
        "start": parse_duration(group.start) + round((comes - begin) / table.speed),
        "lifetime": max(1, round((goes - comes) / table.speed)),
        "vcpus": max(group.vcpus, min(_MOST_VCPUS, trace.vcpus[number])),
    }
    if size:
        document["memory"] = min(max(size, least), parse_size(group.memory))
    document["workloads"] = [demand, *document["workloads"]]
    return type(group).model_validate(document)

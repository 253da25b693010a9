"""Words about a decision that differs: what was asked, which rule chose here, what the kernel did, and the state before."""

from __future__ import annotations

from typing import Any

from hinting._core.mm.allocator import Allocator
from hinting.procfs import ZONES
from hinting.recordings.reader import Recording

__all__ = ["explain", "explain_decision"]

_TYPES = ("UNMOVABLE", "MOVABLE", "RECLAIMABLE", "HIGHATOMIC", "ISOLATE")
_PATHS = {0: "from the per-CPU list", 1: "straight from the free lists", 3: "captured by compaction", 4: "by the bulk interface"}
#: Rows by which the kernel shows how it served a request.
_STEPS = ("ALLOC_FAIL", "REFILL", "STEAL", "EXTFRAG", "RMQ")
#: Rows that end the search for the steps of a request.
_OTHERS = ("ALLOC", "FREE", "DRAIN", "DRAINED")
_SHOWN = 6


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else f"number {number}"


def _row(recording: Recording, row: int) -> dict[str, Any]:
    values = {name: int(column[row]) for name, column in recording.events.items()}
    return values | {"type": recording.types[values["type"]], "row": row}


def _zone_of(allocator: Allocator, pfn: int) -> int | None:
    for zone in allocator.zones():
        state = allocator.zone_state(zone)
        if state["start"] <= pfn < state["end"]:
            return zone
    return None


def _steps(recording: Recording, row: int) -> list[dict[str, Any]]:
    """Rows of the same CPU that belong to the request of this row, in order."""
    cpu, steps = int(recording.events["cpu"][row]), []
    for before in range(row - 1, max(-1, row - 4096), -1):
        if int(recording.events["cpu"][before]) != cpu:
            continue
        name = recording.types[recording.events["type"][before]]
        if name in _OTHERS:
            break
        if name in _STEPS:
            steps.append(_row(recording, before))
    return steps[::-1]


def _kernel(recording: Recording, asked: dict[str, Any]) -> list[str]:
    """What the kernel did for the request, step by step."""
    lines, taken = [], []
    for step in _steps(recording, asked["row"]):
        if step["type"] == "RMQ":
            taken.append(step["pfn"])
        elif step["type"] == "REFILL":
            lines.append(f"wants {step['a']} blocks of order {step['order']} from zone {_name(ZONES, step['zone'])}")
        elif step["type"] == "EXTFRAG":
            claimed = "claims the pageblock" if step["aux"] == 1 else "leaves the pageblock its type"
            lines.append(f"falls back to type {_name(_TYPES, step['b'])} at order {step['a']} and {claimed}")
        elif step["type"] == "ALLOC_FAIL":
            lines.append("finds nothing in a pass over the zones")
    if taken:
        more = f", ... ({len(taken)} blocks)" if len(taken) > _SHOWN else ""
        lines.append(f"takes {', '.join(map(str, taken[:_SHOWN]))}{more} off the free lists")
    path = _PATHS.get(asked["aux"], "in another way")
    return [*lines, f"hands out pfn {asked['pfn']} of zone {ZONES[asked['zone']]} {path}"]


def _position(allocator: Allocator, pfn: int) -> tuple[int, int, int, int, int] | None:
    """(zone, order, type, position, length) of the free list that a block is on and not the first of."""
    for (zone, order, mt), pfns in allocator.free_lists().items():
        if pfn in pfns:
            at = pfns.index(pfn)
            return (zone, order, mt, at, len(pfns)) if at else None
    return None


def _reordered(recording: Recording, allocator: Allocator, asked: dict[str, Any]) -> str:
    """Where the first block that the kernel took is here, if it is not the first of its list; compaction does that."""
    first = next((step for step in _steps(recording, asked["row"]) if step["type"] == "RMQ"), None)
    found = _position(allocator, first["pfn"]) if first is not None else None
    if first is None or found is None:
        return ""
    zone, order, mt, at, length = found
    text = (f"; the kernel took the block {first['pfn']}, which is number {at + 1} of {length} here in the list of zone "
            f"{ZONES[zone]}, order {order}, type {_TYPES[mt]}")
    compactions = [name for name in ("COMPACT_BEGIN", "COMPACT_END") if name in recording.types]
    numbers = [recording.types.index(name) for name in compactions]
    rows = [row for row in range(asked["row"]) if recording.events["type"][row] in numbers] if numbers else []
    if rows and mt == 1:
        text += f": compaction (last at row {rows[-1]}) had reordered that list, which a recording does not show"
    return text


def explain(recording: Recording, allocator: Allocator, row: int, chosen: int) -> tuple[str, str]:
    """(one line why, many lines of state) for the request of a row, with the allocator as it was just before it."""
    asked = _row(recording, row)
    if asked["type"] != "ALLOC":
        return _impossible(allocator, asked)
    cpu, zone, index = asked["cpu"], asked["zone"], allocator.pcp_index(asked["order"], asked["mt"])
    ours = _zone_of(allocator, chosen) if chosen >= 0 else None
    head = allocator.pcp_list_array(zone, cpu, index)[:1].tolist() if index is not None and zone >= 0 else []
    if chosen < 0:
        rule = "no zone passed its watermark, or none had a block"
    elif ours is None:
        rule = "the page chosen is in no zone"
    elif ours != zone:
        rule = f"zone {ZONES[ours]} was chosen, the kernel took zone {ZONES[zone]}: a watermark test decided otherwise"
    elif head:
        rule = f"per-CPU list {index} of cpu {cpu} was not empty and begins with pfn {head[0]}"
    elif index is not None:
        rule = f"per-CPU list {index} of cpu {cpu} was empty: a refill took the first block of the free lists"
    else:
        rule = "straight from the free lists: the first block of the smallest sufficient order"
    why = f"{rule}; the kernel's page {asked['pfn']} is {allocator.page(asked['pfn'])} here"
    why += _reordered(recording, allocator, asked)
    highest = _name(ZONES, asked["a"] & 15) if asked["a"] >= 0 else "unknown"
    request = (f"row {row}: {asked['type']} on cpu {cpu}: order {asked['order']}, type {_TYPES[asked['mt']]}, gfp "
               f"{asked['gfp']:#x}, alloc flags {asked['aflags']:#x}, highest zone {highest}")
    kernel = [f"  the kernel: {line}" for line in _kernel(recording, asked)]
    here = f"pfn {chosen}" if chosen >= 0 else "no page"
    return why, "\n".join([request, *kernel, f"  here: hands out {here}: {rule}", *_state(allocator, cpu, asked)])


def _impossible(allocator: Allocator, asked: dict[str, Any]) -> tuple[str, str]:
    """Words about a row that the state could not follow."""
    page = allocator.page(asked["pfn"]) if asked["pfn"] >= 0 else "none"
    why = f"{asked['type']} of pfn {asked['pfn']}, order {asked['order']}, is not possible here: that page is {page}"
    return why, "\n".join([f"row {asked['row']}: {asked}", *_state(allocator, asked["cpu"], asked)])


def explain_decision(recording: Recording, allocator: Allocator, row: int, own: int) -> tuple[str, str]:
    """The same for a decision of a strategy. own: page or block that it decided about here, -1: none."""
    asked = _row(recording, row)
    values = {name: asked[name] for name in ("cpu", "pfn", "order", "mt", "aux", "a", "b", "c")}
    here = f"it decided about pfn {own}" if own >= 0 else "it decided something else"
    why = f"the strategy did not decide {asked['type']} here: {here}"
    page = [f"  pfn {pfn} is {allocator.page(pfn)} here" for pfn in sorted({asked["pfn"], own}) if 0 <= pfn < recording.npfn]
    return why, "\n".join([f"row {row}: {asked['type']} {values}", *page, *_state(allocator, asked["cpu"], asked)])


def _heads(pfns: list[int]) -> str:
    return f"{', '.join(map(str, pfns[:_SHOWN]))}{', ...' if len(pfns) > _SHOWN else ''} ({len(pfns)})"


def _state(allocator: Allocator, cpu: int, asked: dict[str, Any]) -> list[str]:
    """Watermarks, per-CPU lists and heads of the free lists of every zone."""
    lines = []
    hz = asked["a"] & 15 if asked["type"] == "ALLOC" and asked["a"] >= 0 else 3
    for zone in allocator.zones():
        state = allocator.zone_state(zone)
        low, boost = state["watermark"][1], state["boost"]
        reserve = state["lowmem_reserve"][min(hz, len(state["lowmem_reserve"]) - 1)]
        free = state["counter"] - ((1 << min(max(asked["order"], 0), 10)) - 1)
        lines += [
            f"  zone {ZONES[zone]}: free counter {state['counter']}, watermarks {state['watermark']}, boost {boost}, "
            f"reserve {reserve}, highatomic {state['nr_reserved_highatomic']}",
            f"    low watermark: {free} {'>' if free > low + boost + reserve else '<='} {low} + {boost} + {reserve}",
            f"    cpu {cpu}: {allocator.pcp_state(zone, cpu)}",
        ]
        for (at, owner, index), pfns in allocator.pcp_lists().items():
            if at == zone and owner == cpu:
                lines.append(f"    per-CPU list {index}: {_heads(pfns)}")
        for order in range(11):
            for mt in range(5):
                blocks = allocator.free_list_array(zone, order, mt).tolist()
                if blocks:
                    lines.append(f"    free list order {order} {_TYPES[mt]}: {_heads(blocks)}")
    return lines

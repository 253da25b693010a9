"""Words about a decision that differs: what was asked, what the lists and watermarks were, and which rule chose."""

from __future__ import annotations

from hinting._core.mm.allocator import Allocator
from hinting.recordings.reader import Recording

__all__ = ["explain"]

_ZONES = ("DMA", "DMA32", "Normal", "Movable")
_PCP_ORDERS = (0, 1, 2, 3, 9)


def _pindex(mt: int, order: int) -> int:
    return 12 + (mt == 1) if order == 9 else 3 * order + mt


def _zone_of(allocator: Allocator, pfn: int) -> int | None:
    for zone in allocator.zones():
        state = allocator.zone_state(zone)
        if state["start"] <= pfn < state["end"]:
            return zone
    return None


def explain(recording: Recording, allocator: Allocator, row: int, chosen: int) -> tuple[str, str]:
    """(one line why, many lines of state) for the request of a row, with the allocator as it was just before it."""
    events = recording.events
    order, mt, cpu = (int(events[name][row]) for name in ("order", "mt", "cpu"))
    expected = int(events["pfn"][row])
    zone = int(events["zone"][row])
    ours = _zone_of(allocator, chosen) if chosen >= 0 else None
    index = _pindex(mt, order) if order in _PCP_ORDERS and mt < 3 else None
    head = allocator.pcp_list_array(zone, cpu, index)[:1].tolist() if index is not None and zone >= 0 else []
    if chosen < 0:
        why = "no zone passed its watermark, or none had a block"
    elif ours != zone:
        why = (
            f"zone {_ZONES[ours]} was chosen, the kernel took zone {_ZONES[zone]}: a watermark test decided otherwise"
            if (ours is not None)
            else "the page chosen is in no zone"
        )
    elif head:
        why = f"per-CPU list {index} of cpu {cpu} was not empty and begins with pfn {head[0]}"
    elif index is not None:
        why = f"per-CPU list {index} of cpu {cpu} was empty: a refill took the first block of the free lists"
    else:
        why = "straight from the free lists: the first block of the smallest sufficient order"
    why += f"; the kernel's page {expected} is {allocator.page(expected)} here"
    return why, "\n".join(_details(recording, allocator, row, cpu))


def _details(recording: Recording, allocator: Allocator, row: int, cpu: int) -> list[str]:
    events = recording.events
    request = {name: int(events[name][row]) for name in ("cpu", "zone", "pfn", "order", "mt", "aux", "gfp", "aflags", "a")}
    lines = [f"row {row}: {recording.types[events['type'][row]]} {request}"]
    for zone in allocator.zones():
        state = allocator.zone_state(zone)
        lines.append(
            f"zone {_ZONES[zone]}: free counter {state['counter']}, watermarks {state['watermark']}, boost "
            f"{state['boost']}, reserve {state['lowmem_reserve']}, highatomic {state['nr_reserved_highatomic']}"
        )
        pcp = allocator.pcp_state(zone, cpu)
        lines.append(f"  cpu {cpu}: {pcp}")
        lists = {key: pfns for key, pfns in allocator.pcp_lists().items() if key[0] == zone and key[1] == cpu}
        lines += [
            f"  per-CPU list {index}: {pfns[:6]}{' ...' if len(pfns) > 6 else ''} ({len(pfns)})"
            for (_, _, index), pfns in lists.items()
        ]
        for order in range(11):
            heads = {mt: allocator.free_list_array(zone, order, mt)[:3].tolist() for mt in range(5)}
            heads = {mt: pfns for mt, pfns in heads.items() if pfns}
            if heads:
                lines.append(f"  order {order}: " + ", ".join(f"type {mt} {pfns}" for mt, pfns in heads.items()))
    return lines

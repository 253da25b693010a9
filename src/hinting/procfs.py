"""A guest's memory as /proc of its kernel shows it: buddyinfo, pagetypeinfo, zoneinfo (Linux mm/vmstat.c).

Shown is what the emulated allocator knows. Left out of zoneinfo: the statistics of the node, and of the zones all but
nr_free_pages (LRU lists, NUMA events). Zone Device is shown as the empty zone that it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from hinting import kernels
from hinting._core.limits import NR_ORDERS, PAGEBLOCK_PAGES
from hinting._core.mm.boot import SECTION_PAGES

if TYPE_CHECKING:
    from hinting.guest import Guest

__all__ = ["MIGRATETYPES", "ZONES", "buddyinfo_text", "pagetypeinfo_text", "zoneinfo", "zoneinfo_text"]

#: Names of the zones and migratetypes, by number.
ZONES = ("DMA", "DMA32", "Normal", "Movable", "Device")
MIGRATETYPES = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "Isolate")



def _populated(guest: Guest) -> list[int]:
    """Zones with pages present, as the kernel decides which ones it shows."""
    return [zone for zone in range(4) if guest.allocator.zone_state(zone)["present"]]


def buddyinfo_text(guest: Guest) -> str:
    """The text of /proc/buddyinfo: free blocks by zone and order."""
    blocks = guest.buddyinfo()
    return "".join(f"Node 0, zone {ZONES[zone]:>8} " + "".join(f"{n:6d} " for n in blocks[zone]) + "\n"
                   for zone in _populated(guest))


def pagetypeinfo_text(guest: Guest) -> str:
    """The text of /proc/pagetypeinfo: free blocks by zone, migratetype and order, then pageblocks by migratetype.

    Linux 6.x stops counting a list at 100000 blocks and shows ">100000".
    """
    cap = kernels.table(guest.kernel)["proc"]["pagetypeinfo_cap"]
    blocks = guest.pagetypeinfo()

    def count(n: int) -> str:
        return f">{cap:6d} " if cap and n >= cap else f"{n:6d} "

    lines = ["Page block order: 9", f"Pages per block:  {PAGEBLOCK_PAGES}", ""]
    lines.append(f"{'Free pages count per migrate type at order':<43} " + "".join(f"{o:6d} " for o in range(NR_ORDERS)))
    for zone in _populated(guest):
        for mt, name in enumerate(MIGRATETYPES):
            counts = "".join(count(int(n)) for n in blocks[zone, mt])
            lines.append(f"Node    0, zone {ZONES[zone]:>8}, type {name:>12} {counts}")
    lines += ["", f"{'Number of blocks type ':<23}" + "".join(f"{name:>12} " for name in MIGRATETYPES)]
    for zone, types in _pageblocks(guest):
        lines.append(f"Node 0, zone {ZONES[zone]:>8} " + "".join(f"{n:12d} " for n in types))
    return "\n".join(lines) + "\n"


def _pageblocks(guest: Guest) -> Iterator[tuple[int, list[int]]]:
    """Pageblocks by migratetype of each zone; those of a 128 MiB section without RAM do not exist."""
    types = np.asarray(guest.allocator.block_types())
    present = np.zeros(guest.allocator.npfn // SECTION_PAGES + 1, bool)
    for first, end in guest.memory_map.ram:
        present[first // SECTION_PAGES : (end - 1) // SECTION_PAGES + 1] = True
    for zone in _populated(guest):
        state = guest.allocator.zone_state(zone)
        pfns = np.arange(state["start"], state["end"], PAGEBLOCK_PAGES)
        pfns = pfns[present[pfns // SECTION_PAGES]]
        yield zone, np.bincount(types[pfns // PAGEBLOCK_PAGES], minlength=len(MIGRATETYPES)).tolist()


def zoneinfo(guest: Guest) -> dict[str, dict[str, Any]]:
    """What /proc/zoneinfo shows, by zone name; all in pages.

    free: the kernel's counter, which lags behind the lists. min, low, high, promo: with the boost, as the kernel shows
    them. pagesets: by CPU count, high, batch and threshold of the counter.
    """
    zones = {}
    for zone, name in enumerate(ZONES[:4]):
        state = guest.allocator.zone_state(zone)
        low_marks = [mark + state["boost"] for mark in state["watermark"]]
        pagesets = [guest.allocator.pcp_state(zone, cpu) for cpu in range(guest.vcpus)] if state["present"] else []
        zones[name] = {
            "free": max(0, state["counter"]), "boost": state["boost"],
            "min": low_marks[0], "low": low_marks[1], "high": low_marks[2],
            "promo": low_marks[2] + low_marks[1] - low_marks[0],
            "spanned": state["end"] - state["start"], "present": state["present"], "managed": state["managed"],
            "protection": state["lowmem_reserve"], "start_pfn": state["start"],
            "pagesets": [
                {"cpu": cpu, "count": pcp["count"], "high": pcp["high"], "batch": pcp["batch"],
                 "threshold": state["threshold"]} for cpu, pcp in enumerate(pagesets)
            ],
        }
    return zones


def zoneinfo_text(guest: Guest) -> str:
    """The text of /proc/zoneinfo in the format of the guest's kernel, without the statistics of LRU lists and NUMA."""
    proc = kernels.table(guest.kernel)["proc"]
    shown = ["boost"] * proc["zoneinfo_boost"] + ["min", "low", "high"] + ["promo"] * proc["zoneinfo_promo"]
    shown += ["spanned", "present", "managed"]
    empty = dict.fromkeys(("free", "boost", "min", "low", "high", "promo", "spanned", "present", "managed"), 0)
    lines: list[str] = []
    for name in ZONES:
        zone = guest.zoneinfo().get(name, empty | {"protection": (0,) * 5, "pagesets": []})
        lines += [f"Node 0, zone {name:>8}", f"  pages free     {zone['free']}"]
        lines += [f"        {label:<8} {zone[label]}" for label in shown]
        lines += [f"        {'cma':<8} 0"] * proc["zoneinfo_boost"]  # both lines came with Linux 5.12
        lines.append(f"        protection: ({', '.join(str(pages) for pages in zone['protection'])})")
        if not zone["present"]:
            continue
        lines += [f"      {'nr_free_pages':<12} {zone['free']}", "  pagesets"]
        for pageset in zone["pagesets"]:
            lines += [f"    cpu: {pageset['cpu']}", f"              count: {pageset['count']}",
                      f"              high:  {pageset['high']}", f"              batch: {pageset['batch']}",
                      f"  vm stats threshold: {pageset['threshold']}"]
        lines += ["  node_unreclaimable:  0", f"  start_pfn:           {zone['start_pfn']}"]
    return "\n".join(lines) + "\n"

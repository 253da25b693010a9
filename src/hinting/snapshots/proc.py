"""A machine's free memory as /proc shows it (buddyinfo, pagetypeinfo, kpageflags), as the parts of a snapshot.

kpageflags says where each free block begins, and which pages are in use for what; pagetypeinfo and buddyinfo only how many free
blocks there are: they are placed at random, such that the guest shows the same files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from hinting import kernels
from hinting._core.limits import NR_ORDERS, PAGEBLOCK_PAGES
from hinting._core.mm.allocator import Allocator
from hinting._core.mm.boot import ZONE_STARTS, subtract, zones_of
from hinting.costs import load as load_costs
from hinting.errors import SnapshotError
from hinting.guests import MIB_PAGES, THP_LEAST_PAGES, MemoryMap, memory_map
from hinting.guests.memory_map import boot_table
from hinting.procfs import MIGRATETYPES, ZONES
from hinting.snapshots.placing import place
from hinting.units import PAGE_BYTES, size_pages

__all__ = ["FILES", "is_proc", "read_counts", "snapshot_of_proc"]

#: Files that are looked for in a folder; the first that is there is used.
FILES = ("kpageflags", "pagetypeinfo", "buddyinfo")

MOVABLE = MIGRATETYPES.index("Movable")
#: Bits of kpageflags.
LRU, ANON, SLAB, BUDDY, NOPAGE, RESERVED = (np.uint64(1 << bit) for bit in (5, 12, 7, 10, 20, 32))

_BUDDY = re.compile(r"^Node\s+(\d+), zone\s+(\w+)\s+((?:\d+\s*)+)$")
_TYPE = re.compile(r"^Node\s+(\d+), zone\s+(\w+), type\s+(\w+)\s+((?:>?\s*\d+\s*)+)$")


def _numbers(text: str) -> list[str]:
    return text.replace(">", " >").replace("> ", ">").split()


def read_counts(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(free blocks by zone, migratetype and order; pageblocks by zone and migratetype) of pagetypeinfo or buddyinfo.

    buddyinfo has no types: all is movable, and no pageblocks are counted. SnapshotError with file, line and what was expected.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SnapshotError(f"{path}: cannot be read: {error}") from None
    free = np.zeros((4, len(MIGRATETYPES), NR_ORDERS), np.int64)
    blocks = np.zeros((4, len(MIGRATETYPES)), np.int64)
    columns: list[str] = []
    found = False
    for number, line in enumerate(lines, 1):
        where = f"{path}: line {number}"
        if line.startswith("Number of blocks type"):
            columns = line.removeprefix("Number of blocks type").split()
            continue
        if not line.startswith("Node"):
            continue
        typed, plain = _TYPE.match(line), _BUDDY.match(line)
        match = typed or plain
        if match is None:
            raise SnapshotError(f"{where}: expected 'Node 0, zone NAME' with counts, got {line.strip()!r}")
        zone = _zone(where, match)
        counts = _numbers(match[match.lastindex or 0])
        if columns and plain:
            for name, text in zip(columns, counts, strict=False):
                blocks[zone, _kind(where, name, int(text))] = int(text) if name in MIGRATETYPES else 0
            continue
        if len(counts) != NR_ORDERS:
            raise SnapshotError(f"{where}: expected {NR_ORDERS} counts of free blocks, orders 0 to 10, got {len(counts)}")
        kind = MOVABLE if typed is None else _kind(where, typed[3], sum(int(text.lstrip(">")) for text in counts))
        free[zone, kind] += [int(text.lstrip(">")) for text in counts]
        found = True
    if not found:
        raise SnapshotError(f"{path}: no free blocks in it, expected lines of /proc/pagetypeinfo or /proc/buddyinfo")
    return free, blocks


def _zone(where: str, match: re.Match[str]) -> int:
    if match[1] != "0":
        raise SnapshotError(f"{where}: node {match[1]}: guests have one node, expected Node 0 only")
    if match[2] not in ZONES[:4]:
        if all(text == "0" for text in _numbers(match[match.lastindex or 0])):
            return 3
        raise SnapshotError(f"{where}: zone {match[2]}: expected one of {', '.join(ZONES[:4])}")
    return ZONES.index(match[2])


def _kind(where: str, name: str, count: int) -> int:
    if name in MIGRATETYPES:
        return MIGRATETYPES.index(name)
    if count:
        raise SnapshotError(f"{where}: {count} of type {name}: expected one of {', '.join(MIGRATETYPES)}")
    return MOVABLE


def snapshot_of_proc(
    source: Path, *, memory: int | str | None = None, kernel: str = "linux-6.1", vcpus: int = 1, seed: int = 0
) -> dict[str, Any]:
    """The parts of a Snapshot of a guest whose memory is as a machine's /proc says.

    source: one of FILES, or a folder with some of them. memory: RAM, for all but kpageflags, which says it. What is in use is
    single pages. Raises SnapshotError.
    """
    if source.is_dir():
        there = [source / name for name in FILES if (source / name).is_file()]
        if not there:
            raise SnapshotError(f"{source}: expected one of {', '.join(FILES)} in it")
        source = there[0]
    if source.name.startswith("kpageflags"):
        if memory is not None:
            raise SnapshotError(f"{source}: says how much memory there is: leave memory out")
        return _from_flags(source, kernel, vcpus, seed)
    if memory is None:
        raise SnapshotError(f"{source}: does not say how much memory there is: give memory")
    return _from_counts(source, size_pages(memory, "memory"), kernel, vcpus, seed)


def is_proc(source: Path) -> bool:
    """Whether it is one of FILES, or a folder with some of them."""
    if source.is_dir():
        return any((source / name).is_file() for name in FILES)
    return source.name.startswith(FILES)


def _parts(kernel: str, ram: MemoryMap, allocator: Allocator) -> dict[str, Any]:
    managed = sum(allocator.zone_state(zone)["managed"] for zone in allocator.zones())
    allocator.check()
    return {"kernel": kernel, "memory_map": ram, "thp": "always" if managed >= THP_LEAST_PAGES else "never",
            "costs": load_costs(), "strategy": None, "_strategy_state": None, "_allocator": allocator}


def _filled(
    kernel: str, ram: MemoryMap, vcpus: int, types: np.ndarray, free: dict[tuple[int, int, int], np.ndarray], used: np.ndarray,
    seed: int,
) -> Allocator:
    """An allocator with these pageblock types and free lists, in a random order. used: by pfn, 1 in use, 2 movable."""
    profile = kernels.load(kernel)
    zones = zones_of(profile, ram.ram, ram.free, vcpus, ram.managed_at_boot >= THP_LEAST_PAGES, ram.late)
    for table in zones:
        inside = types[table["start"] // PAGEBLOCK_PAGES : -(-table["end"] // PAGEBLOCK_PAGES)]
        table["nr_reserved_highatomic"] = int((inside == MIGRATETYPES.index("HighAtomic")).sum()) * PAGEBLOCK_PAGES
    allocator = Allocator(profile, zones, vcpus)
    allocator.load_pageblocks(types.astype(np.uint8))
    rng = np.random.default_rng(seed)
    for (zone, kind, order), pfns in sorted(free.items()):
        shuffled = rng.permutation(pfns).astype(np.uint32)
        allocator.load_free(zone, order, kind, shuffled, np.zeros(shuffled.size, np.uint8))
    allocator.load_used(used)
    for zone in allocator.zones():
        allocator.load_zone_state(zone, counter=int((allocator.buddyinfo()[zone] << np.arange(NR_ORDERS)).sum()))
    return allocator


def _from_counts(path: Path, pages: int, kernel: str, vcpus: int, seed: int) -> dict[str, Any]:
    counts, blocks = read_counts(path)
    layout = memory_map(pages, load_costs())    # what boot keeps is in use somewhere, nobody says where
    firmware = (0, boot_table()["map"]["firmware_mib"] * MIB_PAGES)
    ram = MemoryMap(ram=layout.ram, free=subtract(layout.ram, [firmware]), reserved=[], deferred=layout.npfn)
    managed = np.zeros(ram.npfn, bool)
    for first, end in ram.free:
        managed[first:end] = True
    types = np.full(-(-ram.npfn // PAGEBLOCK_PAGES), MOVABLE, np.uint8)
    free: dict[tuple[int, int, int], np.ndarray] = {}
    for zone in range(4):
        span = slice(ZONE_STARTS[zone], min(ZONE_STARTS[zone + 1], ram.npfn) if zone < 3 else ram.npfn)
        inside = managed[span] if zone < 3 and span.start < ram.npfn else np.zeros(0, bool)
        wanted, room = int((counts[zone] << np.arange(NR_ORDERS)).sum()), int(inside.sum())
        if wanted > room:
            raise SnapshotError(f"{path}: zone {ZONES[zone]} has {wanted} free pages, a guest of {pages * PAGE_BYTES >> 20} MiB "
                                f"manages {room} there: give more memory")
        if not wanted:
            continue
        placed = place(inside, span.start, counts[zone], blocks[zone], types, np.random.default_rng((seed, zone)))
        if placed is None:
            raise SnapshotError(f"{path}: zone {ZONES[zone]}: so many small free blocks do not fit beside pages in use "
                                f"into {room} pages: give more memory")
        free |= {(zone, kind, order): pfns for (kind, order), pfns in placed.items()}
    used = managed.astype(np.uint8)
    used[np.repeat(types == MOVABLE, PAGEBLOCK_PAGES)[: ram.npfn] & managed] = 2
    return _parts(kernel, ram, _filled(kernel, ram, vcpus, types, free, used, seed))


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _from_flags(path: Path, kernel: str, vcpus: int, seed: int) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read: {error.strerror}") from None
    if not raw or len(raw) % 8:
        raise SnapshotError(f"{path}: expected 8 bytes for each page frame, got {len(raw)} bytes")
    flags = np.frombuffer(raw, "<u8")
    exists = (flags & NOPAGE) == 0
    exists[0] = False
    if flags.size < 2 or not exists.any():
        raise SnapshotError(f"{path}: no page frame exists in it")
    npfn = int(np.flatnonzero(exists)[-1]) + 1
    if npfn > ZONE_STARTS[3]:
        raise SnapshotError(f"{path}: page frames up to {npfn}, expected at most {ZONE_STARTS[3]}")
    flags, exists = flags[:npfn], exists[:npfn]
    managed = exists & ((flags & RESERVED) == 0)
    orders, heads = _free_blocks(flags, managed)
    is_free = np.zeros(npfn, bool)
    for order in range(NR_ORDERS):
        for head in heads[orders == order].tolist():
            is_free[head : head + (1 << order)] = True
    movable = managed & ~is_free & ((flags & (LRU | ANON)) != 0)
    types = _types(managed & ~is_free, movable, (flags & SLAB) != 0)
    zone_of = np.searchsorted(ZONE_STARTS, heads, side="right") - 1
    free = {}
    for zone, kind, order in {*zip(zone_of.tolist(), types[heads // PAGEBLOCK_PAGES].tolist(), orders.tolist(), strict=True)}:
        free[zone, kind, order] = heads[(zone_of == zone) & (types[heads // PAGEBLOCK_PAGES] == kind) & (orders == order)]
    ram = _runs(exists)
    reserved = _runs(exists & ~managed)
    found = MemoryMap(ram=ram, free=subtract(ram, reserved), reserved=[], deferred=npfn)
    used = managed.astype(np.uint8)
    used[movable] = 2
    return _parts(kernel, found, _filled(kernel, found, vcpus, types, free, used, seed))


def _free_blocks(flags: np.ndarray, managed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(order, first page) of free blocks. The flag is on first pages only: a block reaches as far as its alignment and pages
    without any flag allow, so that kernel pages behind it that have none may be taken for free ones."""
    heads = np.flatnonzero((flags & BUDDY != 0) & managed)
    stops = np.append(np.flatnonzero((flags != 0) | ~managed), flags.size)
    run = stops[np.searchsorted(stops, heads, side="right")] - heads
    aligned = np.where(heads == 0, 1 << (NR_ORDERS - 1), heads & -heads)
    orders = np.floor(np.log2(np.minimum(np.minimum(run, aligned), 1 << (NR_ORDERS - 1)))).astype(np.int64)
    return _apart(orders, heads)


def _apart(orders: np.ndarray, heads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without two buddies of one order: they would be one block, so the second one's length was no end but a guess."""
    while True:
        at = np.searchsorted(heads, heads ^ (1 << orders))
        at = np.minimum(at, heads.size - 1)
        both = (heads[at] == heads ^ (1 << orders)) & (orders[at] == orders) & (orders < NR_ORDERS - 1) & (heads[at] > heads)
        if heads.size == 0 or not both.any():
            return orders, heads
        first = np.flatnonzero(both)
        keep = np.ones(heads.size, bool)
        keep[at[first]] = False
        orders = orders.copy()
        orders[first] += 1
        orders, heads = orders[keep], heads[keep]


def _types(used: np.ndarray, movable: np.ndarray, slab: np.ndarray) -> np.ndarray:
    """Migratetype of each pageblock by what is in it: movable unless more than half of what is in use cannot move."""
    pad = -used.size % PAGEBLOCK_PAGES
    n, can, is_slab = (np.pad(mask, (0, pad)).reshape(-1, PAGEBLOCK_PAGES).sum(axis=1) for mask in (used, movable, slab))
    types = np.full(n.size, MOVABLE, np.uint8)
    types[n > 2 * can] = MIGRATETYPES.index("Unmovable")
    types[(n > 2 * can) & (2 * is_slab > n)] = MIGRATETYPES.index("Reclaimable")
    return types
